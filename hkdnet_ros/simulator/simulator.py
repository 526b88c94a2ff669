"""Renders the scene: a truth, and the images that two aligned cameras take of it, each at a resolution of its own."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from ..images.frames import Frame
from .arrays import Array
from .config import SceneConfig
from .geometry import View
from .lighting import SETTINGS_LIGHT
from .rendering import Rendering
from .sensor import ColourSensor, ThermalSensor, counts_of

THERMAL_FRAME, VISIBLE_FRAME = "thermal_camera", "visible_camera"


@dataclass(frozen=True, slots=True)
class SimulatedPair:
    """One moment as both cameras saw it, and as it was.

    ``thermal`` is mono16 (14-bit counts), ``visible`` bgr8 (h, w), each of its camera's size. ``truth_thermal``
    (s*h, s*w) is float32, the temperature stretched so that the setting's thermal span fills [0, 1], without sensor
    noise; ``truth_visible`` is uint8 (s*h, s*w, 3) blue, green, red.
    """

    thermal: Frame
    visible: Frame
    truth_thermal: NDArray[np.float32]
    truth_visible: NDArray[np.uint8]


def camera_view(width: int, height: int) -> View:
    """Return where both cameras stand: beside the middle of the road, at the height of a van's roof."""
    return View.looking(width, height, fov=62.0, position=(1.4, 2.3, 0.0), yaw=-7.0, pitch=4.0)


class Simulator:
    """A street scene in one setting. :meth:`render` depends on the configuration and the index only."""

    def __init__(self, config: SceneConfig | None = None) -> None:
        self.config = config = config or SceneConfig()
        self._light = SETTINGS_LIGHT[config.setting]
        self._rendering = Rendering(config, camera_view(*config.visible_size).scaled(config.scale))
        self._thermal_sensor = ThermalSensor(config)
        self._colour_sensor = ColourSensor(config, self._light.noise)

    @property
    def thermal_range(self) -> tuple[float, float]:
        """Counts that the truth shows as 0 and as 1."""
        low, high = self._light.thermal_span
        return counts_of(low), counts_of(high)

    def camera_model(self, stream: str) -> CameraModel:
        """Return the intrinsics of the ``thermal`` or ``visible`` camera; they are aligned and free of distortion."""
        width, height = self.config.visible_size
        view = camera_view(width, height)
        cx, cy = view.centre
        f = view.focal
        model = CameraModel(
            width, height, THERMAL_FRAME if stream == "thermal" else VISIBLE_FRAME,
            k=(f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0), d=(0.0,) * 5,
            p=(f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0),
        )  # fmt: skip
        return model.resized(*self.config.thermal_size) if stream == "thermal" else model

    def truth(self, index: int) -> tuple[NDArray[np.uint8], Array]:
        """Render frame ``index`` at truth size: (colour (H, W, 3) uint8 blue, green, red; temperature (H, W) deg C)."""
        return self._rendering.truth(index / self.config.fps)

    def render(self, index: int) -> SimulatedPair:
        """Render frame ``index`` (0, 1, ...), stamped index / fps."""
        config = self.config
        stamp_ns = round(index * 1e9 / config.fps)
        colour, temperature = self.truth(index)
        seen = np.asarray(cv2.resize(colour, config.visible_size, interpolation=cv2.INTER_AREA), np.uint8)
        felt = np.asarray(cv2.resize(temperature, config.thermal_size, interpolation=cv2.INTER_AREA), np.float32)
        low, high = self._light.thermal_span
        return SimulatedPair(
            Frame(self._thermal_sensor.read(felt, index), stamp_ns, THERMAL_FRAME, "mono16"),
            Frame(self._colour_sensor.read(seen, index), stamp_ns, VISIBLE_FRAME, "bgr8"),
            np.clip((temperature - low) / (high - low), 0.0, 1.0),
            colour,
        )
