"""A benchmark as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ...inference.benchmark import EAGER
from .figures import Benchmark, NodeBenchmark, NodeFigures


def markdown(figures: Benchmark) -> str:
    """Return all figures as tables; times are in ms, speeds as multiples of the same network's in eager torch."""
    return "\n".join([*_engine(figures), *_stages(figures), *_scaling(figures), *_node(figures)]) + "\n"


def _engine(figures: Benchmark) -> Iterator[str]:
    engine = figures.engine
    packages = ", ".join(f"{name} {version}" for name, version in figures.versions.items())
    yield f"{figures.model}, thermal {engine.thermal} and visible {engine.visible} to {engine.output}, ms per frame"
    yield ""
    yield f"{figures.machine}; {packages}; revision {figures.revision}; beside {figures.load}"
    yield ""
    yield "| way | p50 | p95 | speed of eager torch |"
    yield "| --- | --- | --- | --- |"
    baseline = engine.times_ms[EAGER][0]
    for name, (p50, p95) in engine.times_ms.items():
        yield f"| {name} | {p50:.1f} | {p95:.1f} | {baseline / p50:.2f} |"


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
    if figures.node is None:
        return
    yield ""
    yield f"Through the node, over DDS: {figures.node.peak:.0f} pairs a second with less than 5 % dropped."
    yield ""
    yield "| pairs per s | dropped | age p50 | p95 | p99 | jitter | cores | memory, MB |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for found in figures.node.rates:
        yield _row(f"{found.rate:.0f}", found)
    yield _row(f"{figures.node.pass_through.rate:.0f}, passed through", figures.node.pass_through)
    yield from _relation(figures.node)


def _row(name: str, found: NodeFigures) -> str:
    ages = [f"{age:.1f}" for age in found.age_ms] or ["", "", ""]
    cells = [name, f"{found.dropped:.0%}", *ages, f"{found.jitter_ms:.1f}", f"{found.cores:.2f}"]
    return f"| {' | '.join(cells)} | {found.resident_mb:.0f} |"


def _relation(node: NodeBenchmark) -> Iterator[str]:
    """Say what a pair costs beside one that is passed through."""
    nearest = min(node.rates, key=lambda found: abs(found.rate - node.pass_through.rate))
    fused, passed = (_cost_ms(found) for found in (nearest, node.pass_through))
    yield ""
    yield f"A fused pair costs {fused:.1f} ms of one core, one passed through {passed:.1f} ms."


def _cost_ms(found: NodeFigures) -> float:
    return 1e3 * found.cores / max(found.rate * (1 - found.dropped), 1e-9)
