"""The core where a camera or the device fails: its modes, and the ways back. Without ROS."""

from __future__ import annotations

import pytest
from core_rig import NOW_NS, S, bgr, noisy

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
