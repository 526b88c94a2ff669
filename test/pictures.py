"""Pictures that tests fuse. A thermal one is smooth: in one of random pixels nothing but noise would be found."""

from __future__ import annotations

import cv2
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


def outlines(seed: int, height: int = 400, width: int = 640) -> NDArray[np.float32]:
    """Gray polygons on gray, as both cameras see them: their edges and no texture."""
    random = np.random.default_rng(seed)
    image = np.full((height, width), 0.5, np.float32)
    for _ in range(25):
        corners = random.uniform(0, 1, 2) * (width, height) + random.uniform(-70, 70, (4, 2))
        cv2.fillPoly(image, [cv2.convexHull(corners.astype(np.int32))], float(random.uniform(0.1, 0.9)))
    return cv2.GaussianBlur(image, (0, 0), 1)


def moved(image: NDArray[np.float32], x: float, y: float) -> NDArray[np.float32]:
    """Return what ``image`` shows, x pixels further right and y further down."""
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return np.asarray(
        cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )
