"""Camera images that carry a number each, legible before and after fusion: to tell which pair an image was made of.

A number is 12 bits. Each bit is two blocks side by side, the brighter one on the left for 1, so that it outlives any
change of range, contrast and size; three more bits check the rest. The thermal image has its blocks in the upper half
and nothing below, the visible one the other way round: their fused image shows both. Noise covers all of it, as
identical or uniform thermal images are taken for a closed shutter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.frames import THERMAL, VISIBLE

NUMBERS = 1 << 12
"""Numbers begin again from 0 after this."""

SMALLEST = 60
"""Width and height below which blocks are too small to be read after fusion, in px."""

_BITS, _CHECK_BITS, _BITS_PER_ROW, _ROWS = 15, 3, 5, 3  # rows of either half
_COLUMNS = 2 * _BITS_PER_ROW
_DARK, _PLAIN, _BRIGHT = 40, 70, 215
_NOISE = 8
_LEGIBLE = 12.0  # gray levels between the two blocks of a bit


def numbered_image(stream: str, number: int, width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a mono8 image (height, width) of ``stream`` with ``number`` modulo :data:`NUMBERS` in it."""
    rng = np.random.default_rng([seed, number])
    image = rng.integers(-_NOISE, _NOISE, (height, width), dtype=np.int16, endpoint=True) + np.int16(_PLAIN)
    code = _with_check(number % NUMBERS)
    first_row = 0 if stream == THERMAL else _ROWS
    for bit in range(_BITS):
        row, column = first_row + bit // _BITS_PER_ROW, 2 * (bit % _BITS_PER_ROW)
        levels = (_BRIGHT, _DARK) if code >> bit & 1 else (_DARK, _BRIGHT)
        for side, level in enumerate(levels):
            image[_block(row, column + side, width, height)] += level - _PLAIN
    numbered: NDArray[np.uint8] = image.astype(np.uint8)
    return numbered


def read_number(image: NDArray[Any], stream: str) -> int | None:
    """Return the number that ``stream`` has in ``image`` (H, W), of that camera or fused; None: not legible."""
    height, width = image.shape
    first_row = 0 if stream == THERMAL else _ROWS
    code = 0
    for bit in range(_BITS):
        row, column = first_row + bit // _BITS_PER_ROW, 2 * (bit % _BITS_PER_ROW)
        left, right = (float(image[_block(row, column + side, width, height, 4)].mean()) for side in (0, 1))
        if abs(left - right) < _LEGIBLE:
            return None
        code |= (left > right) << bit
    number = code & (NUMBERS - 1)
    return number if _with_check(number) == code else None


def read_numbers(image: NDArray[Any]) -> dict[str, int | None]:
    """Return what :func:`read_number` says for each stream."""
    return {stream: read_number(image, stream) for stream in (THERMAL, VISIBLE)}


def _with_check(number: int) -> int:
    return number | (number % 7) << (_BITS - _CHECK_BITS)


def _block(row: int, column: int, width: int, height: int, inset: int = 0) -> tuple[slice, slice]:
    """Return the pixels of a block, without a border of its size over ``inset`` where that is not 0."""
    spans = []
    for index, count, size in ((row, 2 * _ROWS, height), (column, _COLUMNS, width)):
        begin, end = index * size // count, (index + 1) * size // count
        border = (end - begin) // inset if inset else 0
        spans.append(slice(begin + border, end - border))
    return spans[0], spans[1]
