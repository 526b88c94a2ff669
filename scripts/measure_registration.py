#!/usr/bin/env python3
"""Times registration on one core: milliseconds per pair of the simulator's two cameras, by mode and sizes.

    PYTHONPATH=. .venv/bin/python scripts/measure_registration.py [OTHER_CHECKOUT]

Processor time, median of the best half of 60 pairs. A pair's time has all that registration does to it: in mode depth
the warp by a depth image of its own, the image brought over, and where it is valid. Beside OTHER_CHECKOUT, both are
timed in turn, three times, and the best of each is shown with their ratio.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

PAIRS = 60
CASES = [
    ("homography", "visible", (320, 256), (640, 480)),
    ("rectify", "visible", (160, 128), (640, 480)),
    ("rectify", "visible", (320, 256), (640, 480)),
    ("rectify", "visible", (640, 512), (640, 480)),
    ("depth", "visible", (160, 128), (640, 480)),
    ("depth", "visible", (320, 256), (640, 480)),
    ("depth", "visible", (640, 512), (640, 480)),
    ("rectify", "thermal", (640, 512), (640, 480)),
    ("rectify", "thermal", (640, 512), (1920, 1080)),
    ("homography", "thermal", (640, 512), (1920, 1080)),
    ("depth", "thermal", (320, 256), (640, 480)),
    ("depth", "thermal", (640, 480), (640, 480)),
    ("depth", "thermal", (640, 512), (640, 480)),
    ("depth", "thermal", (640, 512), (960, 540)),
    ("depth", "thermal", (640, 512), (1920, 1080)),
]


def measured() -> dict[str, float]:
    """Return milliseconds by case, of the package that is imported."""
    from hkdnet_ros.geometry.calibration_files import save_calibration
    from hkdnet_ros.images.frames import Frame
    from hkdnet_ros.inference.memory import keep_large_buffers
    from hkdnet_ros.perception.registration import Registration
    from hkdnet_ros.perception.registration_config import RegistrationConfig
    from hkdnet_ros.simulator.two_cameras import usual_rig

    cv2.setNumThreads(1)
    keep_large_buffers()  # as the node does
    random = np.random.default_rng(0)
    found = {}
    for mode, reference, thermal_size, visible_size in CASES:
        rig = usual_rig(thermal_size, visible_size)
        with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
            save_calibration(file.name, rig.calibration)
            zoom = 0.9 * visible_size[0] / thermal_size[0]
            matrix = (zoom, 0.0, 9.0, 0.0, zoom, 7.0, 0.0, 0.0, 1.0) if mode == "homography" else (0.0,) * 9
            registration = Registration(
                RegistrationConfig(mode=mode, reference=reference, calibration=file.name, homography=matrix)
            )
        heat = random.random(thermal_size[::-1], np.float32)
        light = random.integers(0, 256, (*visible_size[::-1], 3)).astype(np.uint8)
        metres = np.full(visible_size[::-1], 12000, np.uint16)
        for _ in range(12):
            x, y = (int(random.integers(0, side - 90)) for side in visible_size)
            metres[y : y + 90, x : x + 50] = random.integers(1500, 9000)
        thermal = Frame((heat * 60000).astype(np.uint16), 1, rig.thermal.frame_id, "mono16")
        visible = Frame(light, 1, rig.visible.frame_id, "bgr8")
        size = visible_size if reference == "visible" else thermal_size
        times = []
        for _ in range(PAIRS + 1):
            depth = Frame(metres.copy(), 1, rig.visible.frame_id, "16UC1") if mode == "depth" else None
            begun = time.process_time()
            view = registration.view(thermal, visible, depth)
            view.thermal(heat, size)
            view.visible(light, size)
            view.weight(size)
            times.append(time.process_time() - begun)
        best = sorted(times[1:])[: PAIRS // 2]
        name = f"{mode:10} to the {reference:7} view, thermal {'x'.join(map(str, thermal_size))}, visible "
        found[name + "x".join(map(str, visible_size))] = float(np.median(best) * 1e3)
    return found


def of_checkout(path: Path) -> dict[str, float]:
    """Return what a process on the package of another checkout measures."""
    environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    output = subprocess.run([sys.executable, __file__, "--json"], env=environment, capture_output=True, check=True)
    return {name: float(value) for name, value in json.loads(output.stdout).items()}


def main(words: list[str]) -> None:
    """Print milliseconds, and beside another checkout the ratio."""
    if words == ["--json"]:
        print(json.dumps(measured()))
        return
    if not words:
        for name, value in measured().items():
            print(f"{name:75} {value:5.2f} ms")
        return
    here, there = Path(__file__).resolve().parents[1], Path(words[0]).resolve()
    rounds = [(of_checkout(here), of_checkout(there)) for _ in range(3)]
    for name in rounds[0][0]:
        ours, theirs = (min(one[side][name] for one in rounds) for side in (0, 1))
        print(f"{name:75} {ours:5.2f} ms, there {theirs:5.2f} ms: {ours / theirs:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
