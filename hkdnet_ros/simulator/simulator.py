"""Renders the scene: a truth, and the images that two aligned cameras take of it, each at a resolution of its own."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.camera_model import CameraModel
from ..images.frames import Frame
from .actors import make_actors
from .arrays import Array
from .config import SceneConfig
from .geometry import View
from .lighting import SETTINGS_LIGHT
from .props import furnish
from .sensor import ColourSensor, ThermalSensor, counts_of
from .smoke import SmokeSheet
from .stage import Actor, Stage
from .street import build_facades, cast_street, flood_ground
from .textures import NoiseBank

_OVERSAMPLED_PIXELS = 1_000_000
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
        self._light = light = SETTINGS_LIGHT[config.setting]
        self._view = camera_view(*config.visible_size).scaled(config.scale)
        noise = NoiseBank(config.seed)
        # A large truth takes its own pixels as fine enough: set-up costs time and memory by the fine pixel.
        fine = self._view.scaled(2 if self._view.width * self._view.height <= _OVERSAMPLED_PIXELS else 1)
        facades = build_facades(config.seed)
        layers = cast_street(fine, light, noise, facades)
        flood = flood_ground(layers, fine, noise) if light.night else layers.colour
        furnish(layers, fine, light, noise, config.seed, burning=config.setting == "smoke")
        self._fine_depth = layers.depth
        self._colour = np.clip(self._reduced(layers.colour) + 0.5, 0, 255).astype(np.uint8)
        self._flood = np.clip(self._reduced(flood), 0, 255).astype(np.uint8)
        self._temperature = self._reduced(layers.temperature)
        self._ground = self._reduced(layers.ground.astype(np.float32))
        self._sunlit = self._reduced(layers.sunlit)
        self._actors = make_actors(config.seed, config.people, config.cars, light)
        self._sheets: list[SmokeSheet] = []
        if config.setting == "smoke":
            depth = self._reduced(layers.depth)
            self._sheets = [
                SmokeSheet(self._view, light, noise, depth, *sheet) for sheet in ((13.6, 1.25), (7.3, 0.70))
            ]
        self._thermal_sensor = ThermalSensor(config)
        self._colour_sensor = ColourSensor(config, light.noise)

    def _reduced(self, image: Array) -> Array:
        size = (self._view.width, self._view.height)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)

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
        time = index / self.config.fps
        stage = Stage(
            self._view, self._light, self._colour.copy(), self._temperature.copy(), self._fine_depth, self._ground,
            self._sunlit, self._flood,
        )  # fmt: skip
        placed: list[tuple[float, Actor | SmokeSheet]] = [(actor.arrange(time, stage), actor) for actor in self._actors]
        for actor in self._actors:
            actor.shade_ground(stage)
        placed += [(sheet.distance, sheet) for sheet in self._sheets]
        for _, item in sorted(placed, key=lambda entry: -entry[0]):
            if isinstance(item, SmokeSheet):
                item.lay_over(stage.colour, stage.temperature, time)
            else:
                item.draw(stage)
        return stage.colour, stage.temperature

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
