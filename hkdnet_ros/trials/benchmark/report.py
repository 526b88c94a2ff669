"""A benchmark as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ...inference.benchmark import EAGER
from .figures import Benchmark, NodeFigures


def markdown(figures: Benchmark) -> str:
    """Return all figures as tables; times are in ms, speeds as multiples of the same network's in eager torch."""
    return "\n".join([*_engine(figures), *_stages(figures), *_scaling(figures), *_node(figures)]) + "\n"


def _engine(figures: Benchmark) -> Iterator[str]:
    engine = figures.engine
    packages = ", ".join(f"{name} {version}" for name, version in figures.versions.items())
    yield f"{figures.model}, thermal {engine.thermal} and visible {engine.visible} to {engine.output}, ms per frame"
    yield ""
    yield f"{figures.machine}; {packages}; revision {figures.revision}"
    yield ""
    loads = "".join(f" beside {load}: p50 | p95 | of idle |" for load in engine.beside)
    yield f"| way | p50 | p95 | speed of eager torch |{loads}"
    yield f"|{' --- |' * (4 + 3 * len(engine.beside))}"
    baseline = engine.times_ms[EAGER][0]
    for name, (p50, p95) in engine.times_ms.items():
        cells = [name, f"{p50:.1f}", f"{p95:.1f}", f"{baseline / p50:.2f}"]
        for times in engine.beside.values():
            if name in times:
                loaded = times[name]
                cells += [f"{loaded[0]:.1f}", f"{loaded[1]:.1f}", f"{loaded[0] / p50:.2f}, {loaded[1] / p95:.2f}"]
            else:
                cells += 3 * [""]
        yield f"| {' | '.join(cells)} |"


def _stages(figures: Benchmark) -> Iterator[str]:
    yield ""
    yield "| stage | p50 |"
    yield "| --- | --- |"
    for name, spent in figures.stages_ms.items():
        yield f"| {name} | {spent:.2f} |"


def _scaling(figures: Benchmark) -> Iterator[str]:
    if figures.scaling is None:
        return
    yield ""
    yield f"Time grows with the output's pixels to the power of {figures.scaling.exponent:.2f}:"
    yield ""
    yield "| visible | p50 |"
    yield "| --- | --- |"
    for size, spent in zip(figures.scaling.sizes, figures.scaling.times_ms, strict=True):
        yield f"| {size} | {spent:.1f} |"


def _node(figures: Benchmark) -> Iterator[str]:
    node = figures.node
    if node is None:
        return
    yield ""
    yield f"Through the node, over DDS: {node.peak:.0f} pairs a second with less than 5 % dropped."
    yield ""
    yield (
        "| pairs per s | dropped | age p50 | p95 | p99 | jitter | own p50 | p95 | cores | ms of a core per image "
        "| memory, MB | growth |"
    )
    yield f"|{' --- |' * 12}"
    for found in node.rates:
        yield _row(f"{found.rate:.0f}", found)
    for load, found in node.beside.items():
        yield _row(f"{found.rate:.0f}, beside {load}", found)
    yield _row(f"{node.bare.rate:.0f}, without the network", node.bare)
    yield _row(f"{node.pass_through.rate:.0f}, passed through", node.pass_through)
    yield ""
    yield (
        "Age: from the publication of both images to the arrival of the fused one. Own: from the last arrival to the "
        "publication, less the inference; at a rate beyond the peak it includes the wait for the pair before."
    )
    yield (
        f"Without the network the node costs {node.bare.cost_ms / node.pass_through.cost_ms:.1f} times as much of the "
        "processor as a Python node that passes the visible image through."
    )


def _row(name: str, found: NodeFigures) -> str:
    ages, own = ([f"{value:.1f}" for value in values] for values in (found.age_ms, found.own_ms))
    cells = [name, f"{found.dropped:.0%}", *(ages or 3 * [""]), f"{found.jitter_ms:.1f}", *(own or 2 * [""])]
    cells += [f"{found.cores:.2f}", f"{found.cost_ms:.1f}", f"{found.resident_mb:.0f}", f"{found.growth_mb:+.1f}"]
    return f"| {' | '.join(cells)} |"
