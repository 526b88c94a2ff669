"""Registration over topics: calibrations, static transforms and depth in, validity and temperature out."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rigging import kept_log, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from geometry_msgs.msg import TransformStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from hkdnet_ros.images.messages import decode_message
from hkdnet_ros.node.image_messages import encode_image

S, MS = 10**9, 10**6
# A thermal pixel is two visible ones wide, and the thermal image covers the middle of the visible one.
MIDDLE = [2.0, 0.0, 32.5, 0.0, 2.0, 24.5, 0.0, 0.0, 1.0]
INSIDE = np.s_[24:72, 32:96]

PACKAGE_XML = """<package format="3"><name>tf2_msgs</name><version>0.0.0</version><description>For a test</description>
<maintainer email="nobody@example.com">nobody</maintainer><license>BSD</license>
<buildtool_depend>ament_cmake</buildtool_depend><buildtool_depend>rosidl_default_generators</buildtool_depend>
<depend>geometry_msgs</depend><exec_depend>rosidl_default_runtime</exec_depend>
<member_of_group>rosidl_interface_packages</member_of_group></package>"""
CMAKE_LISTS = """cmake_minimum_required(VERSION 3.20)
project(tf2_msgs)
find_package(ament_cmake REQUIRED)
find_package(geometry_msgs REQUIRED)
find_package(rosidl_default_generators REQUIRED)
rosidl_generate_interfaces(tf2_msgs msg/TFMessage.msg DEPENDENCIES geometry_msgs)
ament_package()"""


def counts(value=300.0):
    return np.full((24, 32), round(value * 100), np.uint16)


def colours():
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


def info(width, height, focal, frame_id):
    k = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
    message = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5, k=k)
    message.header.frame_id = frame_id
    return message


def viewer(rig, topic):
    """Return the list that the images of ``topic`` go to, once it is heard."""
    images = []
    rig.node.create_subscription(Image, topic, images.append, 10)
    wait_for(lambda: rig.node.count_publishers(topic), what=f"a publisher of {topic}")
    return images


def latched(rig, kind, topic):
    return rig.node.create_publisher(kind, topic, QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))


def publish_infos(rig):
    """Publish both calibrations once, before the node begins."""
    rig.node.destroy_publisher(rig.camera_info)  # one that sends to present listeners only would let all be taken so
    thermal, rig.camera_info = (latched(rig, CameraInfo, f"{stream}/camera_info") for stream in ("thermal", "visible"))
    thermal.publish(info(32, 24, 30.0, "thermal_optical"))
    rig.camera_info.publish(info(128, 96, 60.0, "visible_optical"))


def publish(rig, stamp_ns):
    rig.publish_pair(counts(), colours(), stamp_ns, ("mono16", "bgr8"))


def test_validity_temperature_and_overlay_come_with_the_fused_image(make_node, rig):
    make_node(registration__mode="homography", registration__homography=MIDDLE, temperature__source="lepton")
    rig.wait_for_node()
    validities, temperatures, overlays = (
        viewer(rig, f"fused/{name}") for name in ("validity", "temperature", "overlay")
    )
    for number in range(1, 20):
        publish(rig, number * S)
        wait_for(lambda: len(rig.images) == number, what="a fused image")  # noqa: B023
        if validities and temperatures and overlays:
            break
    header = rig.images[-1].header
    assert (rig.images[-1].width, rig.images[-1].height, header.frame_id) == (128, 96, "visible_optical")
    wait_for(
        lambda: validities[-1].header == temperatures[-1].header == overlays[-1].header == header, what="the same stamp"
    )
    assert [images[-1].encoding for images in (validities, temperatures, overlays)] == ["mono8", "32FC1", "bgr8"]
    validity, temperature = (decode_message(images[-1]).image for images in (validities, temperatures))
    assert (validity[INSIDE] == 255).all()
    np.testing.assert_allclose(temperature[INSIDE], 300.0, atol=0.01)
    np.testing.assert_array_equal(np.isnan(temperature), validity == 0)


def test_a_calibration_that_cannot_be_believed_fails_the_configuration_with_one_line(make_node, monkeypatch):
    node = make_node(autostart=False, registration__mode="homography", registration__homography=[0.0] * 8 + [1.0])
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert lines == [lines[0]]
    assert lines[0].startswith("error: configure failed: homography [0.0, ")


def test_depth_that_comes_after_both_images_registers_and_its_absence_is_a_counted_drop(make_node, rig, tmp_path):
    path = tmp_path / "pair.yaml"
    path.write_text(
        "format: hkdnet_ros calibration 1\nthermal_to_visible: {translation: [0.3, 0, 0], quaternion: [0, 0, 0, 1]}\n"
    )
    publish_infos(rig)
    depth = rig.node.create_publisher(Image, "depth/image_raw", 10)
    node = make_node(registration__mode="depth", registration__calibration=str(path), registration__depth_timeout=1.0)
    rig.wait_for_node()
    wait_for(depth.get_subscription_count, what="the subscription to depth")
    wait_for(lambda: len(node._session.health().calibration.received) == 2, what="both calibrations")
    publish(rig, S)
    wait_for(lambda: node._session.totals().drops["not registered"] == 1, what="the drop")
    assert not rig.images
    validities = viewer(rig, "fused/validity")
    metres = np.full((96, 128), 2000, np.uint16)
    metres[:, 70:80] = 1000  # hides what is left of it from the thermal camera, which stands to the right
    for number in range(2, 20):
        publish(rig, number * S)
        wait_for(lambda: node._session.totals().pairs == number, what="the pair")  # noqa: B023
        depth.publish(encode_image(metres, "16UC1", number * S, "visible_optical"))
        wait_for(lambda: len(rig.images) == number - 1, what="a fused image")  # noqa: B023
        if validities:
            break
    row = decode_message(validities[-1]).image[48]
    assert not row[64:69].any()
    assert row[70:80].all()


@pytest.fixture(scope="module")
def with_transforms(tmp_path_factory):
    """The environment of a process that has tf2_msgs, built here as it has no wheels; None where it is installed."""
    if importlib.util.find_spec("tf2_msgs") is not None:
        return None
    cmake = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]))
    generators = Path(sys.prefix) / "share" / "rosidl_default_generators"
    if cmake is None or not generators.is_dir() or shutil.which("c++") is None:
        pytest.skip("no tf2_msgs, and no CMake, compiler or message generators to build it with")
    source = tmp_path_factory.mktemp("tf2_msgs")
    (source / "msg").mkdir()
    (source / "msg" / "TFMessage.msg").write_text("geometry_msgs/TransformStamped[] transforms\n")
    (source / "package.xml").write_text(PACKAGE_XML)
    (source / "CMakeLists.txt").write_text(CMAKE_LISTS)
    build, prefix = str(source / "build"), source / "install"
    environment = {
        **os.environ, "AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix,
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]),
    }  # fmt: skip
    configure = [cmake, "-S", source, "-B", build, "-DBUILD_TESTING=OFF", f"-DCMAKE_INSTALL_PREFIX={prefix}",
                 f"-DPython3_EXECUTABLE={sys.executable}"]  # fmt: skip
    for command in (configure, [cmake, "--build", build], [cmake, "--install", build]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    package = next(prefix.rglob("tf2_msgs/msg/__init__.py")).parents[2]
    paths = {
        "PYTHONPATH": [str(package), *sys.path[1:]],
        "LD_LIBRARY_PATH": [str(prefix / "lib"), os.environ.get("LD_LIBRARY_PATH", "")],
    }
    return {**os.environ, **{name: os.pathsep.join(filter(None, parts)) for name, parts in paths.items()}}


def test_a_transform_published_before_the_node_began_is_used(with_transforms, request):
    name = "test_in_a_process_with_tf2_msgs"
    if with_transforms is None:
        pytest.skip(f"tf2_msgs is installed, so that {name} runs by itself")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", name, str(request.path)]
    done = subprocess.run(command, env=with_transforms, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


needs_tf2 = pytest.mark.skipif(importlib.util.find_spec("tf2_msgs") is None, reason="runs where tf2_msgs is")


def transform(parent, child, x):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.transform.translation.x = x
    return message


def rectified(make_node, rig):
    publish_infos(rig)
    node = make_node(registration__mode="rectify", registration__distance=2.0)
    rig.wait_for_node()
    wait_for(lambda: len(node._session.health().calibration.received) == 2, what="both calibrations")
    return node


@needs_tf2
def test_in_a_process_with_tf2_msgs_latched_transforms_lead_from_frame_to_frame(make_node, rig):
    from tf2_msgs.msg import TFMessage

    publishers = [latched(rig, TFMessage, "/tf_static") for _ in range(2)]  # one for each camera, as drivers do it
    publishers[0].publish(TFMessage(transforms=[transform("base", "thermal_optical", 0.5)]))
    publishers[1].publish(TFMessage(transforms=[transform("base", "visible_optical", 0.3)]))
    node = rectified(make_node, rig)
    frames = node._session._core._work.registration._frames
    wait_for(lambda: frames.between("thermal_optical", "visible_optical"), what="the transform")
    validities = viewer(rig, "fused/validity")
    for number in range(1, 20):
        publish(rig, number * S)
        wait_for(lambda: len(rig.images) == number, what="a fused image")  # noqa: B023
        if validities:
            break
    seen = np.flatnonzero(decode_message(validities[-1]).image[48])
    # The thermal camera is 0.2 m to the right: at 2 m that is 6 pixels of the visible image.
    assert seen.mean() == pytest.approx(63.5 + 6, abs=1)
    assert len(seen) == pytest.approx(64, abs=2)


@needs_tf2
def test_in_a_process_with_tf2_msgs_a_missing_or_wrong_transform_is_a_counted_drop(make_node, rig):
    from tf2_msgs.msg import TFMessage

    node = rectified(make_node, rig)
    publisher = latched(rig, TFMessage, "/tf_static")
    wrong = transform("base", "thermal_optical", 0.5)
    wrong.transform.rotation.w = 0.0
    publisher.publish(TFMessage(transforms=[wrong]))
    publish(rig, S)
    wait_for(lambda: node._session.totals().drops["not registered"] == 1, what="the drop")
    right = [transform("visible_optical", "thermal_optical", 0.1)]
    publisher.publish(TFMessage(transforms=right))
    frames = node._session._core._work.registration._frames
    wait_for(lambda: frames.between("thermal_optical", "visible_optical"), what="the transform")
    publish(rig, 2 * S)
    wait_for(lambda: rig.images, what="a fused image")
