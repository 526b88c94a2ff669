"""Which thermal values are shown as black and as white: what the scene spans, but never so little that noise is seen.

Stretched to its percentiles, a wall of one temperature is snow, and the fused image with it. So a range is at least
:data:`NOISE_SPAN` times as wide as the noise of the image itself, whatever its unit: 2 K for a camera with 50 mK.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLES = 20_000  # pixels enough for percentiles: 0.5 % are 100 of them

NOISE_SPAN = 40.0
"""The least range in standard deviations of the noise.

With 40, fine detail of a fused image correlates with that of the visible one by 0.99 in the mean behind a flat wall,
dark streets included; with 20 by 0.8 at night and with 10 by 0.4 (model ``guided``). Recorded street scenes span at
least as much (0.5th to 99.5th percentile), so that nothing of them is given away.
"""

# The noise is measured in tiles, of which the tenth from below counts: structure is in the others.
_TILE = 8  # px
_TILES = 256
_LEAST_TILES = 4  # in fewer, whoever is seen is in all of them
_RANK = 0.1
_RANK_OF_NOISE = 0.83  # what that tile shows of white noise
_LAGS = (1, 2)  # px; a camera that enlarges its image by 2 has smooth noise, which neighbours alone do not show
_QUANTISATION = 1 / math.sqrt(12)  # standard deviation of rounding, in steps

# An 8-bit image of few levels is stretched as counts are, one of more is taken as it is. What a camera conditioned
# begins at black or ends at white, so that 64 levels are enough; what is cut down from counts keeps away from both.
_FEW_LEVELS = 32
_FEW_LEVELS_INSIDE = 96
_INSIDE = 32  # levels away from black and from white
_BLEND = 32  # levels from few to enough, so that there is no step
_USED = (0.05, 99.95)  # percentiles between which a level counts as used: a person far away is, a hot pixel is not

FULL_8_BITS = (0.0, 255.0)
"""The range of an 8-bit image that is taken as it is."""


class RangeFollower:
    """The range of one stream; it follows the scene as a first-order low-pass in the time of the stamps."""

    def __init__(self) -> None:
        self._range = (0.0, 0.0)  # empty: nothing known yet
        self._stamp_ns = 0
        self._encoding = ""

    def begin_anew(self) -> None:
        """Take the range from the next image alone."""
        self._range = (0.0, 0.0)

    def follow(
        self,
        image: NDArray[Any],
        encoding: str,
        stamp_ns: int,
        percents: tuple[float, float],
        time_constant: float,
        *,
        black_hot: bool = False,
    ) -> tuple[float, float]:
        """Return the range for ``image`` after it has had its share in it; see :func:`scene_range`.

        The range starts with the first image, where a stamp goes back and when the encoding changes. A uniform image (a
        closed shutter) leaves it as it is.
        """
        low, high = scene_range(image, *percents, black_hot=black_hot)
        old_low, old_high = self._range
        elapsed = (stamp_ns - self._stamp_ns) / 1e9
        # A pipeline that no session drives is not told where stamps go back.
        if old_low == old_high or elapsed < 0 or encoding != self._encoding:
            self._range = low, high
        elif high > low:
            share = -math.expm1(-elapsed / time_constant) if time_constant else 1.0
            self._range = old_low + share * (low - old_low), old_high + share * (high - old_high)
        self._stamp_ns, self._encoding = stamp_ns, encoding
        low, high = self._range
        if low == high:  # nothing, but perhaps for a few pixels that are one count off
            width = 1e-5 * max(1.0, abs(low)) if image.dtype.kind == "f" else NOISE_SPAN * _QUANTISATION
            return (low - width, high) if black_hot else (low, high + width)
        return low, high


def scene_range(image: NDArray[Any], low: float, high: float, *, black_hot: bool = False) -> tuple[float, float]:
    """Return which values of one image (H, W) to show as black and as white; twice the same for a uniform image.

    These are the percentiles ``low`` and ``high``, the warm one moved away to the least range: the upper one, or the
    lower one of a ``black_hot`` image, which is turned round later. So what is warmer than a flat wall finds room above
    it, the wall stays where it is when somebody enters, and it is dark, which changes a visible image least in any
    network.

    A uint8 image that uses half of its levels, or a quarter and black or white among them, was conditioned by its
    camera and keeps its values, :data:`FULL_8_BITS`, unless it is mostly noise. One of fewer levels is stretched.
    """
    sample = _ordered_sample(image)
    bottom, top = _at(sample, low), _at(sample, high)
    if bottom == top:
        return bottom, top
    if image.dtype == np.uint8:
        share = _share_conditioned(_at(sample, _USED[0]), _at(sample, _USED[1]))
        bottom, top = bottom - share * bottom, top + share * (FULL_8_BITS[1] - top)
    least = NOISE_SPAN * max(measure_noise(image), _QUANTISATION * _step(sample))
    if black_hot:
        return min(bottom, top - least), top
    return bottom, max(top, bottom + least)


def measure_noise(image: NDArray[Any]) -> float:
    """Return the standard deviation of the noise in an image (H, W), fixed pattern included.

    Second differences along rows and along columns show noise but no gradient. Their mean square is taken in tiles of
    the image: edges, people and hot pixels are in some of them, noise is in all. An image of a simulator that knows
    none has 0, and so has one smaller than 16x16, where nothing tells noise from what is seen.
    """
    tiles = _tiles(image)
    if len(tiles) < _LEAST_TILES:
        return 0.0
    squares = []
    for across in (tiles, tiles.transpose(0, 2, 1)):
        for lag in _LAGS:
            bend = across[:, :, 2 * lag :] - 2 * across[:, :, lag:-lag] + across[:, :, : -2 * lag]
            mean = np.mean(bend * bend, axis=(1, 2))
            rank = int(_RANK * (mean.size - 1))
            squares.append(float(np.partition(mean, rank)[rank]))
    return math.sqrt(max(squares) / 6) / _RANK_OF_NOISE  # white noise comes with a factor of 1 + 4 + 1 through bends


def percentiles(image: NDArray[np.generic], low: float, high: float) -> tuple[float, float]:
    """Return two percentiles (nearest rank) of a regular sample of the pixels."""
    sample = _ordered_sample(image)
    return _at(sample, low), _at(sample, high)


def _ordered_sample(image: NDArray[Any]) -> NDArray[Any]:
    stride = max(1, round(math.sqrt(image.size / _SAMPLES)))
    sample = image[::stride, ::stride]
    if sample.dtype == np.uint8:
        sample = sample.astype(np.uint16)  # which numpy sorts several times as fast
    return np.sort(sample, axis=None)


def _at(ordered: NDArray[Any], percent: float) -> float:
    return float(ordered[round(percent / 100 * (ordered.size - 1))])


def _share_conditioned(darkest: float, brightest: float) -> float:
    """Return 1 where an 8-bit image that uses these levels was conditioned by its camera, 0 where it was not."""
    inside = min(darkest, FULL_8_BITS[1] - brightest, _INSIDE) / _INSIDE
    few = _FEW_LEVELS + inside * (_FEW_LEVELS_INSIDE - _FEW_LEVELS)
    return min(max((brightest - darkest - few) / _BLEND, 0.0), 1.0)


def _step(ordered: NDArray[Any]) -> float:
    """Return the step in which values come: the least that most of them are apart; 0 for floats that have none.

    What a noise-free simulator shows in two or three temperatures are no steps.
    """
    gaps = np.diff(ordered)
    gaps = gaps[gaps > 0]
    is_usual = gaps.size > 2 and float(np.median(gaps)) < 1.01 * float(gaps.min())
    return float(gaps.min()) if is_usual else float(ordered.dtype.kind != "f")


def _tiles(image: NDArray[Any]) -> NDArray[np.float64]:
    """Return a regular sample of the tiles of an image, (N, 8, 8)."""
    rows, columns = (side // _TILE for side in image.shape)
    whole = image[: rows * _TILE, : columns * _TILE].reshape(rows, _TILE, columns, _TILE)
    stride = max(1, math.ceil(math.sqrt(rows * columns / _TILES)))
    tiles: NDArray[np.float64] = whole[::stride, :, ::stride].transpose(0, 2, 1, 3).astype(np.float64)
    return tiles.reshape(-1, _TILE, _TILE)
