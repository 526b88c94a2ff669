"""The fusion node on real topics, with the network played by a stand-in."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pictures import slope
from rigging import Rig, kept_log, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hkdnet_ros.errors import CheckpointError
from hkdnet_ros.images.frames import Pair
from hkdnet_ros.images.messages import decode_message, stamp_to_ns
from hkdnet_ros.node.image_messages import encode_image, encode_jpeg, ns_to_stamp
from hkdnet_ros.perception.pipeline import FusionPipeline

S, MS = 10**9, 10**6
SUCCESS = TransitionCallbackReturn.SUCCESS


def thermal(value=90, height=24, width=32):
    return np.full((height, width), value, np.uint8)


def visible(seed=0, height=24, width=32):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_image_camera_info_and_status_come_out_with_one_header(make_node, rig, engine):
    make_node()
    rig.wait_for_node()
    info = CameraInfo(width=32, height=24, k=[30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0])
    rig.camera_info.publish(info)
    rig.publish_pair(thermal(), visible(), 5 * S)  # camera_info may come after this one
    wait_for(lambda: rig.statuses, what="a status")
    rig.publish_pair(thermal(), visible(), 6 * S)
    wait_for(lambda: rig.camera_infos and len(rig.statuses) == 2, what="all messages")
    image, status = rig.images[-1], rig.statuses[-1]
    assert image.header == status.header == rig.camera_infos[-1].header
    assert (stamp_to_ns(image.header.stamp), image.header.frame_id) == (6 * S, "visible_optical")
    assert (image.width, image.height, image.encoding) == (64, 48, "bgr8")
    assert rig.camera_infos[-1].k[2] == 31.5
    expected = FusionPipeline(engine).process(
        Pair(
            decode_message(encode_image(thermal(), "mono8", S, "")),
            decode_message(encode_image(visible(), "bgr8", S, "")),
        )
    )
    np.testing.assert_array_equal(decode_message(image).image, expected.image)


@pytest.mark.parametrize("reliability", ["RELIABLE", "BEST_EFFORT"])
def test_cameras_of_either_reliability_are_heard(make_node, spun, reliability):
    rig = Rig(spun, reliability)
    node = make_node()
    rig.wait_for_node()
    wait_for(
        lambda: {sub.reliability for sub in node._subscriptions_now} == {ReliabilityPolicy[reliability]},
        what=f"{reliability} subscriptions",
    )
    rig.wait_for_node()
    rig.publish_pair(thermal(), visible(), S)
    wait_for(lambda: rig.images, what="the image")


def test_a_camera_that_comes_back_with_another_reliability_is_heard_again(make_node, spun):
    node = make_node()
    for index, reliability in enumerate(("RELIABLE", "BEST_EFFORT", "RELIABLE")):
        rig = Rig(spun, reliability)
        wait_for(
            lambda: {sub.reliability for sub in node._subscriptions_now} == {ReliabilityPolicy[reliability]},  # noqa: B023
            what=f"{reliability} subscriptions",
        )
        rig.wait_for_node()
        rig.publish_pair(thermal(), visible(), (index + 1) * S)
        wait_for(lambda rig=rig: rig.images, what="the image")
        rig.node.destroy_publisher(rig.thermal)
        rig.node.destroy_publisher(rig.visible)


def test_a_change_of_reliability_that_comes_with_the_deactivation_leaves_no_subscription(make_node, monkeypatch):
    """The timer's callback may be on its way when the lifecycle service deactivates the node in another thread."""
    node = make_node(autostart=False)
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    subscription = node._subscriptions_now[0]
    assert node.trigger_deactivate() == SUCCESS
    monkeypatch.setattr(subscription, "_wanted", lambda _: ReliabilityPolicy.BEST_EFFORT)
    subscription._follow()
    # An executor that waits for it at this moment keeps it until it wakes.
    wait_for(lambda: not node.get_subscriptions_info_by_topic("/thermal/image_raw"), what="the end of all")


def test_qos_overrides_fix_the_reliability_and_the_depth(make_node, spun):
    name = "qos_overrides./thermal/image_raw.subscription"
    node = make_node(**{f"{name}.reliability": "best_effort", f"{name}.depth": 3})
    Rig(spun).wait_for_node()
    infos = node.get_subscriptions_info_by_topic("/thermal/image_raw")
    assert [info.qos_profile.reliability for info in infos] == [ReliabilityPolicy.BEST_EFFORT]
    assert node.get_parameter(f"{name}.depth").value == 3


def test_an_inactive_node_listens_to_nothing_and_an_active_one_starts_counting_at_zero(make_node, rig):
    node = make_node(autostart=False)
    assert node.trigger_configure() == SUCCESS
    for round_ in range(2):
        assert node.trigger_activate() == SUCCESS
        rig.wait_for_node()
        rig.publish_pair(thermal(), visible(), (round_ + 1) * S)
        wait_for(lambda: len(rig.statuses) == round_ + 1, what="a status")  # noqa: B023
        assert (rig.statuses[-1].published, rig.statuses[-1].thermal_received) == (1, 1)
        assert node.trigger_deactivate() == SUCCESS
        wait_for(lambda: not rig.thermal.get_subscription_count(), what="the end of the subscription")


def test_activating_and_deactivating_under_a_stream_is_safe(make_node, rig):
    node = make_node(autostart=False)
    assert node.trigger_configure() == SUCCESS
    stamp_ns = S
    for _ in range(15):
        assert node.trigger_activate() == SUCCESS
        for _ in range(5):
            stamp_ns += 10 * MS
            rig.publish_pair(thermal(), visible(), stamp_ns)
        assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    rig.wait_for_node()
    count = len(rig.images)
    rig.publish_pair(thermal(), visible(), stamp_ns + S)
    wait_for(lambda: len(rig.images) > count, what="an image")


def test_a_namespace_and_remaps_move_every_topic(spun, engine):
    from hkdnet_ros.node.fusion import FusionNode

    arguments = ["--ros-args", "-r", "__ns:=/front", "-r", "thermal/image_raw:=/lepton/image"]
    node = spun.add(FusionNode(lambda config: engine, context=spun.context, cli_args=arguments), threads=4)
    wait_for(lambda: node.count_subscribers("/lepton/image"), what="the remapped subscription")
    wait_for(lambda: node.count_subscribers("/front/visible/image_raw"), what="the subscription in the namespace")
    assert node.count_publishers("/front/fused/image")
    assert node.count_publishers("/front/fused/status")


def test_malformed_images_over_topics_are_dropped_and_the_next_pair_is_fused(make_node, rig):
    node = make_node()
    rig.wait_for_node()
    # Byte order means nothing to 8-bit pixels: that image is good, and waits for a partner in vain.
    faults = [("encoding", "what"), ("step", 1), ("height", 0), ("width", 2**32 - 1), ("is_bigendian", 255)]
    messages = [encode_image(thermal(), "mono8", S + index, "thermal") for index in range(len(faults) + 1)]
    for message, (field, value) in zip(messages, faults, strict=False):
        setattr(message, field, value)
    messages[-1].data = messages[-1].data[:-1]
    for index, message in enumerate(messages):
        rig.thermal.publish(message)
        wait_for(lambda: node._session.totals().received["thermal"] == index + 1, what="the message")  # noqa: B023
    rig.publish_pair(thermal(), visible(), 0)
    rig.publish_pair(thermal(), visible(), 2 * S)
    wait_for(lambda: rig.statuses, what="a status")
    drops = dict(zip(rig.statuses[-1].drop_reasons, rig.statuses[-1].drop_counts, strict=True))
    assert drops == {"bad thermal image": 5, "zero stamp": 2, "unpaired": 1}


def test_ages_are_told_by_the_clock_of_the_simulation(make_node, rig, spun):
    node = make_node(use_sim_time=True)
    clock = rig.node.create_publisher(Clock, "/clock", 1)
    rig.wait_for_node()
    wait_for(clock.get_subscription_count, what="the clock's subscription")

    def tick():
        clock.publish(Clock(clock=ns_to_stamp(7 * S + 250 * MS)))
        return node.get_clock().now().nanoseconds == 7 * S + 250 * MS

    wait_for(tick, what="the simulated time")
    rig.publish_pair(thermal(), visible(), 7 * S)
    wait_for(lambda: rig.statuses, what="a status")
    assert (rig.statuses[0].age.sec, rig.statuses[0].age.nanosec) == (0, 250 * MS)


def test_diagnostics_tell_the_state_the_streams_and_who_cannot_be_heard(make_node, rig, spun):
    heard = []
    rig.node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    node = make_node(autostart=False, **{"qos_overrides./thermal/image_raw.subscription.reliability": "reliable"})
    wait_for(lambda: heard, what="diagnostics of a node that is not configured")
    assert [(status.name, status.message) for status in heard[0].status] == [("fusion: state", "unconfigured")]
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    best_effort = Rig(spun, "BEST_EFFORT")
    rig.wait_for_node()
    rig.publish_pair(thermal(), visible(), S)
    wait_for(lambda: rig.statuses, what="a status")
    del heard[:]
    wait_for(lambda: heard, what="diagnostics")
    by_name = {status.name: status for status in heard[0].status}
    names = {"state", "rates", "pairing", "latency", "mode", "camera_info", "registration", "qos", "device"}
    assert set(by_name) == {f"fusion: {name}" for name in names}
    values = {item.key: item.value for item in by_name["fusion: pairing"].values}
    assert (values["pairs"], values["published"], values["skew -2 to 2 ms"]) == ("1", "1", "1")
    assert by_name["fusion: qos"].level == DiagnosticStatus.WARN
    assert "/thermal/image_raw: publisher rig" in by_name["fusion: qos"].message
    assert {status.hardware_id for status in heard[0].status} == {"cpu"}
    assert best_effort.node is not None


def test_diagnostics_tell_why_a_node_that_starts_by_itself_did_not(make_node, rig):
    def factory(config):
        raise CheckpointError("no file there")

    heard = []
    rig.node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    make_node(factory)
    wait_for(lambda: heard and heard[-1].status[0].level == DiagnosticStatus.ERROR, what="the error")
    assert heard[-1].status[0].message == "unconfigured: configure failed: no file there"


def test_compressed_topics_follow_the_remap_of_their_image(spun, engine):
    from hkdnet_ros.node.fusion import FusionNode

    arguments = ["--ros-args", "-r", "thermal/image_raw:=/lepton/image", "-p", "thermal_transport:=compressed"]
    node = spun.add(FusionNode(lambda config: engine, context=spun.context, cli_args=arguments), threads=4)
    wait_for(lambda: node.count_subscribers("/lepton/image/compressed"), what="the compressed subscription")
    assert node.count_publishers("/fused/image/compressed")
    rig = Rig(spun)
    jpegs = []
    rig.node.create_subscription(CompressedImage, "fused/image/compressed", jpegs.append, 10)
    camera = rig.node.create_publisher(CompressedImage, "/lepton/image/compressed", 10)
    wait_for(camera.get_subscription_count, what="the subscription")
    wait_for(rig.visible.get_subscription_count, what="the subscription")
    time.sleep(0.3)
    camera.publish(encode_jpeg(thermal(), 90, S, "thermal"))
    rig.visible.publish(encode_image(visible(), "bgr8", S, "visible"))
    wait_for(lambda: jpegs and rig.images, what="both images")
    assert decode_message(jpegs[0]).image.shape == (48, 64, 3)


def test_the_preview_is_published_while_somebody_looks_at_it(make_node, rig):
    make_node()
    rig.wait_for_node()
    previews = []
    subscription = rig.node.create_subscription(Image, "thermal/preview", previews.append, 10)
    wait_for(lambda: rig.node.count_publishers("/thermal/preview"), what="the publisher")
    time.sleep(0.3)
    image = slope(24, 32)
    rig.publish_pair(image, visible(), S)
    wait_for(lambda: previews and rig.statuses, what="a preview")
    assert (stamp_to_ns(previews[0].header.stamp), previews[0].header.frame_id) == (S, "thermal_optical")
    np.testing.assert_array_equal(decode_message(previews[0]).image, image)
    rig.node.destroy_subscription(subscription)


def test_a_calibration_that_was_published_once_before_is_used(make_node, spun, rig):
    latched = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    rig.node.destroy_publisher(rig.camera_info)
    publisher = rig.camera_info = rig.node.create_publisher(CameraInfo, "visible/camera_info", latched)
    info = CameraInfo(width=32, height=24, k=[30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0])
    info.header.frame_id = "visible_optical"
    publisher.publish(info)
    node = make_node()
    rig.wait_for_node()
    wait_for(lambda: node._session.health().calibration.received, what="the calibration")
    rig.publish_pair(thermal(), visible(), S)
    wait_for(lambda: rig.camera_infos, what="the calibration of the fused image")
    assert node._session.health().calibration.mismatches == {}


def test_large_images_arrive_whole(make_node, spun):
    """640x480 colour images exceed Fast DDS's shared-memory segment, of which best effort would lose most."""
    rig = Rig(spun)
    make_node()
    rig.wait_for_node()
    for index in range(8):
        rig.publish_pair(thermal(index, 480, 640), visible(index, 480, 640), (index + 1) * S)
        wait_for(lambda: len(rig.images) == index + 1, what=f"image {index}")  # noqa: B023
    assert {(image.width, image.height) for image in rig.images} == {(1280, 960)}


def test_a_wrong_qos_override_fails_the_activation_with_one_line(make_node, monkeypatch):
    name = "qos_overrides./visible/image_raw.subscription.depth"
    node = make_node(autostart=False, **{name: "many"})
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
    assert lines[-1].startswith("error: activate failed: ")
    assert name in lines[-1]
    assert not node.count_subscribers("/thermal/image_raw")
