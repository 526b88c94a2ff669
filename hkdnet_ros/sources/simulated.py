"""The simulator as a camera source."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from ..errors import SourceError
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE, Frame
from ..perception.incoming import Incoming
from ..simulator.config import SETTINGS, SceneConfig
from ..simulator.simulator import Simulator
from ..simulator.two_cameras import CameraRig, TwoCameraSimulator
from .camera_source import as_taken

SCALE = 2
"""The truth of two images of one size is this many times as wide and as high."""


class _Rendered:
    """Endless frames of a simulator."""

    skipped: Mapping[str, int] = {}
    lateness: Mapping[str, float] = {}

    def __init__(self, name: str, simulator: Simulator | TwoCameraSimulator) -> None:
        self.name = name
        self._simulator = simulator

    def events(self) -> Iterator[tuple[str, Frame]]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        for index in itertools.count():
            pair = self._simulator.render(index)
            yield THERMAL, pair.thermal
            yield VISIBLE, pair.visible

    def arrivals(self) -> Iterator[Incoming]:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return as_taken(self.events())

    def __len__(self) -> int:
        raise SourceError(f"{self.name}: has no end; say how many frames or seconds you want of it")

    def camera_model(self, stream: str) -> CameraModel:
        """See :class:`~hkdnet_ros.sources.camera_source.CameraSource`."""
        return self._simulator.camera_model(stream)

    def close(self) -> None:
        """Nothing is open."""


class SimulatedSource(_Rendered):
    """Endless frames of a simulated street. ``simulator`` renders the truth behind frame ``index`` on request."""

    def __init__(self, config: SceneConfig) -> None:
        self.simulator = Simulator(config)
        super().__init__(f"simulator:{config.setting}:{config.seed}", self.simulator)


class RigSource(_Rendered):
    """Endless frames of a simulated street by two cameras of their own: ``simulator`` knows how they stand."""

    def __init__(self, config: SceneConfig, rig: CameraRig | None = None) -> None:
        """``rig`` is :func:`~..simulator.two_cameras.usual_rig` where none is given."""
        self.simulator = TwoCameraSimulator(config, rig)
        super().__init__(f"rig:{config.setting}:{config.seed}", self.simulator)


def scene_of(
    words: str,
    thermal_size: tuple[int, int] | None,
    visible_size: tuple[int, int] | None,
    fps: float,
    form: str = "simulator",
) -> SceneConfig:
    """Return the scene that ``SETTING[:SEED]`` or nothing names; :class:`SourceError` where it is neither.

    Sizes are (width, height), None for the simulator's own. What is fused from images of one size is larger than they
    are, so that its truth is, too.
    """
    setting, _, seed = words.partition(":")
    setting = setting or SceneConfig().setting
    if setting not in SETTINGS or not (seed or "0").isdecimal():
        raise SourceError(f"{form}:{words}: no such scene; expected {form}[:{'|'.join(SETTINGS)}[:SEED]]")
    default = SceneConfig()
    thermal, visible = thermal_size or default.thermal_size, visible_size or default.visible_size
    scale = SCALE if thermal == visible else default.scale
    return SceneConfig(
        setting=setting, seed=int(seed or 0), thermal_size=thermal, visible_size=visible, scale=scale, fps=fps
    )
