"""FusionSession where a camera or the device fails: its modes, and the ways back."""

from __future__ import annotations

import pytest
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from session_rig import NOW_NS, bgr, noisy, stream
from std_msgs.msg import Bool

from hkdnet_ros.errors import DeviceError
from hkdnet_ros.images.messages import NS_PER_S, decode_message, stamp_to_ns
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.node.schema import build
from hkdnet_ros.perception.statistics import DEVICE_FAILED


def modes(session):
    """Return the modes of what was published, without repetitions."""
    published = [status.mode for status in session.statuses]
    return [mode for index, mode in enumerate(published) if index == 0 or published[index - 1] != mode]


def changes(session):
    return [line for line in session.logger.lines if line.startswith("mode ")]


def test_without_thermal_the_visible_image_goes_on_alone_and_fusion_comes_back_by_itself(make_session):
    session = make_session()
    stream(session, 1)
    stream(session, 2, thermal=False)
    assert modes(session) == ["fused", "visible"]
    assert (session.images[-1].height, session.images[-1].width, session.images[-1].encoding) == (40, 60, "bgr8")
    stream(session, 2)
    assert modes(session) == ["fused", "visible", "fused"]
    lost, back = changes(session)
    assert lost.startswith("mode visible: no thermal image in time for 1.")
    assert back == "mode fused: both cameras send live images again"
    stamps = [stamp_to_ns(image.header.stamp) for image in session.images]
    assert stamps == sorted(set(stamps))


def test_without_visible_it_stops_or_the_thermal_image_goes_on_alone_as_the_parameter_says(make_session):
    session = make_session()
    stream(session, 1)
    stream(session, 2, visible=False)
    assert modes(session) == ["fused"]
    assert changes(session)[0].startswith("mode stopped: no visible image in time")
    alone = make_session(**{"mode.without_visible": "thermal"})
    stream(alone, 1)
    stream(alone, 2, visible=False)
    assert modes(alone) == ["fused", "thermal"]
    image = alone.images[-1]
    assert (image.height, image.width, image.encoding, image.header.frame_id) == (40, 60, "mono8", "thermal")
    stream(alone, 2)
    assert modes(alone) == ["fused", "thermal", "fused"]


def frozen_from(session):
    """Return what a camera sends that repeats its image of now."""
    image = decode_message(noisy(session.now_ns)).image
    return lambda stamp_ns: encode_image(image, "mono8", stamp_ns, "thermal")


@pytest.mark.parametrize(
    ("action", "expected"),
    [("hold", ["fused", "held", "fused"]), ("skip", ["fused"]), ("visible", ["fused", "visible", "fused"])],
)
def test_a_closed_shutter_is_bridged_as_the_parameter_says(make_session, action, expected):
    session = make_session(**{"shutter.action": action, "mode.settle": 0.3})
    stream(session, 4)
    stream(session, 2, make_thermal=frozen_from(session))
    assert session.it.mode == ("visible" if action == "visible" else "fused")
    stream(session, 1)
    assert modes(session) == expected
    assert any(line == f"thermal image is frozen; {action}" for line in session.logger.lines)
    assert "thermal image is live" in session.logger.lines


def test_a_thermal_camera_that_stays_frozen_counts_as_lost(make_session):
    session = make_session()
    stream(session, 4)
    stream(session, 5, make_thermal=frozen_from(session))
    assert modes(session) == ["fused", "held", "visible"]
    assert "thermal image is frozen for 3." in changes(session)[0]


@pytest.mark.parametrize(("policy", "expected"), [("stop", ["fused"]), ("thermal", ["fused", "thermal", "fused"])])
def test_a_visible_camera_that_stays_frozen_counts_as_lost(make_session, policy, expected):
    session = make_session(**{"mode.without_visible": policy})

    def live(stamp_ns):
        return bgr(stamp_ns, seed=stamp_ns)

    stream(session, 5, make_visible=live)
    stream(session, 5)  # always the same
    count = len(session.statuses)
    stream(session, 1)
    assert (len(session.statuses) > count) == (policy == "thermal")
    stream(session, 3, make_visible=live)
    assert session.statuses[-1].mode == "fused"
    assert modes(session) == expected
    assert any("visible image is frozen for 3." in line for line in changes(session))


def test_the_shutter_flag_of_the_camera_holds_the_last_image(make_session):
    session = make_session()
    stream(session, 1)
    session.it.receive_shutter(Bool(data=True))
    stream(session, 1)
    session.it.receive_shutter(Bool(data=False))
    held = [status.skew for status in session.statuses if status.mode == "held"]
    assert [(skew.sec, skew.nanosec) for skew in held[:3]] == [
        (-1, 9 * NS_PER_S // 10),
        (-1, 8 * NS_PER_S // 10),
        (-1, 7 * NS_PER_S // 10),
    ]
    stream(session, 1)
    assert modes(session) == ["fused", "held", "fused"]


def test_where_nothing_pairs_the_log_says_what_would_mend_it(make_session):
    session = make_session(**{"mode.limit": 5.0})

    def two_seconds_slow(stamp_ns):  # more than the 10 images that wait for a partner
        return noisy(stamp_ns - 2 * NS_PER_S)

    stream(session, 11, make_thermal=two_seconds_slow)
    (line,) = [line for line in session.logger.lines if line.startswith("nothing paired")]
    offset = float(line.split("set sync.thermal_offset to ")[1].split(";")[0])
    assert offset == pytest.approx(2, abs=0.11)
    assert session.statuses == []
    session.it.reconfigure(build({"sync.thermal_offset": 2}))
    stream(session, 1, make_thermal=two_seconds_slow)
    assert modes(session) == ["fused"]


def test_a_lost_device_is_told_and_the_pair_dropped(make_session, engine):
    session = make_session()
    engine.error = DeviceError("the device failed: CUDA out of memory")
    session.pair(NOW_NS)
    wait_for(lambda: session.drops() == {DEVICE_FAILED: 1}, what="the drop")
    wait_for(lambda: session.devices_lost == [True], what="the call")
