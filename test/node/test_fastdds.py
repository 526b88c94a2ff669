"""The Fast DDS profile: what it says, and that the real Fast DDS loads it and delivers large images by it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rigging import wait_for

from hkdnet_ros.cli import main
from hkdnet_ros.errors import ConfigError
from hkdnet_ros.node.fastdds import profile

SHIPPED = Path(__file__).parents[2] / "config" / "fastdds.xml"

# Says how much of Fast DDS's shared memory it has mapped, then publishes an image each time it is asked for one.
SENDER = """
import array, re, sys
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Int32

rclpy.init()
node = rclpy.create_node("sender")
image = Image(width=1280, height=960, step=3840, encoding="bgr8", data=array.array("B", bytes(1280 * 960 * 3)))
publisher = node.create_publisher(Image, "large", QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT))

def send(number):
    image.header.stamp.sec = number.data
    publisher.publish(image)

node.create_subscription(Int32, "wanted", send, 10)
segments = re.findall(r"^(\\w+)-(\\w+) .*/dev/shm/fast", open("/proc/self/maps").read(), re.MULTILINE)
print(max((int(end, 16) - int(begin, 16) for begin, end in segments), default=0), flush=True)
rclpy.spin(node)
"""


def value(text, name):
    return int(ElementTree.fromstring(text.encode()).find(f".//{{*}}{name}").text)


@pytest.mark.parametrize(("size", "scale", "images"), [((640, 480), 2, 4), ((640, 512), 4, 3), ((160, 120), 1, 1)])
def test_the_segment_holds_the_images_beside_a_full_queue_and_the_queue_all_their_pieces(size, scale, images):
    text = profile(size, scale, images)
    image = size[0] * size[1] * scale**2 * 3
    segment, queue = value(text, "segment_size"), value(text, "port_queue_capacity")
    free = segment - 512 * min(image, 65_000)
    assert images * image + 2**19 <= free < (images + 1) * image + 2**20
    assert queue >= max(512, images * image / 65_500)


def test_shared_memory_comes_first_and_the_network_is_still_there():
    root = ElementTree.fromstring(profile().encode())
    transports = root.findall(".//{*}transport_descriptor")
    kinds = {item.find("{*}transport_id").text: item.find("{*}type").text for item in transports}
    used = [item.text for item in root.find(".//{*}userTransports")]
    assert [kinds[name] for name in used] == ["SHM", "UDPv4"]
    assert root.find(".//{*}participant").get("is_default_profile") == "true"


def test_a_participant_announces_itself_more_often_than_by_default():
    announcement = ElementTree.fromstring(profile().encode()).find(".//{*}leaseAnnouncement")
    assert 0 < int(announcement.find("{*}sec").text) + int(announcement.find("{*}nanosec").text) / 1e9 < 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(((640, 480), 0), "--scale is 0"), (((640, 480), 2, 0), "--images is 0"), (((20000, 20000), 1), "4.5 GiB")],
)
def test_a_segment_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        profile(*arguments)


def test_the_shipped_profile_is_what_the_command_writes(tmp_path, capsys):
    assert main(["fastdds"]) == 0
    assert capsys.readouterr().out == SHIPPED.read_text()
    assert main(["fastdds", "--size", "320x240", "--scale", "4", "--out", str(tmp_path / "my.xml")]) == 0
    assert (tmp_path / "my.xml").read_text() == SHIPPED.read_text()


def test_a_profile_that_cannot_be_written_is_one_line(tmp_path, capsys):
    assert main(["fastdds", "--out", str(tmp_path / "none" / "my.xml")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture
def sender():
    """A process that sends by the shipped profile."""
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")
    if "fastrtps" not in rclpy.get_rmw_implementation_identifier():
        pytest.skip("needs Fast DDS")
    from hkdnet_ros.node.distributions import profile_variable

    environment = {**os.environ, profile_variable(): str(SHIPPED)}
    child = subprocess.Popen([sys.executable, "-c", SENDER], stdout=subprocess.PIPE, text=True, env=environment)
    yield child
    child.terminate()
    try:
        child.communicate(timeout=10)
    except subprocess.TimeoutExpired:  # whether it ends in order is not this test's matter
        child.kill()
        child.communicate()


def test_fast_dds_makes_the_segment_and_best_effort_images_larger_than_its_own_arrive(sender, spun):
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image
    from std_msgs.msg import Int32

    assert int(sender.stdout.readline()) >= value(SHIPPED.read_text(), "segment_size")
    viewer = spun.add(rclpy.create_node("viewer", context=spun.context))
    wanted = viewer.create_publisher(Int32, "wanted", 10)
    arrived = []
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    viewer.create_subscription(Image, "large", lambda image: arrived.append(image.header.stamp.sec), qos)

    def first_arrived():  # asked for until both sides have matched, which only the image itself can show
        wanted.publish(Int32(data=-1))
        time.sleep(0.2)
        return arrived

    wait_for(first_arrived, what="a first image")
    for number in range(10):
        wanted.publish(Int32(data=number))
        wait_for(lambda number=number: number in arrived, what=f"image {number}")
