"""A benchmark as a page of plots: one HTML file that needs no other and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...evaluation.bag.charts import NAMES, Chart, Series, significant
from ...evaluation.bag.markup import Section, page, paragraph, table
from ...inference.benchmark import PAPER
from .figures import Benchmark, EngineFigures, NodeBenchmark, NodeFigures, Scaling

_HEADS = ("pairs per s", "dropped", "age p50", "p95", "p99", "own p50", "p95", "cores", "ms of a core", "memory, MB")


def benchmark_page(figures: Benchmark) -> str:
    """Return the page of ``figures``."""
    packages = ", ".join(f"{name} {version}" for name, version in figures.versions.items())
    subtitle = f"{figures.machine}; {packages}; revision {figures.revision}"
    return page(f"Benchmark of {figures.model}", subtitle, list(_sections(figures)))


def _sections(figures: Benchmark) -> Iterator[Section]:
    engine = figures.engine
    text = f"Thermal {engine.thermal} and visible {engine.visible} to {engine.output}, each way in turn, ms per frame."
    if PAPER in engine.times_ms:
        text += f" The preset paper takes {engine.times_ms[PAPER][0]:.0f}."
    yield Section("network", "The network", paragraph(text), list(_ways(engine)))
    names = list(figures.stages_ms)
    spent = {"p50": [figures.stages_ms[name] for name in names]}
    stages = _by_name("stages", "Stages of the pipeline", "ms", "stage", names, spent)
    yield Section("pipeline", "The pipeline", paragraph("For a colour image and 16-bit thermal."), [stages])
    if figures.scaling is not None:
        yield _scaling(figures.scaling)
    if figures.node is not None:
        yield _node(figures.node)


def _ways(engine: EngineFigures) -> Iterator[Chart]:
    """Yield p50 and p95 by way: with nothing beside, then beside each load. PAPER would leave no room to others."""
    for load, times in {"": engine.times_ms, **engine.beside}.items():
        names = [name for name in times if name != PAPER]
        columns = {"p95": [times[name][1] for name in names], "p50": [times[name][0] for name in names]}
        title = f"Beside {load}" if load else "Nothing beside"
        yield _by_name(f"ways_{load or 'idle'}", title, "ms", "way", names, columns)


def _scaling(scaling: Scaling) -> Section:
    each = [1e6 * spent / pixels for spent, pixels in zip(scaling.times_ms, scaling.pixels, strict=True)]
    charts = [
        _by_name("by_size", "Time", "ms", "size", scaling.sizes, {"p50": scaling.times_ms}),
        _by_name("per_pixel", "Time per million pixels", "ms", "size", scaling.sizes, {"p50": each}),
    ]
    text = f"Time grows with the output's pixels to the power of {scaling.exponent:.2f}."
    return Section("size", "Cost by size of the visible image", paragraph(text), charts)


def _node(node: NodeBenchmark) -> Section:
    trials = {f"{found.rate:.0f}": found for found in node.rates}
    trials |= {f"{found.rate:.0f}, {load}": found for load, found in node.beside.items()}
    names = list(trials)
    ages, own = [found.age_ms for found in trials.values()], [found.own_ms for found in trials.values()]
    dropped = {"dropped": [100 * found.dropped for found in trials.values()]}
    charts = [
        _by_name("age", "Age by pairs per second", "ms", "rate", names, _percentiles(ages, ("p50", "p95", "p99"))),
        _by_name("own", "Of that, the node's own", "ms", "rate", names, _percentiles(own, ("p50", "p95"))),
        _by_name("dropped", "Dropped by pairs per second", "%", "rate", names, dropped),
    ]
    trials |= {f"{node.bare.rate:.0f}, without the network": node.bare}
    trials |= {f"{node.pass_through.rate:.0f}, passed through": node.pass_through}
    text = f"{node.peak:.0f} pairs a second with less than 5 % dropped."
    rows = [_row(name, found) for name, found in trials.items()]
    return Section("node", "The node over DDS", paragraph(text) + table(_HEADS, rows), charts)


def _row(name: str, found: NodeFigures) -> Sequence[str]:
    own = [f"{value:.1f}" for value in found.own_ms] or ["–", "–"]
    ages = [f"{value:.1f}" for value in found.age_ms] or 3 * ["–"]
    cost = [f"{found.cores:.2f}", f"{found.cost_ms:.1f}", f"{found.resident_mb:.0f}"]
    return [name, f"{found.dropped:.0%}", *ages, *own, *cost]


def _percentiles(found: Sequence[Sequence[float]], names: Sequence[str]) -> dict[str, list[float | None]]:
    """Return a column for each percentile, the largest first; None for a trial of which nothing came."""
    columns = {name: [values[place] if values else None for values in found] for place, name in enumerate(names)}
    return dict(reversed(columns.items()))


def _by_name(
    id: str, title: str, unit: str, axis: str, names: Sequence[str], columns: Mapping[str, Sequence[float | None]]
) -> Chart:
    """Return bars over names; of several columns each stands in front of the one before, which is the longer."""
    colors = ("six", "three", "one")[-len(columns) :]
    series = [
        Series(name, [None if value is None else significant(value) for value in values], color)
        for (name, values), color in zip(columns.items(), colors, strict=True)
    ]
    x = list(range(len(names)))
    return Chart(id, title, unit, x, series, kind=NAMES, axis=axis, labels=names, low=0.0)
