"""A drive with a bad moment in it, as a bag of any format, and how it is evaluated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from recordings import START_NS, BagWriter, thermal_image, visible_image

from hkdnet_ros.evaluation.bag.evaluate import Request, Task, run_task
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.node.parameter_values import values_of
from hkdnet_ros.node.schema import FusionConfig, build

FRAMES = 60
PART = 16  # frames, of a result in tests
PERIOD_NS = 50_000_000


def write_drive(path: Path, storage="mcap") -> Path:
    """Write 60 images of each camera, thermal 4 ms later, some missing, one unstamped, noise in all."""
    rng = np.random.default_rng(5)
    with BagWriter(path, storage) as bag:
        bag.camera_info("/cam/thermal/camera_info", (64, 48), 60.0, START_NS, "t")
        bag.camera_info("/cam/visible/camera_info", (96, 72), 90.0, START_NS, "v")
        for index in range(FRAMES):
            stamp = START_NS + index * PERIOD_NS
            noise = rng.integers(0, 3, (72, 96, 3), np.uint8)
            visible = visible_image(index, (96, 72)) // 2 + noise
            bag.image(
                "/cam/visible/image_raw", visible, "bgr8", 0 if index == 9 else stamp, "v", recorded_ns=stamp + 10
            )
            if 30 <= index < 33:
                continue
            thermal = thermal_image(index, np.uint16, (64, 48)) + rng.integers(0, 200, (48, 64)).astype(np.uint16)
            stamp += 4_000_000
            bag.image("/cam/thermal/image_raw", thermal, "mono16", stamp, "t", recorded_ns=stamp + 12)
    return path


def evaluate_with(path, out, parameters=None, opening=None, **request):
    """Evaluate a recording with parameters of the node and what else is asked; it returns the report."""
    config = build(parameters or {})
    wanted = Request(**{"every": 4, "part": PART, **request})
    topics = {"thermal_topic": None, "visible_topic": None, **(opening or {})}
    engine = EngineConfig(model="realtime")
    return run_task(
        Task(str(path), Path(out), engine, config, wanted, values_of(config), values_of(FusionConfig()), topics)
    )
