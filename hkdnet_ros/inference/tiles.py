"""Large images in overlapping parts, so that a network's memory is bounded whatever the image's size.

What a pixel of the output depends on is known of a network that only convolves (:class:`Reach`). Run on a part that is
larger by that than what is kept of it, it gives the pixels that it would have given in one piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OutOfMemoryError
from .memory import available_bytes, give_back_buffers

if TYPE_CHECKING:
    from .backend import Backend

LARGEST_WHOLE = 2048 * 2048
"""Pixels of the output up to which images are run in one piece; a part is no larger either."""


_CAUTION = 0.5
"""Share of free memory that a size which is called fitting takes: convolutions have workspaces that nobody counts."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a network looks, in pixels of the output.

    An output pixel depends on no input further away than ``pixels``, but for what is told of the whole frame, and a
    part gives the same pixels as the whole where it begins at a multiple of ``block``.
    """

    pixels: int
    block: int


@dataclass(frozen=True, slots=True)
class Span:
    """A part along one axis: run from ``begin`` to ``end``, kept from ``first`` to ``last``."""

    begin: int
    end: int
    first: int
    last: int


def spans(length: int, most: int, reach: Reach) -> list[Span]:
    """Return spans that keep each of ``length`` pixels once, all of one length, which is ``most`` or less.

    One length, for back ends prepare themselves for each size of images, which may take seconds.
    """
    if length <= most:
        return [Span(0, length, 0, length)]
    block, halo = reach.block, _up(reach.pixels, reach.block)
    if most < 2 * (halo + block) + block:
        raise ValueError(f"a part of {most} pixels keeps nothing where the network looks {reach.pixels} around")
    count, size = 1, length
    while size > most:
        count += 1
        size = -(-(length + (count - 1) * (2 * halo + block)) // count)
        size += (length - size) % block  # so that the last part, too, begins at a multiple of the block
    begins = [(length - size) * index // (count - 1) // block * block for index in range(count)]
    firsts = [0, *(begin + size - halo for begin in begins[:-1]), length]
    return [
        Span(begin, begin + size, first, last) for begin, (first, last) in zip(begins, pairwise(firsts), strict=True)
    ]


def run_bounded(
    backend: Backend, thermal: NDArray[Any], visible: NDArray[Any], lap: Callable[[str], None]
) -> NDArray[np.float32]:
    """Return what ``backend.run`` does, for large images from parts.

    A network without a :class:`Reach` attends to the whole image, so that its parts would not fit together: it is run
    in one piece always. Raises :class:`OutOfMemoryError`, with a size that would fit, where memory runs out, or is sure
    to: Linux gives out memory that it has not and kills the process that then uses it.
    """
    height, width = backend.sizes.output_for(visible.shape)
    is_large = height * width > LARGEST_WHOLE
    in_parts = is_large and backend.reach is not None
    free = _free_bytes(backend) if height * width > LARGEST_WHOLE // 4 else 0  # asking takes 0.1 ms
    if is_large and not in_parts and free < _needed(backend, height, width):
        give_back_buffers()  # what earlier images took is kept for the next ones, and seems to be in use
        free = _free_bytes(backend)
        if free < _needed(backend, height, width):
            raise OutOfMemoryError(_advice(backend, height, width, free))
    try:
        if in_parts:
            return _run_parts(backend, thermal, visible, lap)
        return backend.run(thermal, visible, lap)
    except OutOfMemoryError as error:
        reason = str(error)
    # Outside of the clause: the exception's traceback keeps the tensors that should be freed.
    give_back_buffers()
    raise OutOfMemoryError(f"{_advice(backend, height, width, max(free, _free_bytes(backend)))} ({reason})")


def _run_parts(
    backend: Backend, thermal: NDArray[Any], visible: NDArray[Any], lap: Callable[[str], None]
) -> NDArray[np.float32]:
    sizes, reach = backend.sizes, backend.reach
    assert reach is not None
    height, width = sizes.output_for(visible.shape)
    rows, columns = (spans(length, math.isqrt(LARGEST_WHOLE), reach) for length in (height, width))
    frame = backend.describe(thermal, visible)
    fused = np.empty((height, width), np.float32)
    for row in rows:
        for column in columns:
            part = backend.run(
                _part(thermal, sizes.thermal, row, column), _part(visible, sizes.visible, row, column), lap, frame
            )
            fused[row.first : row.last, column.first : column.last] = part[
                row.first - row.begin : row.last - row.begin, column.first - column.begin : column.last - column.begin
            ]
    return fused


def _part(image: NDArray[Any], pixels: int, row: Span, column: Span) -> NDArray[Any]:
    """Return the part of an input that has ``pixels`` pixels of the output along each of its own."""
    return image[row.begin // pixels : -(-row.end // pixels), column.begin // pixels : -(-column.end // pixels)]


def _advice(backend: Backend, height: int, width: int, free: float) -> str:
    """Return what was too large for memory, and what would fit, by the name of the setting that says so."""
    needed = _needed(backend, height, width)
    text = f"not enough memory for {backend.model_name} to give {width}x{height} pixels, which takes about "
    text += f"{needed / 1e9:.1f} GB"
    if backend.reach is None:
        text += ", in one piece, for it attends to the whole image (guided is run in parts)"
    if math.isinf(free):
        return f"{text}; give a smaller size"
    share = math.sqrt(min(free / needed, 1) * _CAUTION)
    sizes = backend.sizes
    setting, pixels = ("output_size (--size)", 1) if sizes.visible == 1 else ("grid (--grid)", sizes.visible)
    fitting = [max(int(share * side / pixels) // 16 * 16, 16) for side in (width, height)]
    return f"{text}; {free / 1e9:.1f} GB are free: {setting} {fitting[0]}x{fitting[1]} would fit"


def _needed(backend: Backend, height: int, width: int) -> float:
    return backend.bytes_per_pixel * height * width


def _free_bytes(backend: Backend) -> float:
    """Return how much memory the device has left, infinity where nobody knows."""
    if backend.memory is not None:
        used, total = backend.memory
        return total - used
    available = available_bytes()
    return math.inf if available is None else available


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
