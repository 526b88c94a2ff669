"""The scene as one pinhole view sees it: colour, temperature and depth, with what stands set up once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .actors import make_actors
from .arrays import Array
from .config import SceneConfig
from .geometry import NEAR, View
from .lighting import SETTINGS_LIGHT
from .props import furnish
from .smoke import SmokeSheet
from .stage import Actor, Stage
from .street import build_facades, cast_street, flood_ground
from .textures import NoiseBank

_OVERSAMPLED_PIXELS = 1_000_000


class Rendering:
    """A street scene in one setting, seen by one view. What it shows depends on the configuration and the time only."""

    def __init__(self, config: SceneConfig, view: View) -> None:
        """``view`` has the size of the truth."""
        self.view = view
        self._light = light = SETTINGS_LIGHT[config.setting]
        noise = NoiseBank(config.seed)
        # A large truth takes its own pixels as fine enough: set-up costs time and memory by the fine pixel.
        fine = view.scaled(2 if view.width * view.height <= _OVERSAMPLED_PIXELS else 1)
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
            self._sheets = [SmokeSheet(self.view, light, noise, depth, *sheet) for sheet in ((13.6, 1.25), (7.3, 0.70))]

    def _reduced(self, image: Array) -> Array:
        size = (self.view.width, self.view.height)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)

    def truth(self, time: float) -> tuple[NDArray[np.uint8], Array]:
        """Render a time in seconds: (colour (H, W, 3) uint8 blue, green, red; temperature (H, W) deg C)."""
        stage = self._stage()
        for _, item in self._arranged(time, stage):
            if isinstance(item, SmokeSheet):
                item.lay_over(stage.colour, stage.temperature, time)
            else:
                item.draw(stage)
        return stage.colour, stage.temperature

    def depth(self, time: float) -> Array:
        """Return metres along the optical axis (H, W) at a time in seconds, 1000 for the sky.

        People and cars are as far everywhere as they are in the middle. Smoke has no depth.
        """
        stage = self._stage()
        fine = self._fine_depth
        depth = np.ascontiguousarray(fine[:: stage.oversampling, :: stage.oversampling])
        for distance, item in self._arranged(time, stage):
            if not isinstance(item, SmokeSheet):
                before = stage.colour.copy(), stage.temperature.copy()
                item.draw(stage)
                drawn = (stage.colour != before[0]).any(axis=2) | (stage.temperature != before[1])
                depth[drawn] = np.minimum(depth[drawn], max(distance, NEAR))
        return depth

    def _stage(self) -> Stage:
        return Stage(
            self.view, self._light, self._colour.copy(), self._temperature.copy(), self._fine_depth, self._ground,
            self._sunlit, self._flood,
        )  # fmt: skip

    def _arranged(self, time: float, stage: Stage) -> list[tuple[float, Actor | SmokeSheet]]:
        """Put the actors where they are at ``time``; return all that is to be drawn from far to near."""
        placed: list[tuple[float, Actor | SmokeSheet]] = [(actor.arrange(time, stage), actor) for actor in self._actors]
        for actor in self._actors:
            actor.shade_ground(stage)
        placed += [(sheet.distance, sheet) for sheet in self._sheets]
        return sorted(placed, key=lambda entry: -entry[0])
