"""The core: what goes in comes out fused, counted, and in order. Without ROS."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time

import numpy as np
import pytest
from core_rig import MS, NOW_NS, S, bgr, calibration, gray
from pictures import slope
from rigging import wait_for

from hkdnet_ros.errors import ConfigError, ImageError
from hkdnet_ros.images.frames import Frame, Pair
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.sink import Drop, Wants
from hkdnet_ros.perception.statistics import BAD_PAIR, INTERNAL_ERROR, NO_SUBSCRIBER, SUPERSEDED
from hkdnet_ros.perception.worker import LATEST


def test_it_is_imported_without_ros() -> None:
    """As on a laptop: every module of ROS is blocked, this package's messages too."""
    program = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        root = name.split(".")[0]
        if root == "rclpy" or root.endswith(("_msgs", "_interfaces")) or name.startswith("hkdnet_ros.msg"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import hkdnet_ros.perception.session
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_pixels_are_those_of_the_pipeline(make_core, engine):
    core = make_core()
    thermal, visible = gray(NOW_NS), bgr(NOW_NS)
    core.pair(NOW_NS, thermal, visible)
    expected = FusionPipeline(engine).process(Pair(thermal, visible))
    np.testing.assert_array_equal(core.fused[0].image, expected.image)
    assert (core.sink.outputs[0].thermal, core.sink.outputs[0].visible) == (thermal, visible)


def test_stamp_and_frame_are_those_of_the_visible_image(make_core):
    core = make_core()
    core.receive("thermal", gray(NOW_NS))
    core.receive("visible", bgr(NOW_NS + 3 * MS))
    core.receive("thermal", gray(NOW_NS + 100 * MS))  # nothing nearer can come any more
    assert [(fused.stamp_ns, fused.frame_id) for fused in core.fused] == [(NOW_NS + 3 * MS, "visible")]


def test_a_gray_visible_image_gives_a_gray_fused_image(make_core):
    core = make_core()
    core.pair(NOW_NS, visible=gray(NOW_NS))
    assert core.fused[0].image.shape == (40, 60)


def test_the_figures_are_those_of_the_image(make_core):
    core = make_core()
    core.receive("visible", bgr(NOW_NS - 100 * MS))  # never gets a partner
    core.receive("thermal", gray(NOW_NS - 5 * MS))
    core.receive("visible", bgr(NOW_NS))
    core.receive("thermal", gray(NOW_NS + 200 * MS))
    (output,), (figures,) = core.sink.outputs, core.sink.given_figures
    assert (output.skew_ns, figures.age_ns) == (-5 * MS, 50 * MS)
    stages = list(figures.latencies)
    assert stages[:3] == ["receive", "queue", "decode"]
    assert stages[-1] == "kept"  # the sink's own
    assert {"thermal", "registration", "network", "color"} < set(stages)
    assert figures.latencies["network"] == pytest.approx(1e-3)
    assert all(0 <= latency < 10 for latency in figures.latencies.values())
    assert figures.totals.drops == {"unpaired": 1}
    assert core.sink.drops == [Drop("unpaired", visible_stamp_ns=NOW_NS - 100 * MS)]


def test_counts_add_up(make_core):
    core = make_core()
    for index in range(5):
        core.pair(NOW_NS + index * 33 * MS)
    totals = core.it.totals()
    assert (totals.received["thermal"], totals.received["visible"]) == (5, 5)
    assert (totals.pairs, totals.published, core.drops) == (5, 5, {})
    assert [figures.totals.published for figures in core.sink.given_figures] == [1, 2, 3, 4, 5]


def test_the_latest_pair_wins_while_the_engine_is_busy(make_core, engine):
    core = make_core(policy=LATEST)
    engine.go_on.clear()
    core.pair(NOW_NS)
    assert engine.entered.wait(5)
    for index in range(1, 5):
        core.pair(NOW_NS + index * 33 * MS)
    engine.go_on.set()
    wait_for(lambda: len(core.sink.given_figures) == 2)
    assert [fused.stamp_ns for fused in core.fused] == [NOW_NS, NOW_NS + 4 * 33 * MS]
    assert core.sink.drops == [Drop(SUPERSEDED, stamp, stamp) for stamp in (NOW_NS + n * 33 * MS for n in (1, 2, 3))]


@pytest.mark.parametrize("stream", ["thermal", "visible"])
def test_a_damaged_image_is_counted_and_logged_and_the_next_is_fused(make_core, stream):
    core = make_core()
    core.receive_damaged(stream)
    core.pair(NOW_NS + 33 * MS)
    assert len(core.fused) == 1
    assert core.drops == {f"bad {stream} image": 1}
    (line,) = [line for line in core.logger.lines if "dropped" in line]
    assert line == f"bad {stream} image dropped (1 so far): the data are truncated; expected more"


def test_damage_that_the_header_hides_costs_the_pair(make_core):
    core = make_core()
    core.receive("thermal", gray(NOW_NS))
    core.receive_damaged("visible", seen_at_once=False)
    core.pair(NOW_NS + 33 * MS)
    assert core.sink.drops == [Drop(BAD_PAIR, NOW_NS, NOW_NS)]
    assert len(core.fused) == 1


def test_a_flood_of_damaged_images_is_logged_once_per_period(make_core):
    core = make_core()
    for index in range(200):
        core.receive_damaged("thermal", NOW_NS + index)
    assert core.drops == {"bad thermal image": 200}
    assert len([line for line in core.logger.lines if "bad thermal" in line]) == 1


def test_stamps_to_the_second_are_said_once_with_a_remedy(make_core):
    core = make_core()
    for index in range(60):
        core.receive("thermal", gray(NOW_NS + index // 10 * S))
        core.receive("visible", bgr(NOW_NS + index * 100 * MS))
    (line,) = [line for line in core.logger.lines if "the stamp of the one before" in line]
    assert line.startswith("18 of 20 thermal images")
    assert "sync.thermal_stamps to arrival" in line


def test_images_sent_twice_by_a_relay_are_nothing_to_speak_of(make_core):
    core = make_core()
    for index in range(60):
        core.pair(NOW_NS + index // 2 * 100 * MS)
    assert not [line for line in core.logger.lines if "the stamp of the one before" in line]


def test_stamps_of_no_use_are_drops_of_their_own(make_core):
    core = make_core()
    core.pair(0)
    core.pair(NOW_NS)
    core.pair(NOW_NS)
    core.pair(NOW_NS + 40 * MS)
    core.pair(NOW_NS + 20 * MS)
    assert core.drops == {"zero stamp": 2, "duplicate": 2, "late": 2}
    for stream in ("thermal", "visible"):
        assert [line for line in core.logger.lines if line.startswith(f"{stream} image has a stamp of 0 ns")]
        assert core.it.health().stamp_oddities[stream] == {"zero stamp": 1, "duplicate": 1, "late": 1}
    assert [fused.stamp_ns for fused in core.fused] == [NOW_NS, NOW_NS + 40 * MS]


def test_a_camera_whose_clock_is_known_to_be_ahead_has_no_odd_stamps(make_core):
    core = make_core(**{"sync.thermal_offset": -3600.0})
    core.pair(NOW_NS, thermal=gray(NOW_NS + 3600 * S))
    assert core.it.health().stamp_oddities == {"thermal": {}, "visible": {}}
    assert len(core.fused) == 1


def kelvin(stamp_ns, missing=0):
    """A float image of which so many pixels are NaN."""
    image = np.random.default_rng(stamp_ns % 1000003).normal(300, 1, (20, 30)).astype(np.float32)
    image.ravel()[:missing] = np.nan
    return Frame(image, stamp_ns, "thermal", "32FC1")


def test_a_float_image_with_some_nan_is_fused(make_core):
    core = make_core()
    core.pair(NOW_NS, thermal=kelvin(NOW_NS, missing=1))
    core.pair(NOW_NS + 33 * MS, thermal=kelvin(NOW_NS + 33 * MS, missing=200))
    assert not core.drops
    assert len(core.fused) == 2


def test_a_float_image_that_is_mostly_nan_is_dropped_and_the_next_pair_is_fused(make_core):
    core = make_core()
    core.pair(NOW_NS, thermal=kelvin(NOW_NS, missing=301))
    assert core.drops == {"bad thermal image": 1}
    core.pair(NOW_NS + 33 * MS, thermal=kelvin(NOW_NS + 33 * MS))
    assert len(core.fused) == 1
    assert any("301 NaN or infinite pixels of 600" in line for line in core.logger.lines)


def test_a_size_that_changes_mid_stream_is_followed(make_core, engine):
    core = make_core()
    sizes = [(20, 30), (24, 32), (20, 30), (31, 17)]
    for index, (height, width) in enumerate(sizes):
        stamp_ns = NOW_NS + index * 33 * MS
        core.pair(stamp_ns, gray(stamp_ns, height, width), bgr(stamp_ns, 2 * height, 3 * width))
    assert [fused.image.shape[:2] for fused in core.fused] == [(2 * h, 2 * w) for h, w in sizes]
    assert engine.warmed_up == [(20, 30), (24, 32), (31, 17)]
    assert core.drops == {}


def test_a_given_grid_decides_the_size_and_was_warmed_up_before(make_core, engine):
    core = make_core(grid=[32, 24])
    core.pair(NOW_NS)
    assert core.fused[0].image.shape[:2] == (48, 64)
    assert engine.warmed_up == []


def test_an_error_of_the_engine_drops_the_pair_with_its_reason(make_core, engine):
    core = make_core()
    engine.error = ImageError("too small for this network; expected 16x16")
    core.pair(NOW_NS)
    assert core.drops == {BAD_PAIR: 1}
    assert any("expected 16x16" in line for line in core.logger.lines)


def test_a_defect_is_logged_with_its_traceback_and_does_not_end_the_session(make_core, engine):
    core = make_core()
    engine.error = ZeroDivisionError("a defect")
    core.pair(NOW_NS)
    assert core.drops == {INTERNAL_ERROR: 1}
    (line,) = [line for line in core.logger.lines if "internal error" in line]
    assert "Traceback" in line
    assert "ZeroDivisionError: a defect" in line
    engine.error = None
    core.pair(NOW_NS + 33 * MS)
    assert len(core.fused) == 1


@pytest.mark.parametrize("policy", ["latest", "every"])
def test_nothing_is_passed_on_after_the_stop(make_core, policy):
    core = make_core(policy=policy)
    core.it.stop()
    core.pair(NOW_NS)
    assert core.fused == []
    assert core.drops == {SUPERSEDED: 1}


def test_what_waits_at_the_end_is_paired_by_a_flush(make_core):
    core = make_core()
    for index in range(4):  # visible comes 3 ms after thermal: a nearer one may come, until none does
        core.receive("thermal", gray(NOW_NS + index * 33 * MS))
        core.receive("visible", bgr(NOW_NS + index * 33 * MS + 3 * MS))
    core.receive("thermal", gray(NOW_NS + 500 * MS))
    core.it.flush()
    assert len(core.fused) == 4
    assert core.sink.drops == [Drop("unpaired", thermal_stamp_ns=NOW_NS + 500 * MS)]


def test_where_nobody_wants_the_result_nothing_is_fused(make_core, engine):
    core = make_core()
    core.sink.now_wants = Wants(fused=False)
    core.pair(NOW_NS)
    assert core.drops == {NO_SUBSCRIBER: 1}
    assert (engine.given, core.sink.previews) == ([], [])
    assert not core.it.health().is_wanted
    core.sink.now_wants = Wants(fused=False, conditioned=True)
    core.pair(NOW_NS + 33 * MS, Frame(slope(20, 30), NOW_NS + 33 * MS, "thermal", "mono8"))
    ((thermal, conditioned),) = core.sink.previews
    np.testing.assert_array_equal(conditioned, thermal.image / np.float32(255))
    assert (engine.given, core.drops) == ([], {NO_SUBSCRIBER: 2})


def test_the_calibration_is_scaled_to_the_output_with_the_half_pixel(make_core):
    core = make_core()
    original = calibration(30, 20)
    core.it.receive_calibration("visible", original, 0)
    core.pair(NOW_NS)
    model = core.sink.outputs[0].camera_model
    assert (model.width, model.height, model.frame_id) == (60, 40, "visible")
    assert model.d == original.d
    # A point seen at (u, v), pixel centres at integers, is seen at (2u + 0.5, 2v + 0.5) in an image twice the size.
    for name, columns in (("k", 3), ("p", 4)):
        scaled, before = (np.reshape(getattr(it, name), (3, columns)) for it in (model, original))
        point = np.array([0.3, -0.2, 2.0, 1.0])[:columns]
        u, v, w = before @ point
        np.testing.assert_allclose(scaled @ point / w, [2 * u / w + 0.5, 2 * v / w + 0.5, 1])


def test_without_calibration_there_is_none(make_core):
    core = make_core()
    core.pair(NOW_NS)
    assert core.sink.outputs[0].camera_model is None


def test_the_thermal_image_alone_has_the_calibration_of_its_own_camera(make_core):
    core = make_core(**{"mode.without_visible": "thermal"})
    core.it.receive_calibration("visible", calibration(30, 20), 0)
    core.it.receive_calibration("thermal", calibration(30, 20, 21.0), 0)
    core.stream(1)
    assert {output.camera_model.k[0] for output in core.sink.outputs} == {50.0}
    core.stream(2, visible=False)
    assert core.modes == ["fused", "thermal"]
    model = core.sink.outputs[-1].camera_model
    assert (model.k[0], model.frame_id) == (42.0, "thermal")


def test_what_is_wrong_with_a_calibration_is_in_the_health(make_core):
    core = make_core()
    core.it.receive_calibration("visible", calibration(31, 20), 0)
    core.pair(NOW_NS)
    assert core.sink.outputs[0].camera_model is None
    found = core.it.health().calibration
    assert (found.received, found.mismatches) == ({"visible": 1}, {"visible other size": 1})
    (line,) = [line for line in core.logger.lines if "camera_info" in line]
    assert found.current[0] in line


def test_the_skew_is_the_one_that_pairing_used(make_core):
    """A thermal clock that is 0.2 s behind, said so by the offset: the images are 4 ms apart and not 204."""
    core = make_core(**{"sync.thermal_offset": 0.2})
    core.pair(NOW_NS, gray(NOW_NS - 204 * MS), bgr(NOW_NS))
    core.receive("thermal", gray(NOW_NS + 100 * MS))
    assert core.sink.outputs[0].skew_ns == -4 * MS


def test_a_looping_recording_is_the_same_in_every_run(make_core):
    """Range, shutter and pairing of a run know nothing of the one before, which ended hot and with one stream only."""
    core = make_core(**{"thermal.time_constant": 100.0})
    random = np.random.default_rng(0)
    shots = [(random.integers(0, 400 * (index + 1), (20, 30)).astype(np.uint16), index) for index in range(30)]
    runs = []
    for _ in range(3):
        before = len(core.fused)
        for counts, index in shots:
            core.now_ns += 33 * MS
            core.receive("thermal", Frame(counts, NOW_NS + index * 33 * MS, "thermal", "mono16"))
            if index < 25:
                core.receive("visible", bgr(NOW_NS + index * 33 * MS, seed=index))
        runs.append(core.fused[before:])
    for run in runs[1:]:
        assert [fused.stamp_ns for fused in run] == [fused.stamp_ns for fused in runs[0]]
        for first, again in zip(runs[0], run, strict=True):
            np.testing.assert_array_equal(first.image, again.image)
    assert core.drops == {"reset": 10}


def test_a_clock_that_is_set_is_no_silence(make_core):
    core = make_core()
    core.stream(1)
    core.now_ns += 3600 * S
    core.it.tick(core.now_ns)
    core.stream(1)
    assert core.modes == ["fused"]
    assert core.sink.changes == []
    core.now_ns -= 7200 * S
    core.stream(1)
    assert core.modes == ["fused"]
    assert core.sink.changes == []
    assert core.it.health().rates["thermal"] == pytest.approx(10, rel=0.2)


def test_every_image_is_fused_or_dropped_whatever_comes(make_core):
    random = np.random.default_rng(1)
    core = make_core(**{"mode.without_visible": "thermal", "mode.return_time": 0.1})
    sent = 0
    for _ in range(800):
        core.now_ns += int(random.integers(1, 60)) * MS
        stamp_ns = core.now_ns + int(random.choice([0, 0, 0, -20, -5000, 30])) * MS
        stream = str(random.choice(["thermal", "visible"], p=[0.6, 0.4]))
        core.receive(stream, gray(stamp_ns) if stream == "thermal" else bgr(stamp_ns))
        core.it.tick(core.now_ns)
        sent += 1
    core.it.flush()
    dropped = sum((d.thermal_stamp_ns is not None) + (d.visible_stamp_ns is not None) for d in core.sink.drops)
    fused = sum((o.thermal is not None) + (o.visible is not None) for o in core.sink.outputs)
    assert core.drops
    assert fused + dropped == sent
    assert core.fused


def test_a_policy_that_is_none_is_refused(make_core):
    with pytest.raises(ConfigError, match="latest or every"):
        make_core(policy="all")


def test_a_policy_of_every_needs_no_thread(make_core):
    core = make_core()
    began = time.perf_counter()
    for index in range(50):
        core.pair(NOW_NS + index * 33 * MS)
    assert len(core.fused) == 50
    assert time.perf_counter() - began < 20
    assert dataclasses.astuple(core.it.totals())[1:3] == (50, 50)
