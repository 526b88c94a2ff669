"""A homography between two images: what it must be to be believed, and what it does to points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError

_LARGEST_ZOOM = 30.0  # between two cameras of one view; a thermal camera of 80 pixels beside one of 1920 has 24
_LARGEST_STRETCH = 4.0  # of one way beside the other, in the middle; perspective adds to it at the borders


def check_homography(matrix: Sequence[float] | NDArray[Any], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return a homography as (3, 3), its last element 1, after it was found plausible for an image of ``size``.

    ``matrix`` brings pixels (x, y, 1) of that image to those of another, row-major. Raises :class:`ConfigError` for one
    that is singular, turns the image inside out, sends part of it behind the camera, zooms beyond 30, or stretches it
    one way by four times as much as the other.
    """
    numbers = np.asarray(matrix, np.float64).ravel()
    if len(numbers) != 9 or not np.isfinite(numbers).all():
        raise ConfigError(f"homography is {numbers.tolist()}; expected 9 finite numbers, three rows of three")
    h: NDArray[np.float64] = numbers.reshape(3, 3)
    width, height = size
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float64)
    depths = corners @ h[2, :2] + h[2, 2]
    if abs(h[2, 2]) < 1e-12 or np.min(depths / h[2, 2]) < 0.1:
        raise ConfigError(
            f"homography {_written(h)} sends part of an image of {width}x{height} pixels behind the camera; expected "
            "one that keeps it in front"
        )
    h = h / h[2, 2]
    zooms = [_area(h, point) for point in (*corners, corners.mean(axis=0))]
    if max(zooms) <= 0:
        raise ConfigError(
            f"homography {_written(h)} is singular or mirrors the image (its determinant is {np.linalg.det(h):.3g}); "
            "expected one between two cameras that look the same way"
        )
    if min(zooms) <= _LARGEST_ZOOM**-2 or max(zooms) >= _LARGEST_ZOOM**2:
        sides = ", ".join(f"{np.sqrt(max(zoom, 0)):.3g}" for zoom in (min(zooms), max(zooms)))
        raise ConfigError(
            f"homography {_written(h)} scales an image of {width}x{height} pixels by {sides}; expected factors "
            f"between 1/{_LARGEST_ZOOM:.0f} and {_LARGEST_ZOOM:.0f}"
        )
    longest, shortest = _stretches(h, corners.mean(axis=0))
    if longest > _LARGEST_STRETCH * shortest:
        raise ConfigError(
            f"homography {_written(h)} stretches the image by {longest:.3g} one way and {shortest:.3g} the other; "
            f"expected about alike, {_LARGEST_STRETCH:.0f} times as much at most"
        )
    return h


def transform_points(homography: NDArray[np.float64], points: NDArray[Any]) -> NDArray[np.float64]:
    """Return points (..., 2) where ``homography`` (3, 3) brings them; NaN for those it sends behind the camera."""
    whole = points @ homography[:, :2].T + homography[:, 2]
    depth = whole[..., 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(depth > 0, whole[..., :2] / depth, np.nan), np.float64)


def _area(h: NDArray[np.float64], point: NDArray[np.float64]) -> float:
    """Return how much larger a small area at ``point`` becomes; negative where it is mirrored."""
    depth = h[2, 0] * point[0] + h[2, 1] * point[1] + h[2, 2]
    return float(np.linalg.det(h) / depth**3)


def _stretches(h: NDArray[np.float64], point: NDArray[np.float64]) -> tuple[float, float]:
    """Return by how much a small circle at ``point`` becomes longer, and by how much shorter across that."""
    x, y, depth = h @ (*point, 1.0)
    jacobian = (h[:2, :2] - np.outer((x, y), h[2, :2]) / depth) / depth
    longest, shortest = np.linalg.svd(jacobian, compute_uv=False)
    return float(longest), float(shortest)


def _written(h: NDArray[np.float64]) -> str:
    return str([float(f"{number:.4g}") for number in h.ravel()])
