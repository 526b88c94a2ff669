"""How far thermal lies off the visible image, told by the edges that both show, whichever side is brighter.

One look correlates the edges of one pair (images/edges.py) at all shifts within reach, on images reduced to 240 pixels.
Looks at several moments are added up before the peak is searched, so that what a single pair leaves open others settle.
A shift is believed only where its peak stands out from all others and earlier looks say the same as later ones.

It is a shift: a camera that turned about its own axis, or another focal length, shows as less certainty, and what is
nearer or further than most of the scene counts as most of the scene does. The same images give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.edges import Edges, edges_of
from ..images.resampling import resample
from ..parabola import vertex

Array = NDArray[np.float64]
Size = tuple[int, int]

LONGER_SIDE = 240
"""Pixels that images are reduced to."""

REACH = 16
"""Pixels of those within which a shift is looked for."""

LEAST_SIDE = 3 * REACH
"""Pixels that the smaller side must have when reduced, or nothing is looked at."""

CERTAIN = 0.03
"""A shift is believed whose likeness is this much above that of every shift elsewhere. Of the 32 registered pairs in
data/val 29 are so, all 21 by day, and of 986 pairs of images that do not belong together none (0.019 at the most)."""

_ELSEWHERE = 4.0  # px from a peak, from where on another one contradicts it
_LEVELS = 127  # to which edges are rounded, so that their sums are exact in any order
_LEAST_EDGES = 1e-3 * _LEVELS**2  # mean power of the edges of an image that shows some
_SETTLED = 1.0  # px that earlier and later looks may differ by


@dataclass(frozen=True, slots=True)
class Look:
    """The correlation of one pair's edges, as sums that may be added to those of others of the same size.

    ``product`` and ``seen``, the power of what thermal lies on, are by shift down and across, (2 reach + 1) squared;
    ``felt`` is the power of thermal's edges.
    """

    product: Array
    felt: float
    seen: Array
    size: Size

    @property
    def reach(self) -> int:
        """The pixels up to which a shift was looked for."""
        return len(self.product) // 2


@dataclass(frozen=True, slots=True)
class Shift:
    """What thermal is to be moved by, to the right and down, to lie on the visible image, and how sure that is."""

    x: float
    y: float
    certainty: float

    @property
    def is_certain(self) -> bool:
        """Whether the edges agree on this shift and no other, within reach."""
        return self.certainty >= CERTAIN

    @property
    def length(self) -> float:
        """The pixels by which thermal is off."""
        return float(np.hypot(self.x, self.y))


@dataclass(frozen=True, slots=True)
class Misalignment:
    """The shift that several looks agree on, and by how many pixels earlier and later ones differ."""

    shift: Shift
    spread: float
    looks: int

    @property
    def at_least(self) -> float:
        """The pixels by which thermal is off, less what is uncertain in them."""
        return max(0.0, self.shift.length - self.spread)


def reduced_size(size: Size) -> Size:
    """Return width and height that images of ``size`` are looked at."""
    factor = min(1.0, LONGER_SIDE / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def edges_for_look(image: NDArray[Any], shown: NDArray[np.uint8] | None = None) -> Edges:
    """Return the edges of a gray image (H, W), of the size that is looked at; none where ``shown`` is 0.

    ``image`` is uint8 or float32 in [0, 1].
    """
    unit = np.divide(image, np.float32(255), dtype=np.float32) if image.dtype == np.uint8 else image
    edges: Edges = np.rint(edges_of(unit, shown) * np.float32(_LEVELS))
    return edges


def look_at(thermal: NDArray[Any], visible: NDArray[Any]) -> Look | None:
    """Return the look at two gray images (H, W) of one size that show the same view; None where they are too small.

    Both are uint8 or float32 in [0, 1].
    """
    size = reduced_size((visible.shape[1], visible.shape[0]))
    felt, seen = (edges_for_look(resample(image, *size)) for image in (thermal, visible))
    return look(felt, seen)


def look(thermal: Edges, visible: Edges, reach: int = REACH) -> Look | None:
    """Return the correlation of the inside of thermal's edges with visible ones; None where images are too small."""
    height, width = visible.shape[:2]
    if min(height, width) < 3 * reach:
        return None
    inner = np.s_[reach : height - reach, reach : width - reach]
    side = 2 * reach + 1
    felt, seen = (edges[..., 0] + 1j * edges[..., 1] for edges in (thermal, visible))
    shape = [cv2.getOptimalDFTSize(length) for length in seen.shape]
    spectrum = np.fft.fft2(seen, shape) * np.conj(np.fft.fft2(felt[inner], shape))
    # Whole numbers, so that rounding makes them exact.
    product = np.rint(np.fft.ifft2(spectrum)[:side, :side].real)
    power = np.square(visible, dtype=np.float64).sum(axis=-1)
    sums = np.pad(power.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    rows, columns = height - 2 * reach, width - 2 * reach
    under = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    return Look(product, float(np.square(thermal[inner], dtype=np.float64).sum()), under, (width, height))


def shift_of(looks: Sequence[Look], width: int) -> Shift:
    """Return the shift that ``looks`` of one size show together, in pixels of an image ``width`` wide."""
    (columns, rows), reach = looks[0].size, looks[0].reach
    inside = (columns - 2 * reach) * (rows - 2 * reach)
    product, seen = sum(one.product for one in looks), sum(one.seen for one in looks)
    felt = sum(one.felt for one in looks)
    likeness = product / (np.sqrt(felt * seen) + _LEAST_EDGES * inside * len(looks))
    row, column = (int(index) for index in np.unravel_index(int(likeness.argmax()), likeness.shape))
    y, x = np.ogrid[: likeness.shape[0], : likeness.shape[1]]
    elsewhere = np.hypot(y - row, x - column) > _ELSEWHERE
    certainty = float(likeness[row, column] - likeness[elsewhere].max())
    if not (0 < row < 2 * reach and 0 < column < 2 * reach):
        certainty = 0.0  # a peak at the border says that the true one lies beyond
    across, down = column + vertex(likeness[row], column) - reach, row + vertex(likeness[:, column], row) - reach
    return Shift(across * width / columns, down * width / columns, certainty)


def misalignment(looks: Sequence[Look], width: int) -> Misalignment | None:
    """Return how far thermal is off by ``looks`` of one size in their order, in pixels of an image ``width`` wide.

    None where the scene does not tell: the edges agree on no shift, or the earlier half of the looks on another than
    the later one, as where what is seen changes, or moves while the cameras' clocks differ.
    """
    if len(looks) < 2:
        return None
    middle = len(looks) // 2
    whole, before, after = (shift_of(part, width) for part in (looks, looks[:middle], looks[middle:]))
    spread = float(np.hypot(after.x - before.x, after.y - before.y))
    is_settled = spread <= _SETTLED * width / looks[0].size[0]
    if not (is_settled and whole.is_certain and before.is_certain and after.is_certain):
        return None
    return Misalignment(whole, spread, len(looks))
