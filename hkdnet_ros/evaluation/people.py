"""How well warm people stand out in what each method makes of the simulator's scenes.

The simulator knows where people are: the temperature of a frame differs there from that of the same street without
people. Methods get the two camera images; each person is measured at the size of the fused image.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..errors import ConfigError, SourceError
from ..files import make_folder, write_file
from ..images.color import luma, to_uint8
from ..images.frames import THERMAL, VISIBLE
from ..inference.config import EngineConfig
from ..inference.sizes import Sizes
from ..metrics.target import find_targets, target_metrics
from ..perception.thermal import ThermalConditioner
from ..simulator.config import SceneConfig
from ..simulator.simulator import Simulator
from .baselines import Method
from .measurements import ENLARGED, Measurement, mean_values, write_measurements
from .methods import open_methods
from .report import people_report
from .resampling import enlarge_bicubic

BRIGHT = 0.6 * 255
"""Visible ground is bright from this mean level on."""

FRAME_STEP = 2.0
"""Seconds between two frames, in which people have walked on."""

_WARMER = 2.0  # K by which a person's pixel is warmer than the street behind


def evaluate_people(scene: SceneConfig, scenes: int, frames: int, out: Path, models: Sequence[EngineConfig]) -> str:
    """Write values.csv and report.md to ``out`` and return the report.

    Measured are ``frames`` frames, FRAME_STEP apart, of each of ``scenes`` streets: ``scene`` with the seeds 0, 1 and
    so on, whose truth is a whole number of times as wide and as high as the thermal image. Raises :class:`ConfigError`
    for numbers below 1 and as engines do, :class:`SourceError` where nobody is seen and for a folder that cannot be
    written.
    """
    for name, number in (("scenes", scenes), ("frames", frames)):
        if number < 1:
            raise ConfigError(f"--{name} is {number}; it must be 1 or more")
    make_folder(out)
    sizes = _sizes(scene)
    measurements: list[Measurement] = []
    with contextlib.ExitStack() as stack:
        methods, runs_on = open_methods(sizes, models, stack)
        with tqdm(range(scenes), desc="fuse and measure", unit="scene") as bar:
            for seed in bar:
                measurements += measure_people(dataclasses.replace(scene, seed=seed), frames, methods)
    if not measurements:
        raise SourceError("nobody is to be seen in these scenes; take more of them or a larger --size")

    everybody, bright = mean_values(measurements), mean_values(m for m in measurements if m.values["ground"] >= BRIGHT)
    streams = len(everybody)
    facts = {
        "scenes": f"{frames} frames of each of {scenes} streets, simulator:{scene.setting}",
        "people": f"{len(measurements) // streams}, counting again in every frame; those who overlap count as one",
        "made by": f"hkdnet_ros {__version__}",
    }
    count = sum(m.values["ground"] >= BRIGHT for m in measurements) // streams
    title = f"People at x{sizes.thermal}" + ", visible at full size" * (sizes.visible == 1)
    text = people_report(title, facts | runs_on, everybody, bright, count)
    write_measurements(out / "values.csv", sizes.thermal, measurements)
    write_file(out / "report.md", text.encode())
    return text


def _sizes(scene: SceneConfig) -> Sizes:
    """Return how many pixels of the truth, and so of the fused image, lie along one pixel of each camera."""
    return Sizes(thermal=scene.truth_size[0] // scene.thermal_size[0], visible=scene.scale)


def measure_people(scene: SceneConfig, frames: int, methods: Mapping[str, Method]) -> Iterator[Measurement]:
    """Yield the measures of each person in each of ``frames`` frames, in both enlarged sources and by each method.

    Beside the target's measures a row has ``ground``, the mean visible level of the truth around the person, 0..255.
    The thermal image is conditioned as the node's first would be. Nothing is yielded where nobody is seen.
    """
    sizes = _sizes(scene)
    simulator, empty = Simulator(scene), Simulator(dataclasses.replace(scene, people=0))
    for number in range(frames):
        index = round(number * FRAME_STEP * scene.fps)
        colour, temperature = simulator.truth(index)
        targets = list(find_targets(temperature - empty.truth(index)[1] > _WARMER))
        if not targets:
            continue
        pair = simulator.render(index)
        thermal = to_uint8(ThermalConditioner().condition(pair.thermal))
        visible = luma(pair.visible.image, pair.visible.encoding)
        images = {
            ENLARGED + THERMAL: enlarge_bicubic(thermal, sizes.thermal),
            ENLARGED + VISIBLE: enlarge_bicubic(visible, sizes.visible),
        }
        images |= {name: fuse(thermal, visible) for name, fuse in methods.items()}
        seen = luma(colour, "bgr8")
        for place, target in enumerate(targets):
            ground = float(np.mean(seen[target.around]))
            for name, image in images.items():
                who = f"{scene.setting}:{scene.seed}/{index:05d}#{place}"
                yield Measurement(name, who, {**target_metrics(image, target), "ground": ground})
