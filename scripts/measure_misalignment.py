#!/usr/bin/env python3
"""Measures how well the watch in service tells known shifts of real pairs, and what it costs.

    PYTHONPATH=. .venv/bin/python scripts/measure_misalignment.py ../shared/data

Each visible image of val/ is shifted by amounts drawn at random, up to 8 pixels to each side and up and down. What a
single look says of it is compared with that shift: beside what it says of the pair as it is, and beside the data's own
registration, which is good to 0 to 2 pixels (some by night up to 3.6). A pair is by night where the visible image is
dark. The clips of replay/ are looked at as the node does, once per second. Costs are processor time, on this machine.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hkdnet_ros.images.frames import Frame, FusedFrame
from hkdnet_ros.perception.misalignment import look_at, shift_of
from hkdnet_ros.perception.misalignment_watch import MisalignmentWatch
from hkdnet_ros.perception.registered_view import View
from hkdnet_ros.perception.worker import EVERY, LATEST
from hkdnet_ros.sources.pairs import list_pairs, read_conditioned, read_gray

NIGHT = 0.2  # mean of the visible image
SHIFTS = 6
Array = Any


class Silent:
    """A log that nobody reads."""

    def info(self, message: str) -> None:
        pass

    warning = error = info


def shifted(image: Array, x: float, y: float) -> Array:
    """Return what ``image`` shows, x pixels further right and y further down."""
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def measure_pairs(folder: Path) -> None:
    """Print, by day and by night, in how many of the shifted pairs something is said, and how right that is."""
    random = np.random.default_rng(0)
    rows = []
    for paths in list_pairs(folder):
        thermal, visible = read_conditioned(paths.thermal), read_gray(paths.visible)
        width, is_night = visible.shape[1], visible.mean() < NIGHT
        own = shift_of([look_at(thermal, visible)], width)
        print(f"{paths.name:24} {'night' if is_night else 'day':5} ({own.x:+.1f}, {own.y:+.1f}) by {own.certainty:.3f}")
        for _ in range(SHIFTS):
            x, y = random.uniform(-8, 8, 2)
            found = shift_of([look_at(thermal, shifted(visible, x, y))], width)
            off = np.hypot(found.x - x, found.y - y), np.hypot(found.x - own.x - x, found.y - own.y - y)
            rows.append((is_night, found.is_certain, *off))
    table = np.array(rows, float)
    for light, name in ((0, "day"), (1, "night")):
        of_light = table[table[:, 0] == light]
        told = of_light[of_light[:, 1] == 1]
        print(
            f"{name}: {len(of_light)} shifts, something is said of {len(told) / len(of_light):.0%}; of these within 1 "
            f"px of the shift {np.mean(told[:, 2] < 1):.0%}, within 2 px {np.mean(told[:, 2] < 2):.0%}, at most "
            f"{told[:, 2].max():.1f} px; beside the pair's own within 1 px {np.mean(told[:, 3] < 1):.0%}, at most "
            f"{told[:, 3].max():.1f} px"
        )


def read_clip(folder: Path) -> list[tuple[Array, Array]]:
    """Return (thermal, visible) of each frame of a clip, gray and blue, green, red."""
    videos = [cv2.VideoCapture(str(folder / f"{stream}.mp4")) for stream in ("thermal", "visible")]
    found = []
    while True:
        (is_felt, thermal), (is_seen, visible) = (video.read() for video in videos)
        if not (is_felt and is_seen):
            return found
        found.append((np.float32(cv2.cvtColor(thermal, cv2.COLOR_BGR2GRAY)) / 255, visible))


def measure_clip(folder: Path, rate: float) -> None:
    """Print what the watch says of a clip, looped to 20 s, as it is and shifted, and what its calls cost."""
    pairs = read_clip(folder)
    for x, y in ((0, 0), (4, 0), (-4, 0), (0, 4), (0, -4)):
        watch = MisalignmentWatch(3.0, Silent(), EVERY)
        warned_s, spent_s = None, 0.0
        for number in range(round(20 * rate)):
            thermal, visible = pairs[number % len(pairs)]
            stamp_ns = round(number / rate * 1e9)
            if x or y:
                visible = shifted(visible, x, y)
            felt, seen = Frame(thermal, stamp_ns, "", "32FC1"), Frame(visible, stamp_ns, "", "bgr8")
            fused = FusedFrame(visible, stamp_ns, "", thermal=thermal)
            begun = time.process_time()
            watch.see(fused, felt, seen, View())
            spent_s += time.process_time() - begun
            if watch.warning and warned_s is None:
                warned_s = number / rate
        said = f"({watch.found.shift.x:+.1f}, {watch.found.shift.y:+.1f})" if watch.found else "nothing"
        when = "never" if warned_s is None else f"after {warned_s:.1f} s"
        print(
            f"{folder.name}, visible moved by ({x:+d}, {y:+d}): {said}, warned {when}; "
            f"{spent_s / 20 * 1e3:.1f} ms of each second, {spent_s / 20:.2%} of a core"
        )


def measure_cost() -> None:
    """Print what a second of the watch costs live, in the thread that fuses and in all."""
    random = np.random.default_rng(0)
    for width, height in ((640, 480), (1920, 1080)):
        thermal = np.float32(random.uniform(0, 1, (120, 160)))
        visible = np.uint8(random.integers(0, 256, (height, width, 3)))
        watch = MisalignmentWatch(3.0, Silent(), LATEST)
        calling, in_all = time.thread_time(), time.process_time()
        for number in range(400):  # 40 s at 10 Hz
            stamp_ns = number * 100_000_000
            felt, seen = Frame(thermal, stamp_ns, "", "32FC1"), Frame(visible, stamp_ns, "", "bgr8")
            watch.see(FusedFrame(visible, stamp_ns, "", thermal=thermal), felt, seen, View())
            if number % 10 == 1:
                time.sleep(0.05)  # for the look
        calling, in_all = time.thread_time() - calling, time.process_time() - in_all
        watch.stop()
        print(
            f"{width}x{height}: {in_all / 40 * 1e3:.1f} ms of each second, {calling / 40 * 1e3:.1f} ms of these in the "
            "thread that fuses"
        )


if __name__ == "__main__":
    cv2.setNumThreads(1)
    data = Path(sys.argv[1])
    measure_pairs(data / "val")
    measure_clip(data / "replay" / "stairs", 30.0)
    measure_clip(data / "replay" / "plaza", 22.0)
    measure_cost()
