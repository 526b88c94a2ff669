"""How many of their 16 bits the images of a camera use: most cameras have 10, 12 or 14, and put them at the lower end.

Taken for 16 bits, such an image is nearly black. Thermal counts need none of this: their range follows the scene.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = (10, 12, 14, 16)


class BitDepth:
    """Brings the 16-bit images of one visible camera to full scale; no thread of its own, one stream each."""

    def __init__(self) -> None:
        self._bits = _BITS[0]

    def full_scale(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return ``image`` with its values shifted up to 16 bits; itself where it is not uint16, or uses them already.

        The bits are the fewest of 10, 12, 14 and 16 that hold all values so far, so that a scene that gets dark changes
        nothing.
        """
        if image.dtype != np.uint16:
            return image
        if self._bits < _BITS[-1]:
            highest = int(image.max())
            self._bits = max(self._bits, next(bits for bits in _BITS if highest >> bits == 0))
        return image if self._bits == _BITS[-1] else np.left_shift(image, _BITS[-1] - self._bits)
