"""The scene seen by two cameras of their own: lenses with distortion, side by side, each with its own clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..geometry.calibration import PairCalibration
from ..geometry.lookup import LookupTable
from ..geometry.projection import check_lens, image_model, project, rays
from ..geometry.rigid_transform import RigidTransform
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, Frame
from .arrays import Array, f32
from .config import MAX_TRUTH_PIXELS, SceneConfig
from .geometry import View
from .lighting import SETTINGS_LIGHT
from .rendering import Rendering
from .sensor import ColourSensor, ThermalSensor, counts_of
from .simulator import THERMAL_FRAME, VISIBLE_FRAME, SimulatedPair, camera_view

_MARGIN = 4  # pixels of the pinhole view around what the lens sees


@dataclass(frozen=True, slots=True)
class CameraRig:
    """Two cameras and how they stand to each other; :attr:`calibration` is the truth that a calibration should find.

    Thermal images show the scene ``thermal_offset`` seconds after the moment they are stamped with, which is what
    sync.thermal_offset has to add.
    """

    thermal: CameraModel
    visible: CameraModel
    thermal_to_visible: RigidTransform
    thermal_offset: float = 0.0

    @property
    def calibration(self) -> PairCalibration:
        """All that is known of the cameras."""
        return PairCalibration(self.thermal, self.visible, self.thermal_to_visible, thermal_offset=self.thermal_offset)


def usual_rig(
    thermal_size: tuple[int, int] = (320, 256), visible_size: tuple[int, int] = (960, 540), baseline: float = 0.12
) -> CameraRig:
    """Return a rig as robots have it: thermal of 50 degrees beside visible of 80, not quite parallel, both distorted.

    ``baseline`` is in metres.
    """
    thermal = _camera(THERMAL_FRAME, thermal_size, 50.0, (0.013, -0.021), (-0.30, 0.12, 0.0008, -0.0006, -0.02))
    visible = _camera(VISIBLE_FRAME, visible_size, 80.0, (-0.008, 0.012), (-0.10, 0.05, -0.0003, 0.0005, -0.01))
    rotation, _ = cv2.Rodrigues(np.radians([1.2, -2.0, 0.8]))
    return CameraRig(thermal, visible, RigidTransform.of(rotation, (-baseline, 0.02, 0.01)))


def _camera(
    frame_id: str, size: tuple[int, int], fov: float, off_centre: tuple[float, float], d: tuple[float, ...]
) -> CameraModel:
    """Return a camera of ``fov`` degrees across; its principal point is off the middle by shares of the width."""
    width, height = size
    f = float(0.5 * width / np.tan(np.radians(fov) / 2))
    cx, cy = (width - 1) / 2 + off_centre[0] * width, (height - 1) / 2 + off_centre[1] * width
    return CameraModel(
        width, height, frame_id,
        k=(f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0), d=d, p=(f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Registered:
    """What the cameras see of one moment, in the view of one of them, without noise.

    ``colour`` is uint8 (H, W, 3) blue, green, red, ``temperature`` float32 (H, W) deg C, ``depth`` float32 (H, W)
    metres along its axis, 1000 for the sky.
    """

    colour: NDArray[np.uint8]
    temperature: Array
    depth: Array


class TwoCameraSimulator:
    """A street scene as two cameras of their own see it. :meth:`render` depends on rig, scene and index only."""

    def __init__(self, scene: SceneConfig | None = None, rig: CameraRig | None = None) -> None:
        """``scene`` has all but the cameras: its sizes and its scale are of no account.

        Raises :class:`ConfigError` where a lens cannot be computed with, or sees too much for one pinhole view.
        """
        self.rig = rig = rig or usual_rig()
        scene = scene or SceneConfig()
        # What the sensors go by; the scale lets a thermal image have more pixels than the visible one.
        size = rig.thermal.image_size
        self.config = config = dataclasses.replace(scene, thermal_size=size, visible_size=size, scale=1)
        stand = camera_view(*rig.visible.image_size)
        self._light = SETTINGS_LIGHT[config.setting]
        self._visible = _Eye(config, rig.visible, stand)
        self._thermal = _Eye(config, rig.thermal, _moved(stand, rig.thermal_to_visible.inverse))
        self._thermal_sensor = ThermalSensor(config)
        self._colour_sensor = ColourSensor(config, self._light.noise)

    def camera_model(self, stream: str) -> CameraModel:
        """Return the intrinsics of the ``thermal`` or ``visible`` camera."""
        return self.rig.thermal if stream == THERMAL else self.rig.visible

    @property
    def thermal_range(self) -> tuple[float, float]:
        """Counts that the truth shows as 0 and as 1."""
        low, high = self._light.thermal_span
        return counts_of(low), counts_of(high)

    def registered(self, index: int, stream: str) -> Registered:
        """Return what both sensors would see of the moment that visible frame ``index`` shows, from one camera."""
        eye = self._thermal if stream == THERMAL else self._visible
        colour, temperature = eye.truth(index / self.config.fps)
        return Registered(colour, temperature, eye.depth(index / self.config.fps))

    def render(self, index: int) -> SimulatedPair:
        """Render frame ``index`` (0, 1, ...), stamped index / fps. The truth is that of the visible camera's view."""
        time = index / self.config.fps
        stamp_ns = round(time * 1e9)
        colour, temperature = self._visible.truth(time)
        _, felt = self._thermal.truth(max(0.0, time + self.rig.thermal_offset))
        low, high = self._light.thermal_span
        return SimulatedPair(
            Frame(self._thermal_sensor.read(felt, index), stamp_ns, self.rig.thermal.frame_id, "mono16"),
            Frame(self._colour_sensor.read(colour, index), stamp_ns, self.rig.visible.frame_id, "bgr8"),
            np.clip((temperature - low) / (high - low), 0.0, 1.0),
            colour,
        )


class _Eye:
    """One camera: a pinhole view that covers what its lens sees, and the table that bends it."""

    def __init__(self, config: SceneConfig, model: CameraModel, stand: View) -> None:
        check_lens(model, model.frame_id or "camera")
        sent = image_model(model)
        view = _covering(sent, stand)
        self._rendering = Rendering(config, view)
        pinhole = _pinhole(view)
        size, source = (sent.width, sent.height), (view.width, view.height)
        # A depth between two things is of neither, so that it is taken from the nearest place and not averaged.
        self._nearest = _nearest_maps(lambda pixels: project(rays(pixels, sent), pinhole), size)
        self._table = LookupTable(lambda pixels: project(rays(pixels, sent), pinhole), size, source)

    def truth(self, time: float) -> tuple[NDArray[np.uint8], Array]:
        """Return colour (H, W, 3) and temperature (H, W) in the camera's image; black where its lens sees nothing."""
        colour, temperature = self._rendering.truth(time)
        return self._table.apply(colour, cv2.INTER_LINEAR), self._table.apply(temperature, cv2.INTER_LINEAR)

    def depth(self, time: float) -> Array:
        """Return the depth (H, W) in the camera's image; 0 where its lens sees nothing."""
        return f32(cv2.remap(self._rendering.depth(time), *self._nearest, cv2.INTER_NEAREST))


def _covering(model: CameraModel, stand: View) -> View:
    """Return the pinhole view from where ``stand`` is that holds all that a camera sees, as sharp as it is there."""
    x, y = np.meshgrid(np.arange(0, model.width, 2.0), np.arange(0, model.height, 2.0))
    seen = rays(np.stack([x, y], axis=-1), model)
    focal = 1.5 * max(model.k[0], model.k[4])
    half = np.nanmax(np.abs(seen[..., :2]), axis=(0, 1)) * focal
    width, height = (2 * (int(np.ceil(side)) + _MARGIN) for side in half)
    if width * height > MAX_TRUTH_PIXELS:
        raise ConfigError(
            f"camera {model.frame_id!r} sees up to {np.degrees(np.arctan(np.hypot(*half) / focal)):.0f} degrees from "
            f"its axis, which makes a view of {width}x{height} pixels; expected {MAX_TRUTH_PIXELS} at most"
        )
    return View(width, height, float(focal), stand.position, stand.rotation)


def _pinhole(view: View) -> CameraModel:
    cx, cy = view.centre
    return CameraModel(view.width, view.height, "", (view.focal, 0.0, cx, 0.0, view.focal, cy, 0.0, 0.0, 1.0))


def _moved(stand: View, to_moved: RigidTransform) -> View:
    """Return where a camera stands into whose axes ``to_moved`` brings points from those of ``stand``."""
    turn, shift = to_moved.matrix[:3, :3], to_moved.matrix[:3, 3]
    rotation = turn @ stand.rotation
    return dataclasses.replace(stand, rotation=f32(rotation), position=f32(stand.position - rotation.T @ shift))


def _nearest_maps(
    trace: Callable[[NDArray[np.float64]], NDArray[np.float64]], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float64), np.arange(size[1], dtype=np.float64))
    places = np.nan_to_num(trace(np.stack([x, y], axis=-1)), nan=-2.0).astype(np.float32)
    return np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
