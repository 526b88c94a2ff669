"""Warm-ups for new sizes, and the warning where registration changes an image's shape."""

from __future__ import annotations

import numpy as np
import pytest
from rigging import FakeEngine, Logger

from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.plan import Plan
from hkdnet_ros.perception.size_watch import SizeWatch


def frame(width, height):
    return Frame(np.zeros((height, width), np.uint8), 1, "", "mono8")


def plan(engine, size):
    """The plan of an engine that takes both images at ``size`` and doubles it."""
    return Plan(engine, size, size, (2 * size[0], 2 * size[1]))


def test_sizes_that_alternate_are_warmed_up_for_once_each():
    engine, logger = FakeEngine(), Logger()
    watch = SizeWatch(engine, logger, warm=(320, 240))
    for _ in range(3):
        for size in ((320, 240), (160, 120), (640, 480)):
            watch.prepare(plan(engine, size), frame(*size), None)
    assert engine.warmed_up == [(120, 160), (480, 640)]
    assert len([line for line in logger.lines if line.startswith("warmed up")]) == 2


def test_the_sizes_kept_are_bounded_and_those_in_use_stay():
    engine = FakeEngine()
    watch = SizeWatch(engine, Logger(), warm=(320, 240))
    for index in range(100):
        watch.prepare(plan(engine, (320, 240)), frame(320, 240), None)
        watch.prepare(plan(engine, (16 + index, 16)), None, None)
    assert (240, 320) not in engine.warmed_up
    assert len(watch._warm) < 20


@pytest.mark.parametrize(
    ("thermal", "visible", "grid"),
    [
        ((320, 240), (1280, 960), (320, 240)),
        ((160, 120), (640, 480), (640, 480)),
        ((384, 288), (1024, 768), (384, 288)),
        ((320, 240), (648, 480), (320, 240)),
    ],
)
def test_images_of_one_aspect_ratio_are_nothing_to_speak_of(thermal, visible, grid):
    logger = Logger()
    engine = FakeEngine()
    SizeWatch(engine, logger, warm=grid).prepare(plan(engine, grid), frame(*thermal), frame(*visible))
    assert [line for line in logger.lines if "crop" in line] == []


@pytest.mark.parametrize(
    ("thermal", "visible", "grid", "facts"),
    [
        ((320, 256), (1280, 720), (320, 256), ["visible image of 1280x720 becomes 640x512, 30% narrower"]),
        ((640, 360), (640, 480), (640, 360), ["visible image of 640x480 becomes 1280x720, 33% wider"]),
        (
            (320, 240),
            (640, 480),
            (320, 256),
            ["thermal image of 320x240 becomes 640x512, 6% narrower", "visible image of 640x480 becomes 640x512"],
        ),
    ],
)
def test_a_squeeze_is_said_once_per_camera_with_what_to_do(thermal, visible, grid, facts):
    logger = Logger()
    engine = FakeEngine()
    watch = SizeWatch(engine, logger, warm=grid)
    for _ in range(3):
        watch.prepare(plan(engine, grid), frame(*thermal), frame(*visible))
    lines = [line for line in logger.lines if "becomes" in line]
    for line, fact in zip(lines, facts, strict=True):
        assert fact in line
        assert "crop" in line


def test_which_network_fuses_what_is_said_when_it_changes():
    engine, logger = FakeEngine(), Logger()
    watch = SizeWatch(engine, logger, warm=(160, 120))
    for size in ((160, 120), (160, 120), (320, 240), (160, 120)):
        watch.prepare(plan(engine, size), frame(*size), frame(640, 480))
    said = [line for line in logger.lines if " fuses " in line]
    assert said[0] == (
        "fake fuses thermal 160x120 and visible 640x480 to 320x240: it takes both images at 160x120 (grid)"
    )
    assert len(said) == 3


def test_sizes_that_alternate_are_said_a_few_times_in_a_while():
    engine, logger = FakeEngine(), Logger()
    watch = SizeWatch(engine, logger, warm=(160, 120))
    for size in 50 * [(160, 120), (320, 240)]:
        watch.prepare(plan(engine, size), frame(*size), frame(640, 480))
    assert len([line for line in logger.lines if " fuses " in line]) == 6
