#!/usr/bin/env python3
"""Measures `hkdnet evaluate bag` on real frames in a loop: rate against the engine's own, memory over time, disk.

    PYTHONPATH=. .venv/bin/python scripts/measure_evaluation.py ../shared/data/replay/stairs --every 60 -p model:=guided

It writes a bag of so many pairs, visible as JPEG and thermal as 16 bits of 160x120, evaluates it in a process of its
own, and prints a line each minute and the figures at the end. Options that it does not know go to the command.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

PERIOD_NS = 33_333_333
START_NS = 1_700_000_000_000_000_000


def frames_of(video: Path) -> list[np.ndarray]:
    """Return all frames of a video, blue-green-red."""
    capture = cv2.VideoCapture(str(video))
    found = []
    while True:
        there, image = capture.read()
        if not there:
            return found
        found.append(image)


def write_bag(clip: Path, path: Path, count: int) -> None:
    """Write ``count`` pairs of a clip that runs forward and back, so that it has no cut."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    visible = [cv2.imencode(".jpg", image)[1].ravel() for image in frames_of(clip / "visible.mp4")]
    thermal = []
    for image in frames_of(clip / "thermal.mp4"):
        small = cv2.resize(image[:, :, 0], (160, 120), interpolation=cv2.INTER_AREA)
        thermal.append(small.astype(np.uint16) * 20 + 28000)
    length = min(len(visible), len(thermal))
    order = [*range(length), *range(length - 2, 0, -1)]
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        kinds = {"thermal": "sensor_msgs/msg/Image", "visible": "sensor_msgs/msg/CompressedImage"}
        topics = {"thermal": "/thermal/image_raw", "visible": "/visible/image_raw/compressed"}
        to = {stream: bag.add_connection(topics[stream], kinds[stream], typestore=store) for stream in kinds}
        for number in range(count):
            at_ns, place = START_NS + number * PERIOD_NS, order[number % len(order)]
            stamp = types["builtin_interfaces/msg/Time"](sec=at_ns // 10**9, nanosec=at_ns % 10**9)
            header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
            messages = {
                "visible": types[kinds["visible"]](header=header, format="jpeg", data=visible[place]),
                "thermal": types[kinds["thermal"]](
                    header=header, height=120, width=160, encoding="mono16", is_bigendian=0, step=320,
                    data=thermal[place].ravel().view(np.uint8),
                ),
            }  # fmt: skip
            for stream, message in messages.items():
                bag.write(to[stream], at_ns, store.serialize_cdr(message, kinds[stream]))


def memory_mb(process: int) -> float:
    """Return the resident memory of a process in MB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="folder with thermal.mp4 and visible.mp4")
    parser.add_argument("--frames", type=int, default=900)
    parser.add_argument("--work", type=Path, default=Path("/tmp/measure_evaluation"), help="folder, emptied first")
    arguments, others = parser.parse_known_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    arguments.work.mkdir(parents=True)
    bag, out = arguments.work / "bag", arguments.work / "out"
    write_bag(arguments.clip, bag, arguments.frames)
    command = [sys.executable, "-m", "hkdnet_ros.cli", "evaluate", "bag", str(bag), "--out", str(out), *others]
    memory = []
    with (arguments.work / "log").open("w") as log:
        process = subprocess.Popen(command, stderr=log)
        begun = said = time.monotonic()
        while process.poll() is None:
            time.sleep(1)
            memory.append(memory_mb(process.pid))
            if time.monotonic() - said > 60:
                said = time.monotonic()
                print(f"{said - begun:6.0f} s: {memory[-1]:.0f} MB", flush=True)
    if process.returncode:
        print((arguments.work / "log").read_text()[-2000:], file=sys.stderr)
        return process.returncode
    found = json.loads((out / "run.json").read_text())["found"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = [value for value in memory if value]
    second, last = memory[len(memory) // 3 : 2 * len(memory) // 3], memory[2 * len(memory) // 3 :]
    frames, engine_s = found["frames"], found["engine_s"]
    networks = "; ".join(f"{name}, {where}" for name, where in found["runs_on"].items())
    print(f"network: {networks}; load {os.getloadavg()[0]:.1f}")
    print(f"frames {frames} in {found['seconds']:.1f} s: {frames / found['seconds']:.2f} a second")
    print(f"the network's own: {found['engine_frames'] / engine_s:.2f} a second")
    print(f"its share of the time {100 * engine_s / found['seconds']:.1f} %, "
          f"until the last frame was written {100 * engine_s / found['fused_s']:.1f} %")  # fmt: skip
    print(f"processor: {(used.ru_utime + used.ru_stime) / frames * 1e3:.1f} ms a frame, start included")
    print(
        f"memory: most {max(memory):.0f} MB; mean of the second third {np.mean(second):.0f}, last {np.mean(last):.0f}"
    )
    for path in sorted(out.iterdir()):
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        print(f"  {path.name}: {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
