"""A thermal image brought to the visible image's grid, or a smaller one of the same view, by a homography."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.lookup import Size
from ..images.resampling import resample

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]


def resizing(source: Size, target: Size) -> Matrix:
    """Return what brings pixels of an image of size ``source`` to those of it resized to ``target``, edges kept."""
    x, y = target[0] / source[0], target[1] / source[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])


def corners(size: Size) -> Points:
    """Return the corner pixels (4, 2) of an image, clockwise from the first one."""
    width, height = size
    return np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float64)


def warped(image: NDArray[Any], to_grid: Matrix, size: Size) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return ``image`` (H, W) on a grid of ``size``, and where it shows it (255, else 0).

    Where the grid is coarser the image is shrunk by area first, so that nothing aliases. Outside, it is as at its
    border: zeros would be edges.
    """
    height, width = image.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    zoom = float(np.sqrt(abs(np.linalg.det(to_grid) / (to_grid[2] @ middle) ** 3)))
    shrunk = (width, height) if zoom >= 1 else (max(4, round(width * zoom)), max(4, round(height * zoom)))
    matrix = to_grid @ resizing(shrunk, (width, height))
    on_grid = cv2.warpPerspective(
        resample(image, *shrunk), matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    shown = cv2.warpPerspective(np.full(shrunk[::-1], 255, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    return on_grid, np.asarray(shown, np.uint8)
