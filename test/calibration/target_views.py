"""Views of a calibration target by two simulated cameras, exact by ray casting, so that the truth is known."""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hkdnet_ros.calibration.targets import Target
from hkdnet_ros.geometry.projection import rays
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.simulator.two_cameras import CameraRig

_FINE = 2  # rays to a pixel on each side
_UNIT = 100  # px of the printed target to its spacing

Image = NDArray[np.float32]


def target_poses(target: Target, rig: CameraRig, count: int, tilt: float = 35.0, seed: int = 0) -> list[RigidTransform]:
    """Return transforms from the target's axes to the visible camera's: all over the thermal view, 1 to 1.6 m ahead.

    Targets are tilted by up to ``tilt`` degrees about each axis across.
    """
    random = np.random.default_rng(seed)
    middle = (target.points.min(axis=0) + target.points.max(axis=0)) / 2
    found = []
    for _ in range(count):
        turn, _ = cv2.Rodrigues(np.radians(random.uniform(-1, 1, 3) * (tilt, tilt, 15)))
        distance = random.uniform(1.0, 1.6)
        place = np.array([*(random.uniform(-1, 1, 2) * (0.29, 0.25) * distance), distance])
        found.append(RigidTransform.of(turn, place - turn @ middle).then(rig.thermal_to_visible))
    return found


def views(
    target: Target, rig: CameraRig, pose: RigidTransform, *, hot: bool = True, noise: float = 0.01, seed: int = 0
) -> tuple[Image, Image]:
    """Return what thermal and visible camera see of the target, each (H, W) in [0, 1]; the dark parts may be hot."""
    random = np.random.default_rng(seed)
    picture = target.picture(_UNIT).astype(np.float32) / 255
    # The first point of the target is a spacing from the border of the picture, or half of one for circles' centres.
    visible = _seen(picture, target, rig.visible, pose)
    thermal = _seen(1 - picture if hot else picture, target, rig.thermal, pose.then(rig.thermal_to_visible.inverse))
    thermal = 0.4 + 0.3 * cv2.GaussianBlur(thermal, (0, 0), 0.6)
    return tuple(np.clip(image + random.normal(0, noise, image.shape), 0, 1).astype(np.float32)
                 for image in (thermal, 0.1 + 0.8 * visible))  # type: ignore[return-value]  # fmt: skip


def _seen(picture: Image, target: Target, model: CameraModel, to_camera: RigidTransform) -> Image:
    directions = _directions(model)
    back = to_camera.inverse
    origin = np.asarray(back.translation)
    turned = directions @ back.matrix[:3, :3].T
    with np.errstate(invalid="ignore", divide="ignore"):
        hit = origin + turned * (-origin[2] / turned[..., 2])[..., None]
    places = picture_places(target, hit[..., :2]).astype(np.float32)
    image: Any = cv2.remap(
        picture, np.nan_to_num(places[..., 0], nan=-1e4), np.nan_to_num(places[..., 1], nan=-1e4), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0.5,
    )  # fmt: skip
    return cv2.resize(image, (model.width, model.height), interpolation=cv2.INTER_AREA)


@functools.lru_cache(maxsize=4)
def _directions(model: CameraModel) -> NDArray[np.float32]:
    """Return the rays of a camera, several to a pixel, interpolated from those of pixels: lenses are smooth."""
    x, y = np.meshgrid(np.arange(model.width, dtype=np.float64), np.arange(model.height, dtype=np.float64))
    coarse = rays(np.stack([x, y], axis=-1), model)
    return np.asarray(cv2.resize(coarse, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LINEAR), np.float32)


def picture_places(target: Target, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pixels of :meth:`Target.picture` at places (..., 2) of the target in metres."""
    units = points / target.config.spacing
    border = {"checkerboard": 2.0, "circles": 1.0, "offset_circles": 1.0, "apriltag": 1.0, "charuco": 1.0}
    start = border[target.config.target]
    # circles are drawn about whole pixels, squares from edge to edge
    shift = 0.0 if "circles" in target.config.target else 0.5
    return (units + start) * _UNIT - shift
