"""How the sizes of a network's two inputs and of its output hang together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ImageError

SMALLEST = 16
"""The least width and height of an image that a network takes."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many pixels of the output lie along one pixel of each input.

    ``Sizes(thermal=2, visible=2)`` takes two images of one size and doubles it. ``Sizes(thermal=2, visible=1)`` takes
    the visible image at the output's size, and thermal at half of it. Sizes are (height, width) or (width, height):
    each side goes by itself. A part of a pixel counts as one.
    """

    thermal: int
    visible: int

    def output_for(self, visible: Sequence[int]) -> tuple[int, int]:
        """Return the output's size for a visible image of this size."""
        first, second = visible
        return first * self.visible, second * self.visible

    def thermal_for(self, output: Sequence[int]) -> tuple[int, int]:
        """Return the size that thermal must have for this output."""
        return _parts(output, self.thermal)

    def visible_for(self, output: Sequence[int]) -> tuple[int, int]:
        """Return the size that the visible image must have for this output."""
        return _parts(output, self.visible)

    def check(self, thermal: tuple[int, ...], visible: tuple[int, ...]) -> None:
        """Raise :class:`ImageError` for shapes that are no (height, width), too small or do not belong together."""
        for name, shape in (("thermal", thermal), ("visible", visible)):
            if len(shape) != 2 or min(shape) < SMALLEST:
                raise ImageError(f"{name} luma has shape {shape}; expected (H, W) of at least {SMALLEST}x{SMALLEST}")
        expected = self.thermal_for(self.output_for(visible))
        if thermal != expected:
            raise ImageError(f"thermal luma is {thermal}, visible {visible}; bring thermal to {expected}")


def _parts(sides: Sequence[int], pixels: int) -> tuple[int, int]:
    first, second = sides
    return -(-first // pixels), -(-second // pixels)
