"""The core where a camera or the device fails: its modes, and the ways back. Without ROS."""

from __future__ import annotations

import pytest
from core_rig import NOW_NS, S, bgr, calibration, noisy

from hkdnet_ros.errors import DeviceError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.node.schema import build
from hkdnet_ros.perception.statistics import DEVICE_FAILED


def changes(core):
    return [line for line in core.logger.lines if line.startswith("mode ")]


def test_without_thermal_the_visible_image_goes_on_alone_and_fusion_comes_back_by_itself(make_core):
    core = make_core()
    core.stream(1)
    core.stream(2, thermal=False)
    assert core.modes == ["fused", "visible"]
    assert core.fused[-1].image.shape == (40, 60, 3)
    core.stream(2)
    assert core.modes == ["fused", "visible", "fused"]
    lost, back = changes(core)
    assert lost.startswith("mode visible: no thermal image in time for 1.")
    assert back == "mode fused: both cameras send live images again"
    stamps = [fused.stamp_ns for fused in core.fused]
    assert stamps == sorted(set(stamps))


def test_the_log_warns_of_silence_only_once_a_camera_has_sent(make_core, monkeypatch):
    core = make_core()
    said = []
    monkeypatch.setattr(core.logger, "_keep", lambda line, severity: said.append(f"{severity}: {line}"))
    core.stream(2, thermal=False, visible=False)
    core.stream(1)
    core.stream(2, thermal=False, visible=False)
    waiting, fused, stopped = [line for line in said if "mode " in line]
    assert waiting == "info: mode stopped: no camera has sent an image yet"
    assert fused == "info: mode fused: both cameras send live images again"
    assert stopped.startswith("warning: mode stopped: neither camera has sent an image for 1.")


def test_without_visible_it_stops_or_the_thermal_image_goes_on_alone_as_the_parameter_says(make_core):
    core = make_core()
    core.stream(1)
    core.stream(2, visible=False)
    assert core.modes == ["fused"]
    assert changes(core)[0].startswith("mode stopped: no visible image in time")
    alone = make_core(**{"mode.without_visible": "thermal"})
    alone.stream(1)
    alone.stream(2, visible=False)
    assert alone.modes == ["fused", "thermal"]
    assert (alone.fused[-1].image.shape, alone.fused[-1].frame_id) == ((40, 60), "thermal")
    alone.stream(2)
    assert alone.modes == ["fused", "thermal", "fused"]


def frozen_from(core):
    """Return what a camera sends that repeats its image of now."""
    image = noisy(core.now_ns).image
    return lambda stamp_ns: Frame(image, stamp_ns, "thermal", "mono8")


@pytest.mark.parametrize(
    ("action", "expected"),
    [("hold", ["fused", "held", "fused"]), ("skip", ["fused"]), ("visible", ["fused", "visible", "fused"])],
)
def test_a_closed_shutter_is_bridged_as_the_parameter_says(make_core, action, expected):
    core = make_core(**{"shutter.action": action, "mode.return_time": 0.3})
    core.stream(4)
    core.stream(2, make_thermal=frozen_from(core))
    assert core.it.mode == ("visible" if action == "visible" else "fused")
    core.stream(1)
    assert core.modes == expected
    assert any(line == f"thermal image is frozen; {action}" for line in core.logger.lines)
    assert "thermal image is live" in core.logger.lines


def test_a_thermal_camera_that_stays_frozen_counts_as_lost(make_core):
    core = make_core()
    core.stream(4)
    core.stream(5, make_thermal=frozen_from(core))
    assert core.modes == ["fused", "held", "visible"]
    assert "thermal image is frozen for 3." in changes(core)[0]


@pytest.mark.parametrize(("policy", "expected"), [("stop", ["fused"]), ("thermal", ["fused", "thermal", "fused"])])
def test_a_visible_camera_that_stays_frozen_counts_as_lost(make_core, policy, expected):
    core = make_core(**{"mode.without_visible": policy})

    def live(stamp_ns):
        return bgr(stamp_ns, seed=stamp_ns)

    core.stream(5, make_visible=live)
    core.stream(5)  # always the same
    count = len(core.fused)
    core.stream(1)
    assert (len(core.fused) > count) == (policy == "thermal")
    core.stream(3, make_visible=live)
    assert core.fused[-1].mode == "fused"
    assert core.modes == expected
    assert any("visible image is frozen for 3." in line for line in changes(core))


def test_the_shutter_flag_of_the_camera_holds_the_last_image(make_core):
    core = make_core()
    core.stream(1)
    core.it.receive_shutter(True)
    core.stream(1)
    core.it.receive_shutter(False)
    held = [output.skew_ns for output in core.sink.outputs if output.fused.mode == "held"]
    assert held[:3] == [-S // 10, -2 * S // 10, -3 * S // 10]
    core.stream(1)
    assert core.modes == ["fused", "held", "fused"]


def test_where_nothing_pairs_the_log_says_what_would_mend_it(make_core):
    core = make_core(**{"mode.limit": 5.0})

    def two_seconds_slow(stamp_ns):  # more than the 10 images that wait for a partner
        return noisy(stamp_ns - 2 * S)

    core.stream(11, make_thermal=two_seconds_slow)
    (line,) = [line for line in core.logger.lines if line.startswith("nothing paired")]
    offset = float(line.split("set sync.thermal_offset to ")[1].split(";")[0])
    assert offset == pytest.approx(2, abs=0.11)
    assert core.fused == []
    core.it.reconfigure(build({"sync.thermal_offset": 2}))
    core.stream(1, make_thermal=two_seconds_slow)
    assert core.modes == ["fused"]


def test_right_stamps_that_come_late_pair_by_default_all_of_them(make_core):
    """Thermal at 60 Hz, visible at 30 Hz and 0.6 s late."""
    core = make_core()
    stamps = [core.now_ns + index * S // 60 for index in range(480)]
    arrivals = sorted(
        [(stamp, "thermal", stamp) for stamp in stamps]
        + [(stamp + 6 * S // 10, "visible", stamp) for stamp in stamps[::2]]
    )
    for core.now_ns, stream, stamp_ns in arrivals:
        core.receive(stream, noisy(stamp_ns) if stream == "thermal" else bgr(stamp_ns))
        core.it.tick(core.now_ns)
    core.it.flush()
    assert [output.skew_ns for output in core.sink.outputs] == [0] * 240
    assert core.modes == ["fused"]
    assert not [line for line in core.logger.lines if "offset" in line]
    assert [line for line in core.logger.lines if line.startswith("visible images arrive up to 0.60 s after")]
    assert core.it.health().delays["visible"] == pytest.approx((0.6, 0.6))


def test_a_camera_that_died_has_no_skew_and_an_old_cause_does_not_stay(make_core):
    core = make_core(**{"mode.limit": 1.0})
    core.stream(3, thermal=False, visible=False)
    assert core.it.health().cause == "no camera has sent an image yet"
    core.stream(25, visible=False)
    lines = [line for line in core.logger.lines if line.startswith("nothing paired")]
    assert lines
    assert not [line for line in lines if "skew" in line or "offset" in line]
    assert lines[-1].endswith("check that the visible camera publishes, and its topic's name")
    health = core.it.health()
    assert (health.mode, health.trouble) == ("stopped", lines[-1])
    assert health.cause.startswith("no visible image in time for ")
    core.stream(3)
    health = core.it.health()
    assert (health.mode, health.cause, health.trouble) == ("fused", "both cameras send live images again", "")


@pytest.mark.parametrize("seen_at_once", [True, False])
def test_a_visible_camera_that_cannot_be_decoded_is_lost_and_comes_back(make_core, seen_at_once):
    core = make_core()
    core.stream(1)
    before = len(core.fused)
    for _ in range(120):
        core.now_ns += S // 10
        core.receive("thermal", noisy(core.now_ns))
        core.receive_damaged("visible", core.now_ns, seen_at_once=seen_at_once)
        core.it.tick(core.now_ns)
    health = core.it.health()
    assert health.mode == "stopped"
    assert health.cause.endswith("(bad visible image)")
    assert "no visible image could be used: " in health.trouble
    assert "skew" not in health.trouble
    assert len(core.fused) == before
    core.stream(3)
    assert core.it.mode == "fused"
    assert len(core.fused) > before + 25


def test_a_thermal_camera_that_cannot_be_decoded_leaves_the_visible_one(make_core):
    core = make_core()
    for _ in range(50):
        core.now_ns += S // 10
        core.receive_damaged("thermal", core.now_ns)
        core.receive("visible", bgr(core.now_ns))
        core.it.tick(core.now_ns)
    assert core.modes == ["visible"]
    assert core.it.health().cause.endswith("(bad thermal image)")


def test_a_camera_without_a_clock_is_stamped_as_it_arrives(make_core):
    core = make_core(**{"sync.thermal_stamps": "arrival"})
    core.it.receive_calibration("visible", calibration(30, 20), 0)
    for _ in range(50):
        core.now_ns += S // 10
        core.receive("visible", bgr(core.now_ns))
        core.receive("thermal", noisy(0))
        core.it.tick(core.now_ns)
    assert len(core.fused) == 50
    assert {output.skew_ns for output in core.sink.outputs} == {0}
    assert core.drops == {}
    assert core.sink.outputs[-1].thermal.stamp_ns == core.now_ns


def test_a_fused_image_has_the_time_of_arrival_where_the_visible_one_has_it(make_core):
    core = make_core(**{"sync.visible_stamps": "arrival"})
    core.it.receive_calibration("visible", calibration(30, 20), 5 * S)  # by a clock of its own
    for index in range(5):
        core.now_ns += S // 10
        core.receive("thermal", noisy(core.now_ns))
        core.receive("visible", bgr(5 * S + index))
        core.receive("visible", bgr(5 * S + index))  # two in one step of a simulation's clock
    assert [fused.stamp_ns for fused in core.fused] == [core.now_ns - step * S // 10 for step in (4, 3, 2, 1, 0)]
    assert core.sink.outputs[-1].camera_model is not None
    assert not [line for line in core.logger.lines if "older" in line]
    assert "duplicate" not in core.drops


@pytest.mark.parametrize("slow", ["thermal", "visible"])
@pytest.mark.parametrize("period", [1, 5])
def test_a_camera_that_sends_once_in_seconds_is_fused_by_default(make_core, slow, period):
    core = make_core(**{"mode.without_visible": "thermal"})
    for tick in range(600):
        core.now_ns += S // 10
        due = tick % (10 * period) == 0
        if slow == "visible" or due:
            core.receive("thermal", noisy(core.now_ns))
        if slow == "thermal" or due:
            core.receive("visible", bgr(core.now_ns, seed=tick))
        core.it.tick(core.now_ns)
    assert core.it.mode == "fused"
    begun_ns = next(fused.stamp_ns for fused in core.fused if fused.mode == "fused")
    late = [fused.mode for fused in core.fused if fused.stamp_ns > begun_ns + 4 * period * S]
    assert late == ["fused"] * len(late)
    assert len(late) > 25 / period
    assert len([line for line in core.logger.lines if line.startswith(f"a {slow} image comes every {period}.0 s")]) == 1
    assert all("the mode is" in line for line in core.logger.lines if line.startswith("nothing paired"))


def test_where_one_camera_falters_the_mode_says_why_nothing_pairs_and_not_the_queues(make_core):
    core = make_core()
    core.stream(2)
    for _ in range(12):
        core.stream(0.1)
        core.stream(1.8, thermal=False)
    lines = [line for line in core.logger.lines if line.startswith("nothing paired")]
    assert lines
    assert all("came; the mode is visible: " in line for line in lines)


def test_while_the_shutter_is_closed_nothing_is_wrong_with_pairs(make_core):
    core = make_core()
    core.stream(4)
    core.stream(30, make_thermal=frozen_from(core))
    health = core.it.health()
    assert (health.mode, health.trouble) == ("visible", "")
    assert health.cause.startswith("thermal image is frozen for ")


def test_a_lost_device_is_told_and_the_pair_dropped(make_core, engine):
    core = make_core()
    engine.error = DeviceError("the device failed: CUDA out of memory")
    core.pair(NOW_NS)
    assert core.drops == {DEVICE_FAILED: 1}
    assert core.sink.devices_lost == 1


def test_a_change_of_mode_is_told_with_its_cause(make_core):
    core = make_core()
    core.stream(1)
    core.stream(2, thermal=False)
    (change,) = core.sink.changes
    assert change.mode == "visible"
    assert change.cause.startswith("no thermal image in time for 1.")
