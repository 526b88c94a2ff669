"""The watch in service: a bumped camera is told; what is registered and what does not tell are left in peace."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from core_rig import NOW_NS, CoreRig, S
from numpy.typing import NDArray
from pictures import moved, outlines
from rigging import FakeEngine, Logger, wait_for

from hkdnet_ros.geometry.calibration import PairCalibration
from hkdnet_ros.geometry.calibration_files import save_calibration
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.color import to_uint8
from hkdnet_ros.images.frames import Frame, FusedFrame
from hkdnet_ros.perception.misalignment import Misalignment
from hkdnet_ros.perception.misalignment_watch import MisalignmentWatch
from hkdnet_ros.perception.registered_view import View
from hkdnet_ros.perception.worker import EVERY, LATEST
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.two_cameras import TwoCameraSimulator, usual_rig

Gray = NDArray[np.float32]
SIZE = (150, 240)
OFF = "px off the visible image"


class Watched:
    """A watch that sees pairs as they come from the pipeline, with noise of their own, in an output of 640."""

    def __init__(self, limit: float = 3.0, policy: str = EVERY) -> None:
        self.log = Logger()
        self.it = MisalignmentWatch(limit, self.log, policy)

    def see(self, thermal: Gray, visible: Gray, at_s: float) -> None:
        random = np.random.default_rng(round(at_s * 1000))
        noisy = [image + random.normal(0, 0.01, image.shape).astype(np.float32) for image in (thermal, visible)]
        stamp_ns = NOW_NS + round(at_s * S)
        frame = Frame(to_uint8(noisy[1]), stamp_ns, "", "mono8")
        height, width = visible.shape
        fused = FusedFrame(np.zeros((height * 640 // width, 640), np.uint8), stamp_ns, "", thermal=noisy[0])
        self.it.see(fused, Frame(noisy[0], stamp_ns, "", "32FC1"), frame, View())

    def stand(self, begin_s: float, end_s: float, x: float = 0, y: float = 0, seed: int = 0) -> None:
        """Look at one scene for some time, the visible image shifted by pixels of the output; black is hot."""
        scene = outlines(seed, *SIZE)
        for at_s in times(begin_s, end_s):
            self.see(1 - scene, moved(scene, x * 240 / 640, y * 240 / 640), at_s)

    @property
    def found(self) -> tuple[float, float] | None:
        found = self.it.found
        return found and (found.shift.x, found.shift.y)

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.log.lines if OFF in line]


def times(begin_s: float, end_s: float, rate: float = 2.5) -> Iterator[float]:
    return (begin_s + number / rate for number in range(round((end_s - begin_s) * rate)))


@pytest.mark.parametrize(("x", "y"), [(-5, 0), (0, 5), (20, -12)])
def test_a_camera_bumped_in_service_is_told_once_and_within_ten_seconds_and_so_is_its_return(
    x: float, y: float
) -> None:
    watched = Watched()
    watched.stand(0, 12, 1)
    assert watched.found == pytest.approx((1, 0), abs=0.5)
    assert not watched.it.warning
    watched.stand(12, 22, x, y)
    assert watched.found == pytest.approx((x, y), abs=0.5)
    assert watched.it.warning
    assert len(watched.warnings) == 1
    watched.stand(22, 32)
    assert len(watched.warnings) == 1
    assert not watched.it.warning
    assert "px of the visible image again" in watched.log.lines[-1]


def test_the_warning_says_to_which_side_thermal_is_off() -> None:
    watched = Watched()
    watched.stand(0, 8, -8, 5)
    right, down = re.match(r"thermal lies \((.*), (.*)\) px off", watched.it.warning).groups()
    assert (float(right), float(down)) == pytest.approx((8, -5), abs=0.3)


@pytest.mark.parametrize("off", [0.0, 2.0, -3.0])
def test_what_is_registered_to_a_few_pixels_is_known_and_not_warned_of(off: float) -> None:
    watched = Watched()
    watched.stand(0, 9, off)
    assert watched.found == pytest.approx((off, 0), abs=0.4)
    assert not watched.warnings


def test_clocks_that_differ_while_the_camera_pans_are_no_misalignment() -> None:
    """Thermal shows what was 80 ms before: at 100 px/s of 640 it lies 8 px off, now on this side and now on that."""
    watched, scene = Watched(), outlines(1, 150, 400)

    def seen(at_s: float) -> Gray:
        return moved(scene, -75 - 47 * np.sin(0.8 * at_s), 0)[:, :240]

    for at_s in times(0, 25, 5):
        watched.see(1 - seen(at_s - 0.08), seen(at_s), at_s)
        assert not watched.it.warning
    for at_s in times(25, 34):
        watched.see(1 - seen(25), seen(25), at_s)
    assert not watched.warnings
    assert watched.found == pytest.approx((0, 0), abs=0.5)


def test_a_long_pan_to_one_side_is_no_misalignment_either() -> None:
    """At 60 px/s of 640."""
    watched, pixels = Watched(), 60 * 240 / 640
    scene = outlines(2, 150, 240 + round(12 * pixels))
    for at_s in times(0.2, 12, 5):
        thermal, visible = (moved(scene, -pixels * when, 0)[:, :240] for when in (at_s - 0.1, at_s))
        watched.see(1 - thermal, visible, at_s)
    assert not watched.warnings
    assert watched.found is None


def test_one_who_walks_by_does_not_hide_that_the_cameras_stand_still() -> None:
    watched = Watched()
    for at_s in times(0, 9):
        scene = outlines(3, *SIZE).copy()
        left = round(25 * at_s) % 210
        scene[40:140, left : left + 30] = 0.95
        watched.see(scene, moved(scene, 3, 0), at_s)
    assert len(watched.warnings) == 1


def black(at_s: float) -> Gray:
    return np.full(SIZE, 0.02, np.float32)


def fence(at_s: float) -> Gray:
    return np.tile((np.arange(240) % 10 < 5).astype(np.float32), (150, 1))


def windows(at_s: float) -> Gray:
    rows = np.tile((np.arange(150) % 10 < 5).astype(np.float32), (240, 1)).T
    return np.asarray(fence(at_s) * rows, np.float32)


def other_scenes(at_s: float) -> Gray:
    return outlines(50, *SIZE)


def changing(at_s: float) -> Gray:
    return outlines(100 + round(at_s), *SIZE)


@pytest.mark.parametrize("scene", [black, fence, windows, other_scenes, changing])
def test_a_scene_that_does_not_tell_is_left_in_peace(scene: Callable[[float], Gray]) -> None:
    watched = Watched()
    for at_s in times(0, 10):
        seen = scene(at_s)
        felt = seen if scene in (fence, windows) else outlines(4, *SIZE)
        watched.see(felt, moved(seen, 2, 0), at_s)
    assert watched.found is None
    assert not watched.warnings


def test_what_was_known_is_known_no_more_where_the_scene_ceases_to_tell() -> None:
    watched = Watched()
    watched.stand(0, 9, 8)
    assert watched.it.warning
    for at_s in times(9, 75, 1):
        watched.see(outlines(4, *SIZE), black(at_s), at_s)
    assert watched.found is None
    assert not watched.it.warning


def test_a_bag_that_loops_is_looked_at_on_and_on() -> None:
    watched = Watched()
    for _ in range(3):
        watched.stand(0, 4, 8)
    assert watched.it.warning


def test_what_was_known_before_a_clock_jumped_back_is_forgotten_in_a_minute_too() -> None:
    watched = Watched()
    watched.stand(1000, 1009, 8)
    assert watched.it.warning
    for at_s in times(0, 66, 1):
        watched.see(outlines(4, *SIZE), black(at_s), at_s)
    assert watched.found is None


def test_another_view_begins_anew() -> None:
    watched = Watched()
    watched.stand(0, 9, 8)
    small = outlines(0, 120, 240)
    watched.see(small, small, 10)
    assert watched.found is None
    watched.stand(10, 19, 8)
    watched.it.begin_anew()
    assert watched.found is None
    assert not watched.it.warning


def test_the_limit_may_be_wider_and_at_zero_nothing_is_looked_at() -> None:
    wide, none = Watched(9), Watched(0)
    for watched in (wide, none):
        watched.stand(0, 9, 8)
        assert not watched.warnings
    assert wide.found == pytest.approx((8, 0), abs=0.5)
    assert none.found is None
    wide.it.limit = 3.0
    assert wide.it.warning


@pytest.mark.parametrize(("height", "width"), [(20, 30), (1, 500), (16, 16)])
def test_images_of_any_size_are_taken(height: int, width: int) -> None:
    watched = Watched()
    for at_s in times(0, 8):
        watched.see(np.zeros((height, width), np.float32), np.zeros((height, width), np.float32), at_s)
    assert watched.found is None


def test_live_it_looks_in_a_thread_of_its_own_that_ends_with_it() -> None:
    watched = Watched(policy=LATEST)
    scene = outlines(7, *SIZE)
    for at_s in times(0, 12):
        watched.see(scene, moved(scene, 3, 0), at_s)
        wait_for(lambda: watched.it._worker._waiting is None, what="the look")  # else a newer one takes its place
    wait_for(lambda: watched.it.warning, what="the warning")
    watched.it.stop()
    watched.it.stop()


def clip(folder: Path, step: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return (thermal, visible) of every ``step``-th frame of a clip."""
    videos = [cv2.VideoCapture(str(folder / f"{stream}.mp4")) for stream in ("thermal", "visible")]
    found, number = [], 0
    while all(video.grab() for video in videos):
        if number % step == 0:
            thermal, visible = (video.retrieve()[1] for video in videos)
            found.append((cv2.cvtColor(thermal, cv2.COLOR_BGR2GRAY), np.asarray(visible, np.uint8)))
        number += 1
    return found


@pytest.mark.parametrize(("name", "rate", "loops"), [("stairs", 30, 2), ("plaza", 22, 1)])
def test_a_registered_recording_is_left_in_peace_over_its_length_and_a_shifted_one_is_not(
    data_folder: Path, name: str, rate: int, loops: int
) -> None:
    """The short one is looped, as a bag is: its stamps jump back."""
    pairs = clip(data_folder / "replay" / name, rate // 2)
    matrix = np.array([[1, 0, 5], [0, 1, 5]], np.float64)
    for is_shifted in (False, True):
        core = CoreRig(FakeEngine(1), Logger())
        for _ in range(loops):
            for number, (thermal, visible) in enumerate(pairs):
                stamp_ns = core.now_ns = NOW_NS + round(number * (rate // 2) / rate * S)
                if is_shifted:
                    visible = cv2.warpAffine(visible, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
                core.pair(
                    stamp_ns, Frame(thermal, stamp_ns, "", "mono8"), Frame(np.asarray(visible), stamp_ns, "", "bgr8")
                )
        health = core.it.health()
        found = health.misalignment
        assert isinstance(found, Misalignment)
        assert core.sink.given_figures[-1].misalignment == found
        assert any(OFF in line for line in core.logger.lines) == is_shifted
        assert bool(health.misaligned) == is_shifted


@pytest.fixture(scope="module")
def street() -> tuple[TwoCameraSimulator, list[Any]]:
    simulator = TwoCameraSimulator(SceneConfig(seed=1), usual_rig((80, 64), (240, 136)))
    return simulator, [simulator.render(number) for number in (0, 6)]


@pytest.mark.parametrize(
    ("yaw", "reference"), [(0.0, "visible"), (0.0, "thermal"), (2.0, "visible"), (-3.0, "thermal")]
)
def test_the_simulators_rig_is_off_by_what_its_thermal_camera_was_turned(
    street: tuple[TwoCameraSimulator, list[Any]], tmp_path: Path, yaw: float, reference: str
) -> None:
    """Cameras with lenses of their own, registered by rectify at 20 m, where most of the street is."""
    simulator, rendered = street
    two = simulator.rig
    rotation, _ = cv2.Rodrigues(np.radians([0, yaw, 0]))
    pose = two.thermal_to_visible.matrix
    turned = RigidTransform.of(rotation @ pose[:3, :3], rotation @ pose[:3, 3])
    save_calibration(tmp_path / "rig.yaml", PairCalibration(two.thermal, two.visible, turned), {})
    values: dict[str, object] = {"mode": "rectify", "reference": reference, "distance": 20.0}
    values["calibration"] = str(tmp_path / "rig.yaml")
    core = CoreRig(FakeEngine(1), Logger(), **{f"registration.{name}": value for name, value in values.items()})
    for number in range(16):
        stamp_ns = core.now_ns = NOW_NS + number * S // 2
        images = rendered[number // 2 % 2]
        core.pair(
            stamp_ns, *(dataclasses.replace(image, stamp_ns=stamp_ns) for image in (images.thermal, images.visible))
        )
    health = core.it.health()
    camera, scale, sign = (two.visible, 1, -1) if reference == "visible" else (two.thermal, 2, -1)
    expected = sign * scale * camera.k[0] * np.tan(np.radians(yaw))
    assert health.misalignment is not None
    assert (health.misalignment.shift.x, health.misalignment.shift.y) == pytest.approx((expected, 0), abs=1)
    assert bool(health.misaligned) == (abs(yaw) > 0)


def test_beside_one_camera_alone_nothing_is_said() -> None:
    core, scene = CoreRig(FakeEngine(1), Logger()), to_uint8(outlines(8, *SIZE))

    def send(at_s: float, *streams: str) -> None:
        stamp_ns = core.now_ns = NOW_NS + round(at_s * S)
        for stream in streams:
            core.receive(stream, Frame(scene if stream == "thermal" else np.roll(scene, 2, 1), stamp_ns, "", "mono8"))
        core.it.tick(stamp_ns)

    for at_s in times(0, 9):
        send(at_s, "thermal", "visible")
    assert core.sink.given_figures[-1].misalignment is not None
    assert core.sink.given_figures[-1].misalignment_px == pytest.approx(2, abs=0.2)
    for at_s in times(9, 13):
        send(at_s, "visible")
    assert core.modes == ["fused", "visible"]
    assert core.sink.given_figures[-1].misalignment is None
    assert np.isnan(core.sink.given_figures[-1].misalignment_px)
    assert core.it.health().misalignment is None
