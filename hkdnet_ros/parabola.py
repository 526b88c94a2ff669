"""Where a sampled curve has its top or its bottom, to a part of a step."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def vertex(values: NDArray[Any], at: int) -> float:
    """Return how far from index ``at`` the parabola through its value and both neighbours has its vertex.

    ``values`` (N,) are greatest or least at ``at``, so that it is half a step at most. 0 at an end, and where all three
    are equal.
    """
    if not 0 < at < len(values) - 1:
        return 0.0
    before, middle, after = (float(value) for value in values[at - 1 : at + 2])
    bend = before - 2 * middle + after
    return min(max(0.5 * (before - after) / bend, -0.5), 0.5) if bend else 0.0  # rounding may bend what is flat
