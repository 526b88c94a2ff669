"""The float arrays this layer computes with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]  # float32 where it is large; a few small ones are float64


def f32(values: ArrayLike) -> NDArray[np.float32]:
    """Return ``values`` as a float32 array."""
    return np.asarray(values, np.float32)
