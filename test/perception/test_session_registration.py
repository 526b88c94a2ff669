"""Registration within the core: what is missing is a counted drop, and what comes has the reference's calibration."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from core_rig import MS, NOW_NS, KeepingSink, S
from lenses import formula
from rigging import FakeEngine, Logger

from hkdnet_ros.errors import ImageError
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.node.schema import build
from hkdnet_ros.perception.incoming import Calibration, Depth, Incoming, Transform
from hkdnet_ros.perception.run import run
from hkdnet_ros.perception.session import Session
from hkdnet_ros.perception.sink import Wants
from hkdnet_ros.perception.worker import EVERY, LATEST

THERMAL = CameraModel(32, 24, "thermal", (30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0), (0.0,) * 5)
VISIBLE = CameraModel(
    128, 96, "visible", (60.0, 0.0, 64.5, 0.0, 60.0, 47.5, 0.0, 0.0, 1.0), (-0.1, 0.02, 0.0, 0.0, 0.0)
)
BESIDE = RigidTransform(translation=(0.1, 0.0, 0.0))


def thermal_image(stamp_ns, kelvin=300.0):
    return Frame(np.full((24, 32), round(kelvin * 100), np.uint16), stamp_ns, "thermal", "mono16")


def visible_image(stamp_ns):
    return Frame(np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8), stamp_ns, "visible", "bgr8")


def feed(core, stamp_ns):
    core.pair(stamp_ns, thermal_image(stamp_ns), visible_image(stamp_ns))
    core.it.flush()


def calibrate(core):
    core.it.receive_calibration("thermal", THERMAL, 0)
    core.it.receive_calibration("visible", VISIBLE, 0)


def depth_image(stamp_ns, metres=2.0):
    return Frame(np.full((96, 128), metres, np.float32), stamp_ns, "visible", "32FC1")


def receive_depth(core, frame=None, *, error=None):
    """Take a depth image as it would arrive now, or one that cannot be decoded."""

    def decode():
        if error:
            raise error
        return frame

    stamp_ns = frame.stamp_ns if frame else core.now_ns
    core.it.receive_depth(Incoming("depth", stamp_ns, core.now_ns, "visible", decode=decode))


def test_pairs_are_dropped_and_counted_until_all_is_known(make_core):
    core = make_core(**{"registration.mode": "rectify"})
    feed(core, NOW_NS)
    calibrate(core)
    feed(core, NOW_NS + S)
    assert core.drops == {"not registered": 2}
    lines = [line for line in core.logger.lines if "not registered" in line]
    assert "no calibration of the thermal camera" in lines[0]
    assert "no transform from 'thermal' to 'visible'" in core.it.health().not_registered
    core.it.receive_transform("visible", "thermal", BESIDE)
    feed(core, NOW_NS + 2 * S)
    assert len(core.fused) == 1
    assert core.fused[0].image.shape == (96, 128, 3)
    assert core.it.health().not_registered == ""
    assert core.drops == {"not registered": 2}


@pytest.mark.parametrize(("added", "is_said"), [(0.0, True), (0.078, False)])
def test_a_calibration_whose_offset_is_not_added_is_said(make_core, tmp_path, added, is_said):
    path = tmp_path / "pair.yaml"
    path.write_text("format: hkdnet_ros calibration 1\nthermal_offset: 0.08\n")
    core = make_core(**{"registration.mode": "rectify", "registration.calibration": str(path),
                        "sync.thermal_offset": added})  # fmt: skip
    assert any("set sync.thermal_offset to 0.080" in line for line in core.logger.lines) == is_said


def test_a_calibration_of_another_size_comes_to_a_counted_drop_and_the_right_one_ends_it(make_core):
    core = make_core(**{"registration.mode": "rectify"})
    core.it.receive_transform("visible", "thermal", BESIDE)
    calibrate(core)
    core.it.receive_calibration("thermal", dataclasses.replace(THERMAL, width=640, height=480), 0)
    feed(core, NOW_NS)
    assert core.drops == {"not registered": 1}
    calibrate(core)
    feed(core, NOW_NS + S)
    assert len(core.fused) == 1


def drive(core, count=12, late_ns=60 * MS, depth=depth_image, period_ns=33 * MS):
    """Let both cameras send at 30 Hz, and a depth image of each moment arrive later; return the moments."""
    moments = [NOW_NS + number * period_ns for number in range(1, count + 1)]
    events = [(stamp_ns + 20 * MS, 0, stamp_ns) for stamp_ns in moments]
    events += [(stamp_ns + 20 * MS + late_ns, 1, stamp_ns) for stamp_ns in moments] if depth else []
    events += [(moments[0] + number * 100 * MS, 2, 0) for number in range(count * period_ns // (100 * MS) + 3)]
    for core.now_ns, kind, stamp_ns in sorted(events):
        if kind == 0:
            core.pair(stamp_ns, thermal_image(stamp_ns), visible_image(stamp_ns))
        elif kind == 1:
            receive_depth(core, depth(stamp_ns))
        else:
            core.it.tick(core.now_ns)
    return moments


def depths_used(core):
    """Let each fused frame note the depth image that registered it; return what will be the list of their stamps."""
    registration, used = core.it._work.registration, []
    take = core.sink.fused

    def fused(output):
        used.append(registration._depth.stamp_ns)
        return take(output)

    core.sink.fused = fused
    return used


@pytest.mark.parametrize("late_ns", [-15 * MS, 0, 30 * MS, 95 * MS])
def test_each_pair_is_registered_by_its_own_depth_image_that_comes_within_the_timeout(make_by_depth, late_ns):
    core = make_by_depth()
    used = depths_used(core)
    moments = drive(core, late_ns=late_ns)
    core.it.flush()
    assert [fused.stamp_ns for fused in core.fused] == moments
    assert used == moments
    assert core.drops == {}


def test_depth_that_comes_later_than_the_timeout_does_not_hold_pairs_back_and_is_said(make_by_depth):
    core = make_by_depth(**{"registration.depth_timeout": 0.05})
    moments = drive(core, late_ns=150 * MS)
    core.it.flush()
    assert core.drops == {"not registered": len(moments)}
    assert any("no depth image came in time" in line for line in core.logger.lines)
    assert "registration.depth_timeout" in core.it.health().not_registered


def test_after_the_timeout_the_nearest_older_depth_image_counts(make_by_depth):
    core = make_by_depth(**{"registration.depth_timeout": 0.05, "registration.depth_slop": 0.2})
    used = depths_used(core)
    moments = drive(core, late_ns=100 * MS)
    core.it.flush()
    late = [stamp_ns - found for stamp_ns, found in zip(moments[-8:], used[-8:], strict=True)]
    assert set(late) <= {33 * MS, 66 * MS, 99 * MS}  # the node's timer decides, too
    assert core.drops.keys() <= {"not registered"}  # before the first


def test_a_depth_stream_that_dies_and_comes_back(make_by_depth):
    core = make_by_depth()
    moments = drive(core, 6)
    core.it.flush()
    assert [fused.stamp_ns for fused in core.fused] == moments
    core.now_ns += 5 * S
    rest = [stamp_ns + 5 * S for stamp_ns in moments]
    for stamp_ns in rest:
        core.now_ns = stamp_ns + 20 * MS
        core.pair(stamp_ns, thermal_image(stamp_ns), visible_image(stamp_ns))
    core.now_ns += 100 * MS
    core.it.tick(core.now_ns)
    assert core.drops == {"not registered": len(moments)}
    assert "the nearest depth image is 5" in core.it.health().not_registered
    assert core.it.health().rates["depth"] < 3
    receive_depth(core, depth_image(rest[-1] + 33 * MS))
    core.pair(rest[-1] + 33 * MS, thermal_image(rest[-1] + 33 * MS), visible_image(rest[-1] + 33 * MS))
    core.it.flush()
    assert core.fused[-1].stamp_ns == rest[-1] + 33 * MS
    assert core.it.health().not_registered == ""


def test_all_streams_may_begin_anew_as_a_looping_bag_does(make_by_depth):
    core = make_by_depth()
    used = depths_used(core)
    moments = [NOW_NS + number * 33 * MS for number in range(1, 80)]
    for loop in range(2):
        for stamp_ns in moments:
            core.now_ns = stamp_ns + loop * 4 * S + 20 * MS
            core.pair(stamp_ns, thermal_image(stamp_ns), visible_image(stamp_ns))
            core.now_ns += 10 * MS
            receive_depth(core, depth_image(stamp_ns))
            core.it.tick(core.now_ns)
    core.it.flush()
    assert used == [fused.stamp_ns for fused in core.fused]
    assert len(core.fused) >= 2 * len(moments) - 3
    assert core.drops.get("not registered", 0) == 0


def test_a_camera_without_a_clock_gives_its_depth_the_time_of_arrival_too(make_by_depth):
    core = make_by_depth(**{"sync.visible_stamps": "arrival", "sync.thermal_stamps": "arrival"})
    for _ in range(5):
        core.now_ns += 33 * MS
        core.pair(1, thermal_image(1), visible_image(1))
        core.now_ns += 10 * MS
        receive_depth(core, depth_image(1))
    core.it.flush()
    assert len(core.fused) == 5
    assert core.drops == {}


def test_pairs_that_wait_for_depth_go_out_before_one_camera_is_published_alone(make_by_depth):
    core = make_by_depth(**{"registration.depth_timeout": 5.0, "registration.depth_slop": 10.0, "mode.limit": 0.5})
    receive_depth(core, depth_image(NOW_NS + 10 * MS))
    moments = drive(core, 3, depth=None)
    assert core.fused == []
    for _ in range(30):
        core.now_ns += 50 * MS
        core.receive("visible", visible_image(core.now_ns))
        core.it.tick(core.now_ns)
    assert [fused.stamp_ns for fused in core.fused[:3]] == moments
    assert core.modes == ["fused", "visible"]
    stamps = [fused.stamp_ns for fused in core.fused]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("policy", [EVERY, LATEST])
def test_pairs_that_wait_for_depth_when_the_session_stops_are_counted_and_not_published(make_by_depth, policy):
    core = make_by_depth(policy=policy, **{"registration.depth_timeout": 5.0})
    moments = drive(core, 5, depth=None)
    core.it.stop()
    assert core.drops == {"superseded": len(moments)}
    assert core.fused == []


@pytest.mark.parametrize(
    ("frame", "error", "reason", "fact"),
    [
        (None, ImageError("the data are truncated; expected more"), "bad depth image", "truncated"),
        (depth_image(0), None, "zero stamp", "depth image has a stamp of 0 ns; expected that of the visible image"),
    ],
)
def test_depth_that_is_of_no_use_is_counted_and_the_next_is_used(make_by_depth, frame, error, reason, fact):
    core = make_by_depth()
    receive_depth(core, frame, error=error)
    feed(core, NOW_NS)
    assert core.drops == {reason: 1, "not registered": 1}
    assert any(fact in line for line in core.logger.lines)
    receive_depth(core, depth_image(NOW_NS))
    feed(core, NOW_NS + S // 50)
    assert len(core.fused) == 1


@pytest.mark.parametrize(("reference", "border"), [("visible", "reference"), ("visible", "crop"), ("thermal", "keep")])
def test_the_output_has_the_calibration_of_its_view(make_core, reference, border):
    """A point is projected by the output's calibration to where its camera sees it."""
    core = make_core(
        **{"registration.mode": "rectify", "registration.reference": reference, "registration.border": border}
    )
    calibrate(core)
    core.it.receive_transform("visible", "thermal", BESIDE)
    feed(core, NOW_NS)
    output = core.sink.outputs[0]
    model, camera = output.camera_model, {"visible": VISIBLE, "thermal": THERMAL}[reference]
    height, width = output.fused.image.shape[:2]
    assert (model.width, model.height, model.frame_id) == (width, height, reference)
    assert output.fused.frame_id == reference
    left, top, columns, rows = output.fused.window or (0, 0, camera.width, camera.height)
    assert (border == "crop") == (output.fused.window is not None)
    point = np.array([[0.2, -0.1, 3.0]])
    expected = (formula(point, camera) + 0.5 - (left, top)) * (width / columns, height / rows) - 0.5
    np.testing.assert_allclose(formula(point, model), expected, atol=1e-6)


def test_temperature_and_validity_come_while_they_are_wanted(make_core):
    core = make_core(**{"registration.mode": "rectify", "temperature.source": "lepton"})
    calibrate(core)
    core.it.receive_transform("visible", "thermal", BESIDE)
    feed(core, NOW_NS)
    core.sink.now_wants = Wants(validity=True, temperature=True)
    feed(core, NOW_NS + S)
    without, with_both = core.fused
    assert without.temperature is without.validity is None
    np.testing.assert_array_equal(np.isnan(with_both.temperature), with_both.validity == 0)
    assert np.nanmedian(with_both.temperature) == pytest.approx(300.0, abs=0.01)


def test_a_held_thermal_image_measures_nothing_now(make_core):
    core = make_core(**{"registration.mode": "rectify", "temperature.source": "lepton", "shutter.action": "hold"})
    calibrate(core)
    core.it.receive_transform("visible", "thermal", BESIDE)
    core.sink.now_wants = Wants(temperature=True)
    feed(core, NOW_NS)
    core.it.receive_shutter(True)
    core.now_ns += S // 10
    feed(core, NOW_NS + S // 10)
    assert [fused.mode for fused in core.fused] == ["fused", "held"]
    assert np.isfinite(core.fused[0].temperature).any()
    assert np.isnan(core.fused[1].temperature).all()


@pytest.mark.parametrize(
    ("metres", "fact"),
    [
        (np.nan, "has a value in 0.0% of its pixels; registered is what lies 10 m ahead"),
        (2400.0, "are beyond 100; expected metres in 32FC1"),
    ],
)
def test_depth_that_says_nothing_or_is_in_millimetres_is_said_and_not_a_drop(make_by_depth, metres, fact):
    core = make_by_depth()
    for number, value in enumerate((2.0, metres, metres, 2.0)):
        stamp_ns = NOW_NS + number * S
        receive_depth(core, depth_image(stamp_ns, value))
        feed(core, stamp_ns)
        assert (fact in core.it.health().poorly_registered) == (value != 2.0)
    assert len(core.fused) == 4
    assert [fact in line for line in core.logger.lines].count(True) == 1


def recorded_depth(stamp_ns, late_ns):
    incoming = Incoming("depth", stamp_ns, stamp_ns + late_ns, "visible", decode=lambda: depth_image(stamp_ns))
    return Depth(incoming)


def test_a_recording_in_which_depth_comes_late_gives_the_same_in_every_run():
    random = np.random.default_rng(0)
    moments = [NOW_NS + number * 33 * MS for number in range(40)]
    recording = [Calibration("thermal", THERMAL, 0, NOW_NS), Calibration("visible", VISIBLE, 0, NOW_NS)]
    recording.append(Transform("visible", "thermal", BESIDE, NOW_NS))
    for stamp_ns in moments:
        for stream, make in (("thermal", thermal_image), ("visible", visible_image)):
            frame = make(stamp_ns)
            recording.append(Incoming(stream, stamp_ns, stamp_ns + 20 * MS, stream, decode=lambda frame=frame: frame))
        recording.append(recorded_depth(stamp_ns, int(random.integers(30 * MS, 160 * MS))))
    recording.sort(key=lambda arrival: arrival.arrived_ns)
    outcomes = []
    for _ in range(2):
        sink = KeepingSink()
        session = Session(build({"registration.mode": "depth"}), FakeEngine(), sink, Logger(), policy=EVERY)
        run(session, recording)
        session.flush()
        outcomes.append((sink, session.totals()))
    (first, totals), (again, others) = outcomes
    assert totals == others
    assert totals.published + totals.drops["not registered"] == len(moments)
    assert totals.published > 30
    assert first.drops == again.drops
    for one, other in zip(first.outputs, again.outputs, strict=True):
        assert one.fused.stamp_ns == other.fused.stamp_ns
        np.testing.assert_array_equal(one.fused.image, other.fused.image)
