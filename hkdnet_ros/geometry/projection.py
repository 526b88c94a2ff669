"""Between the pixels of a camera and directions in space, by its lens model.

Models are those of sensor_msgs/distortion_models.hpp, computed by OpenCV: plumb_bob (5 coefficients, or 4),
rational_polynomial (8, with thin prism 12, with tilt 14) and equidistant (4), which fisheye lenses have. Pixels have
the centre of the first one at (0, 0). A model is taken to be that of the image sent: :func:`image_model`.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..images.camera_model import CameraModel

Points = NDArray[np.float64]

_COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,), "fisheye": (4,)}
_FISHEYE = ("equidistant", "fisheye")
_WIDEST = np.radians(89)  # of a ray that has a place in a plane ahead
_FOCAL_SHARES = 0.04, 100.0  # of the image's width that a focal length may be: 170 degrees of a pinhole, and 0.6
_MOST_ASPECT = 4.0  # of the two focal lengths, which differ where pixels were left out one way
_LEAST_SHOWN = 0.5  # of the image, that a lens which is no fisheye has rays for
_RESIDUAL = 0.05  # px, by which a ray may miss the pixel that it was found for


def image_model(model: CameraModel) -> CameraModel:
    """Return the model of the image that the camera sends: without region of interest and binning."""
    return model.resized(*model.image_size)


def rectified_model(model: CameraModel) -> CameraModel:
    """Return the model of the rectified image: K is the left part of P, and there is no distortion.

    Its axes are turned by ``r`` from those of the camera. Raises :class:`ConfigError` where P is zero.
    """
    p = model.p
    if not p[0] > 0 or not p[5] > 0:
        raise ConfigError("projection matrix P is zero; expected that of the rectified image, or images not rectified")
    return dataclasses.replace(model, k=(*p[0:3], *p[4:7], *p[8:11]), d=(), distortion_model="plumb_bob")


def check_lens(model: CameraModel, name: str) -> None:
    """Raise :class:`ConfigError` where ``model``, called ``name``, cannot be computed with."""
    if not any(model.k):
        raise ConfigError(f"{name} is not calibrated (K is zero); calibrate it, or use mode homography")
    if model.k[0] == 0:
        raise ConfigError(f"{name} has a focal length of 0 pixels; expected K as [fx, 0, cx, 0, fy, cy, 0, 0, 1]")
    if model.defect:
        raise ConfigError(f"{name} {model.defect}; expected a calibration as sensor_msgs/CameraInfo defines it")
    _check_matrix(model, name)
    if not any(model.d) and model.distortion_model not in _FISHEYE:
        return
    counts = _COEFFICIENTS.get(model.distortion_model)
    if counts is None:
        raise ConfigError(
            f"{name} has distortion model {model.distortion_model!r}; expected one of {', '.join(_COEFFICIENTS)}"
        )
    if len(model.d) not in counts:
        raise ConfigError(
            f"{name} has {len(model.d)} coefficients of {model.distortion_model}; expected "
            f"{' or '.join(map(str, counts))}"
        )
    shown = _share_shown(model)
    if shown < _LEAST_SHOWN and not _is_fisheye(model):  # whose image may be a small circle
        raise ConfigError(
            f"{name} has coefficients {list(model.d)} of {model.distortion_model}, by which its lens shows something "
            f"in {shown:.0%} of its image; expected {_LEAST_SHOWN:.0%} at least, and the order k1, k2, p1, p2, k3"
        )


def _check_matrix(model: CameraModel, name: str) -> None:
    """Raise :class:`ConfigError` where K is none of an image of this size: in other units, or written by columns."""
    fx, _, cx, _, fy, cy, *last = model.k
    if tuple(last) != (0.0, 0.0, 1.0):
        raise ConfigError(
            f"{name} has a matrix K whose last row is {list(last)}; expected [0, 0, 1]: K is written row by row, as "
            "[fx, 0, cx, 0, fy, cy, 0, 0, 1]"
        )
    low, high = (share * model.width for share in _FOCAL_SHARES)
    if not low <= fx <= high or not 1 / _MOST_ASPECT <= fx / fy <= _MOST_ASPECT:
        raise ConfigError(
            f"{name} has focal lengths of {fx:g} and {fy:g} for an image {model.width} pixels wide; expected {low:.4g} "
            f"to {high:.4g}, about alike: they are in pixels, not in millimetres"
        )
    if not -model.width <= cx <= 2 * model.width or not -model.height <= cy <= 2 * model.height:
        raise ConfigError(
            f"{name} has its centre at ({cx:g}, {cy:g}), far from an image of {model.width}x{model.height}; expected "
            "cx and cy in its pixels"
        )


@functools.lru_cache(maxsize=16)
def _share_shown(model: CameraModel) -> float:
    """Return the share of a camera's image for which its lens has rays."""
    x, y = np.meshgrid(np.linspace(0, model.width - 1, 24), np.linspace(0, model.height - 1, 24))
    return float(np.isfinite(rays(np.stack([x, y], axis=-1), model)[..., 0]).mean())


def project(points: NDArray[Any], model: CameraModel) -> Points:
    """Return the pixels (..., 2) where a camera sees points (..., 3) in its axes; NaN where its lens sees none.

    That is behind it, and beyond the angle at which the polynomial of its distortion turns back: further out it would
    put what it cannot see into the image.
    """
    flat = np.ascontiguousarray(points, np.float64).reshape(-1, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.hypot(flat[:, 0], flat[:, 1]) / flat[:, 2]
        seen = (flat[:, 2] > 0) & (radius <= _reach(model))  # NaN is not
    flat = np.where(seen[:, None], flat, (0.0, 0.0, 1.0))
    k, d, no_turn = _matrix(model), _distortion(model), np.zeros(3)
    if _is_fisheye(model):
        pixels, _ = cv2.fisheye.projectPoints(flat[:, None], no_turn, no_turn, k, d)
    else:
        pixels, _ = cv2.projectPoints(flat[:, None], no_turn, no_turn, k, d)
    result = np.where(seen[:, None], pixels.reshape(-1, 2), np.nan)
    return np.asarray(result.reshape(*points.shape[:-1], 2), np.float64)


def rays(pixels: NDArray[Any], model: CameraModel) -> Points:
    """Return the points (..., 3) at z = 1 that a camera sees at pixels (..., 2); NaN where its lens shows none there.

    That is beyond 89 degrees from its axis, and in the corners of a model that does not reach them.
    """
    flat = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2)
    k, d = _matrix(model), _distortion(model)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-9)
    if _is_fisheye(model):
        sides = cv2.fisheye.undistortPoints(flat, k, d, criteria=criteria)
    elif any(model.d):
        sides = cv2.undistortPointsIter(flat, k, d, np.eye(3), np.eye(3), criteria)
    else:
        sides = (flat - k[:2, 2]) / (k[0, 0], k[1, 1])
    found = np.concatenate([sides.reshape(-1, 2), np.ones((len(flat), 1))], axis=1)
    if _is_fisheye(model) or any(model.d):
        with np.errstate(invalid="ignore"):
            miss = np.linalg.norm(project(found, model) - flat[:, 0], axis=1)
            found[~(miss <= _RESIDUAL)] = np.nan
    return found.reshape(*pixels.shape[:-1], 3)


def _matrix(model: CameraModel) -> NDArray[np.float64]:
    return np.reshape(model.k, (3, 3)).astype(np.float64)


def _distortion(model: CameraModel) -> NDArray[np.float64]:
    return np.asarray(model.d or (0.0,) * 4, np.float64)


def _is_fisheye(model: CameraModel) -> bool:
    return model.distortion_model in _FISHEYE  # even with four zeros: a pixel's radius goes with the angle itself


def _reach(model: CameraModel) -> float:
    """Return the largest tangent of a ray's angle up to which the lens keeps order: further out, further out."""
    if _is_fisheye(model):
        angle = np.linspace(0, _WIDEST, 2000)
        square = angle * angle
        k1, k2, k3, k4 = model.d
        seen = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
        return float(np.tan(angle[_rising(seen)]))
    radius = np.tan(np.linspace(0, _WIDEST, 2000))
    k1, k2, _, _, k3, k4, k5, k6 = (*model.d[:8], *(0.0,) * 8)[:8]
    square = radius * radius
    below = 1 + square * (k4 + square * (k5 + square * k6))
    seen = radius * (1 + square * (k1 + square * (k2 + square * k3))) / np.where(below > 0, below, np.nan)
    return float(radius[_rising(seen)])


def _rising(values: NDArray[np.float64]) -> int:
    """Return the index of the last value up to which all rise."""
    with np.errstate(invalid="ignore"):
        falls = np.flatnonzero(~(np.diff(values) > 0))
    return int(falls[0]) if falls.size else len(values) - 1
