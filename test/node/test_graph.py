"""What the graph tells about a camera that is not heard, about names beside an image, and about crowded topics."""

from __future__ import annotations

import pytest
from rigging import Spun, kept_log, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from hkdnet_ros.node import fusion
from hkdnet_ros.node.graph import CrowdWatch


@pytest.fixture
def make_remapped(spun, engine):
    """Return a function that starts a fusion node with command-line arguments."""
    from hkdnet_ros.node.fusion import FusionNode

    def make(*arguments):
        node = FusionNode(lambda config: engine, context=spun.context, cli_args=["--ros-args", *arguments])
        spun.add(node, threads=4)
        wait_for(lambda: node._small_subscriptions, what="the last subscription")
        return node

    return make


@pytest.fixture
def elsewhere():
    """A context as of another process: Fast DDS lets none have a topic in two types."""
    spun = Spun()
    yield spun
    spun.close()


@pytest.fixture
def make_camera(elsewhere):
    """Return a function that makes a node with publishers of the given types by topic."""

    def make(name="driver", namespace="", **topics):
        node = rclpy.create_node(name, namespace=namespace, context=elsewhere.context)
        node.publishers_made = [
            node.create_publisher(kind, topic.replace("__", "/"), 5) for topic, kind in topics.items()
        ]
        return elsewhere.add(node)

    return make


def names(node):
    """What camera info the node subscribes, and publishes."""
    subscribed = [subscription.resolved for subscription in node._camera_infos]
    return [*subscribed, node._outputs[node._camera_info].topic_name]


def remap(before, after):
    return "-r", f"{before}:={after}"


@pytest.mark.parametrize(
    ("arguments", "thermal", "visible", "fused"),
    [
        ((), "/thermal/camera_info", "/visible/camera_info", "/fused/camera_info"),
        (
            (*remap("thermal/image_raw", "/lepton/image"), *remap("visible/image_raw", "/front/cam/color/image_rect")),
            "/lepton/camera_info", "/front/cam/color/camera_info", "/fused/camera_info",
        ),
        (
            (*remap("fused/image", "/out/people"), *remap("__ns", "/front")),
            "/front/thermal/camera_info", "/front/visible/camera_info", "/out/camera_info",
        ),
        (  # its own remap comes first
            (*remap("visible/image_raw", "/cam/image"), *remap("visible/camera_info", "calibration")),
            "/thermal/camera_info", "/calibration", "/fused/camera_info",
        ),
        (
            (*remap("thermal/image_raw", "lepton/image"), *remap("__ns", "/front"), *remap("fused/image", "image")),
            "/front/lepton/camera_info", "/front/visible/camera_info", "/front/camera_info",
        ),
        (  # the visible camera's own is not to be published on
            remap("fused/image", "/visible/image_fused"),
            "/thermal/camera_info", "/visible/camera_info", "/fused/camera_info",
        ),
        (
            (*remap("visible/image_raw", "/cam/image"), "-p", "visible_transport:=compressed"),
            "/thermal/camera_info", "/cam/camera_info", "/fused/camera_info",
        ),
        (
            (*remap("fused/image", "~/image"), *remap("visible/image_raw", "~/visible/image")),
            "/thermal/camera_info", "/fusion/visible/camera_info", "/fusion/camera_info",
        ),
        (remap("thermal/image_raw", "/image"), "/camera_info", "/visible/camera_info", "/fused/camera_info"),
    ],
)  # fmt: skip
def test_camera_info_is_beside_its_image_wherever_that_is(make_remapped, arguments, thermal, visible, fused):
    assert names(make_remapped(*arguments)) == [thermal, visible, fused]


def test_swapped_remaps_are_applied_once(make_remapped):
    node = make_remapped(
        *remap("thermal/image_raw", "/visible/image_raw"), *remap("visible/image_raw", "/thermal/image_raw"),
    )  # fmt: skip
    assert names(node)[:2] == ["/visible/camera_info", "/thermal/camera_info"]


@pytest.mark.parametrize(
    ("parameters", "topics", "reason"),
    [
        ({}, {}, "nobody publishes /visible/image_raw, nor another image; start the visible camera's driver"),
        (
            {"visible_transport": "compressed"}, {"visible__image_raw": Image},
            "nobody publishes /visible/image_raw/compressed, but /visible/image_raw is published; set "
            "visible_transport to raw",
        ),
        (
            {}, {"visible__image_raw__compressed": CompressedImage},
            "nobody publishes /visible/image_raw, but /visible/image_raw/compressed is published; set "
            "visible_transport to compressed",
        ),
        (
            {}, {"visible__image_raw": CompressedImage},
            "/visible/image_raw: driver sends sensor_msgs/msg/CompressedImage; set visible_transport to compressed and "
            "have it sent on /visible/image_raw/compressed",
        ),
        (
            {"visible_transport": "compressed"}, {"visible__image_raw__compressed": Image},
            "/visible/image_raw/compressed: driver sends sensor_msgs/msg/Image; set visible_transport to raw and remap "
            "visible/image_raw to /visible/image_raw/compressed",
        ),
        ({}, {"visible__image_raw": String}, "/visible/image_raw: publisher driver sends std_msgs/msg/String"),
        (
            {}, {"cam__color__image_raw": Image, "cam__depth__image_raw": Image},
            "nobody publishes /visible/image_raw; there are images on /cam/color/image_raw, /cam/depth/image_raw: "
            "remap visible/image_raw to the visible camera's",
        ),
        (  # those of the other camera are none to remap to
            {}, {"thermal__image_raw": Image, "thermal__image_raw__compressed": CompressedImage},
            "nobody publishes /visible/image_raw, nor another image; start the visible camera's driver",
        ),
        ({}, {"visible__image_raw": Image}, "driver publishes /visible/image_raw, but no image arrives"),
    ],
)  # fmt: skip
def test_the_graph_knows_why_a_camera_is_silent(make_node, make_camera, parameters, topics, reason):
    node = make_node(**parameters)
    make_camera(**topics)
    wait_for(lambda: node._subscriptions_now and len(node._subscriptions_now) == 2, what="the subscriptions")
    for topic in topics:
        wait_for(lambda: node.count_publishers(topic.replace("__", "/")), what=topic)  # noqa: B023
    wait_for(lambda: node._why_silent("visible").startswith(reason), what=reason)
    assert "\n" not in node._why_silent("visible")


def test_a_compressed_topic_given_as_the_image_is_to_be_given_without_its_end(make_remapped, make_camera):
    node = make_remapped(*remap("thermal/image_raw", "/cam/image/compressed"))
    make_camera(cam__image__compressed=CompressedImage)
    expected = "set thermal_transport to compressed and remap thermal/image_raw to /cam/image"
    wait_for(lambda: node._why_silent("thermal").endswith(expected), what=expected)


def test_a_publisher_that_is_not_heard_for_its_reliability_is_the_reason(make_node, spun):
    node = make_node(**{"qos_overrides./thermal/image_raw.subscription.reliability": "reliable"})
    camera = spun.add(rclpy.create_node("driver", context=spun.context))
    camera.create_publisher(Image, "thermal/image_raw", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    expected = (
        "/thermal/image_raw: publisher driver: reliable is asked for and not offered; set "
        "qos_overrides./thermal/image_raw.subscription.reliability to best_available"
    )
    wait_for(lambda: node._why_silent("thermal") == expected, what=expected)


def test_a_topic_of_another_type_in_the_same_process_fails_the_activation_with_one_line(make_node, spun):
    camera = spun.add(rclpy.create_node("driver", context=spun.context))
    camera.create_publisher(CompressedImage, "visible/image_raw", 5)
    node = make_node()
    wait_for(lambda: node._trouble, what="the failure")
    assert node._trouble.startswith(
        "activate failed: /visible/image_raw cannot be subscribed as sensor_msgs/msg/Image: "
    )
    assert node._trouble.endswith("; in one process Fast DDS lets no topic have two types")


def test_one_topic_for_both_cameras_is_said(make_node, monkeypatch):
    node = make_node(autostart=False)
    lines = kept_log(node, monkeypatch)
    node.trigger_configure()
    node.trigger_activate()
    assert not [line for line in lines if "itself" in line]
    node.trigger_deactivate()
    monkeypatch.setattr(fusion, "IMAGE_TOPICS", {"thermal": "cam/image", "visible": "cam/image"})
    node.trigger_activate()
    (line,) = [line for line in lines if "itself" in line]
    assert line.startswith("warning: both cameras are /cam/image, which is fused with itself; remap ")


def test_an_inactive_node_is_asked_in_vain(make_node):
    assert make_node(autostart=False)._why_silent("thermal") == ""


def test_two_publishers_on_an_input_are_named_after_a_while(make_node, make_camera):
    node = make_node()
    make_camera("left", visible__image_raw=Image)
    make_camera("right", visible__image_raw=Image, visible__camera_info=CameraInfo)
    watch = CrowdWatch(node)
    wait_for(lambda: node.count_publishers("visible/image_raw") == 2, what="both cameras")
    inputs = ["visible/image_raw", "visible/camera_info"]
    assert watch.look(inputs, [], 100.0) == []
    text = "/visible/image_raw: 2 publishers (/left, /right), whose messages mix; let one alone publish"
    wait_for(lambda: watch.look(inputs, [], 103.5) == [text], what="their names")  # which come after the publishers


def test_a_driver_that_is_started_again_has_time_to_leave_the_graph(make_node, make_camera):
    node = make_node()
    for _ in range(2):
        make_camera("driver", visible__image_raw=Image)
    wait_for(lambda: node.count_publishers("visible/image_raw") == 2, what="both")
    watch = CrowdWatch(node)
    assert [len(watch.look(["visible/image_raw"], [], at)) for at in (0.0, 20.0, 31.0)] == [0, 0, 1]


@pytest.mark.parametrize(("name", "after_s"), [("rear", 4.0), ("fusion", 31.0)])
def test_two_nodes_on_one_output_are_named(make_node, make_camera, name, after_s):
    node = make_node()
    make_camera(name, fused__image=Image)
    wait_for(lambda: node.count_publishers("fused/image") == 2, what="both")
    watch = CrowdWatch(node)
    assert watch.look([], node._outputs, 0.0) == []
    begin = f"/fused/image: /{name} publishes here, too"
    wait_for(lambda: [text for text in watch.look([], node._outputs, after_s) if text.startswith(begin)], what=begin)


def test_a_second_node_of_the_same_outputs_is_one_line(make_node, make_camera):
    node = make_node()
    make_camera("rear", fused__image=Image, fused__image__compressed=CompressedImage)
    wait_for(lambda: node.count_publishers("fused/image/compressed") == 2, what="both")
    watch = CrowdWatch(node)
    watch.look([], node._outputs, 0.0)
    begin = "/fused/image and 1 more: /rear publishes here, too"
    wait_for(lambda: [text for text in watch.look([], node._outputs, 4.0) if text.startswith(begin)], what=begin)
    assert len(watch.look([], node._outputs, 4.0)) == 1


def test_an_ordinary_subscriber_leaves_the_diagnostics_green_and_a_crowd_does_not(make_node, rig, make_camera):
    heard = []
    rig.node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    rig.node.create_subscription(Image, "fused/image", lambda _: None, 10)

    def qos():
        return [status for array in heard[-1:] for status in array.status if status.name == "fusion: qos"]

    node = make_node()
    rig.wait_for_node()
    wait_for(lambda: node.get_subscriptions_info_by_topic("fused/image"), what="the subscriber")
    heard.clear()
    (status,) = wait_for(qos, what="the report")
    assert (status.level, status.message) == (DiagnosticStatus.OK, "all matched")
    make_camera("second", thermal__image_raw=Image)
    wait_for(lambda: qos()[0].level == DiagnosticStatus.WARN, what="the crowd")
    assert qos()[0].message.startswith("/thermal/image_raw: 2 publishers (/rig, /second)")
