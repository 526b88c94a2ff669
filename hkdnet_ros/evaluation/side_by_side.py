"""Thermal, visible and fused image side by side, each under its caption: what the demo shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

STRIP = 28
"""Height of a caption in pixels."""

GAP = 4
MOST_WIDTH = 640

_Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Moment:
    """One fused image and the two it was made of: 8 bit, gray or blue-green-red, each in its own size."""

    thermal: _Image
    visible: _Image
    fused: _Image


def panel_size(fused: _Image) -> tuple[int, int]:
    """Return the (width, height) at which all three are shown: the fused image's, at most ``MOST_WIDTH`` wide."""
    height, width = fused.shape[:2]
    if width > MOST_WIDTH:
        return MOST_WIDTH, max(1, round(height * MOST_WIDTH / width))
    return width, height


def side_by_side(moment: Moment) -> _Image:
    """Return the three images in a row, (H, W, 3): the inputs enlarged bicubically to the size of the fused one."""
    size = panel_size(moment.fused)
    panels = [
        captioned(image, size, f"{name} {image.shape[1]}x{image.shape[0]}")
        for name, image in (("thermal", moment.thermal), ("visible", moment.visible), ("fused", moment.fused))
    ]
    return _in_row(panels)


def captioned(image: _Image, size: tuple[int, int], caption: str) -> _Image:
    """Return ``image`` brought to ``size`` (width, height), in colour, under a strip with ``caption``."""
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
    width = size[0]
    smaller = width < colour.shape[1]
    shown = cv2.resize(colour, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    strip = np.full((STRIP, width, 3), 255, np.uint8)
    (length, _), _ = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)
    text_size = 0.6 * min(1.0, (width - 2 * GAP) / max(length, 1))
    cv2.putText(strip, caption, (GAP, STRIP - 9), cv2.FONT_HERSHEY_SIMPLEX, text_size, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, shown]).astype(np.uint8)


def stacked(rows: Iterable[_Image]) -> _Image:
    """Return images of one width under each other."""
    images = list(rows)
    if not images:
        raise ImageError("no image to show; expected at least one")
    return np.vstack(images)


def evenly(count: int, wanted: int) -> list[int]:
    """Return ``wanted`` indices, or all, spread over 0..count-1, each in the middle of its share."""
    wanted = min(count, wanted)
    return [(2 * number + 1) * count // (2 * wanted) for number in range(wanted)]


def _in_row(panels: Sequence[_Image]) -> _Image:
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for panel in panels for part in (gap, panel)][1:]
    return np.hstack(parts)
