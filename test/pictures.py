"""Pictures that tests fuse. A thermal one is smooth: in one of random pixels nothing but noise would be found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def slope(
    height: int, width: int, low: float = 0, high: float = 255, dtype: type[np.generic] = np.uint8, turn: int = 0
) -> NDArray[np.generic]:
    """A slope from ``low`` to ``high`` across the image, half as steep down it; ``turn`` mirrors it (1, 2 or 3)."""
    y, x = np.mgrid[: 1 : height * 1j, : 1 : width * 1j]
    if turn & 1:
        x = 1 - x
    if turn & 2:
        y = 1 - y
    values = low + (high - low) * (2 * x + y) / 3
    return (values if np.issubdtype(dtype, np.floating) else np.rint(values)).astype(dtype)
