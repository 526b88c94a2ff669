"""Whether two images can show the same view by their shapes, and what can be done where they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from ..errors import ConfigError, ImageError

TOLERANCE = 0.03
"""How much two aspect ratios may differ: 1 % or 2 % come from sizes rounded to multiples of 8."""

CROP, STRETCH = "crop", "stretch"
FITS = (CROP, STRETCH)


def stretch_of(thermal: Sequence[int], visible: Sequence[int]) -> float:
    """Return by which share the visible image is wider in shape than thermal; both are (height, width)."""
    return visible[1] * thermal[0] / (visible[0] * thermal[1]) - 1


def fitted(visible: NDArray[Any], thermal: Sequence[int], fit: str | None) -> NDArray[Any]:
    """Return the visible image, (H, W) or (H, W, C), as it is to be brought over thermal of this (height, width).

    Where their aspect ratios differ, ``crop`` returns a view on the middle of it that has thermal's and ``stretch`` all
    of it. Without ``fit`` that raises :class:`ImageError`: one would be squeezed, and nothing lie over itself.
    Raises :class:`ConfigError` for another ``fit``.
    """
    if fit not in (None, *FITS):
        raise ConfigError(f"fit is {fit!r}; choose {CROP} or {STRETCH}, or leave it out")
    height, width = visible.shape[:2]
    wider = stretch_of(thermal, visible.shape)
    if abs(wider) <= TOLERANCE or fit == STRETCH:
        return visible
    if fit is None:
        raise ImageError(
            f"thermal is {thermal[1]}x{thermal[0]} and visible {width}x{height}, shapes that cannot show the same view "
            f"({'wider' if wider > 0 else 'narrower'} by {abs(wider):.0%}); register them, or give fit (--fit) "
            f"{CROP}, which keeps the middle of visible, or {STRETCH}, which squeezes it"
        )
    kept_height = min(height, round(width * thermal[0] / thermal[1]))
    kept_width = min(width, round(height * thermal[1] / thermal[0]))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return visible[top : top + kept_height, left : left + kept_width]
