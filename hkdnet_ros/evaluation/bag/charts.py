"""Series for a report, brought to so few points that a page stays small however long the recording is."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 480
PAUSE = 5.0
"""Points further apart than this many usual steps have a gap between them."""
FEWEST = 3
"""Values that a span has on average, so that one without any is a gap."""

Array = NDArray[np.float64]

TIME, BARS, NAMES = "time", "bars", "names"

_COLORS = {"thermal": "thermal", "visible": "visible", "fused": "fused"}
_OTHERS = ("one", "two", "three", "four", "five", "six")


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or the bars: ``color`` names a variable of the page's style."""

    name: str
    values: Sequence[float | None]
    color: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over ``x``, in seconds where ``kind`` is TIME; ``labels`` say in the legend what each of BARS is.

    NAMES are bars with ``labels`` under them, a word on a line. Bars of several series stand in front of each other.
    """

    id: str
    title: str
    unit: str
    x: Sequence[float]
    series: Sequence[Series]
    kind: str = TIME
    note: str = ""
    axis: str = ""
    """What BARS stand over."""
    labels: Sequence[str] = ()
    low: float | None = None
    """What the axis of values begins at, where that is fixed."""

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script reads."""
        return dataclasses.asdict(self)


def bins(duration_s: float, least_s: float = 0.0) -> Array:
    """Return the edges of equal spans of a recording, at most MOST_POINTS and none shorter than ``least_s``."""
    count = MOST_POINTS if least_s <= 0 else min(MOST_POINTS, max(1, int(duration_s / least_s)))
    return np.linspace(0, max(duration_s, 1e-9), count + 1)


def middles(edges: Array) -> list[float]:
    """Return the middles of spans, in s, to the millisecond."""
    return [round(float(value), 3) for value in (edges[1:] + edges[:-1]) / 2]


def per_span(times: Array, values: Array, edges: Array, percentile: float | None = None) -> list[float | None]:
    """Return the mean of ``values`` in each span, or a percentile; None where there is none."""
    known = np.isfinite(values)
    times, values = times[known], values[known]
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    places = np.searchsorted(times, edges)
    places[-1] = len(times)
    result: list[float | None] = []
    for begin, end in itertools.pairwise(places):
        part = values[begin:end]
        if not len(part):
            result.append(None)
        else:
            result.append(significant(float(part.mean() if percentile is None else np.percentile(part, percentile))))
    return result


def counts(times: Array, edges: Array, per_second: bool = False) -> list[float | None]:
    """Return how many ``times`` lie in each span, or how many in a second of it."""
    found, _ = np.histogram(times, edges)
    widths = np.diff(edges) if per_second else np.ones(len(found))
    return [significant(float(count / width)) for count, width in zip(found, widths, strict=True)]


def points(times: Array, columns: Sequence[tuple[str, Array]], duration_s: float) -> tuple[list[float], list[Series]]:
    """Return x and a series for each column: all values where they are few, else means over spans.

    ``times`` rise. Where they pause for long there is a point without a value, so that no line runs across.
    """
    if len(times) <= MOST_POINTS:
        steps = np.diff(times)
        pauses = np.flatnonzero(steps > PAUSE * np.median(steps)) + 1 if len(steps) else np.zeros(0, np.int64)
        between = (times[pauses - 1] + times[pauses]) / 2
        x = [round(float(value), 3) for value in np.insert(times, pauses, between)]
        columns = [(name, np.insert(values, pauses, np.nan)) for name, values in columns]
        return x, [Series(name, plain(values), color(name, place)) for place, (name, values) in enumerate(columns)]
    edges = bins(duration_s, FEWEST * duration_s / len(times))
    series = [
        Series(name, per_span(times, values, edges), color(name, place)) for place, (name, values) in enumerate(columns)
    ]
    return middles(edges), series


def plain(values: Array) -> list[float | None]:
    """Return values as a page has them, None for NaN."""
    return [significant(float(value)) if np.isfinite(value) else None for value in values]


def significant(value: float) -> float:
    """Return a value to five digits: a page need not be longer for what no eye sees."""
    return float(f"{value:.5g}")


def color(name: str, place: int) -> str:
    """Return the colour of a series: that of its stream, or the next of the others."""
    return _COLORS.get(name, _OTHERS[place % len(_OTHERS)])
