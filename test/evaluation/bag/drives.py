"""A drive with a bad moment in it, as a bag of any format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from recordings import START_NS, BagWriter, thermal_image, visible_image

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
