"""The fusion node's parameters: their defaults, and what is taken and refused when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import slope
from rigging import kept_log, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, SetParametersAtomically
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from hkdnet_ros.images.messages import decode_message
from hkdnet_ros.node.fusion import FusionNode
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.node.schema import SPECS, FusionConfig, NodeConfig

SUCCESS, FAILURE, ERROR = (getattr(TransitionCallbackReturn, name) for name in ("SUCCESS", "FAILURE", "ERROR"))


def test_the_default_parameters_are_those_of_the_schema(make_node):
    node = make_node(autostart=False)
    for spec in SPECS:
        if spec.name != "autostart":
            value = node.get_parameter(spec.name).value
            assert spec.convert(value) == spec.default
    assert node._parameters_of_node.config().sync == FusionConfig().sync


def test_ros_reads_the_shipped_parameter_file_as_the_defaults(spun, engine):
    file = Path(__file__).parents[2] / "config" / "fusion.yaml"
    arguments = ["--ros-args", "--params-file", str(file), "-p", "autostart:=false"]
    node = spun.add(FusionNode(lambda config: engine, context=spun.context, cli_args=arguments), threads=4)
    expected = FusionConfig(node=NodeConfig(autostart=False))
    assert node._parameters_of_node.config() == expected


def test_parameters_describe_themselves(make_node, remote):
    make_node(autostart=False)
    names = [spec.name for spec in SPECS]
    descriptors = remote.call(DescribeParameters, "describe_parameters", names=names).descriptors
    by_name = {descriptor.name: descriptor for descriptor in descriptors}
    for spec in SPECS:
        assert by_name[spec.name].description == spec.info.description
        assert not by_name[spec.name].read_only
    assert by_name["scale"].type == ParameterType.PARAMETER_INTEGER
    assert by_name["sync.slop"].type == ParameterType.PARAMETER_DOUBLE
    assert by_name["grid"].type == ParameterType.PARAMETER_INTEGER_ARRAY
    (limits,) = by_name["sync.queue_size"].integer_range
    assert (limits.from_value, limits.to_value) == (1, 1000)
    (limits,) = by_name["sync.slop"].floating_point_range
    assert (limits.from_value, limits.to_value) == (0.0, 10.0)
    assert "one of 2, 3, 4" in by_name["scale"].additional_constraints
    assert "unit s" in by_name["sync.slop"].additional_constraints


def test_an_unconfigured_node_takes_valid_values_and_refuses_others_with_the_reason(make_node, remote, engine):
    make_node(autostart=False)
    assert remote.set("scale", 4) == (True, "")
    assert remote.set("grid", [320, 240]) == (True, "")
    for name, value, reason in (
        ("scale", 7, "scale is 7; choose one of 2, 3, 4"),
        ("scale", "two", "Wrong parameter type"),
        ("sync.slop", "long", "sync.slop is 'long'; it must be a number"),
        ("sync.slopp", 0.05, "sync.slop"),
        ("sync.queue_size", 0, "sync.queue_size out of range"),
        ("sync.slop", 11.0, "sync.slop out of range"),
        ("grid", [320], "grid is"),
        ("grid", [5, 5], "grid is [5, 5]"),
    ):
        successful, said = remote.set(name, value)
        assert not successful
        assert reason in said
    assert remote.get("scale").integer_value == 4
    assert remote.get("sync.slop").double_value == FusionConfig().sync.slop
    assert remote.get("sync.queue_size").integer_value == FusionConfig().sync.queue_size


def test_an_integer_is_taken_where_a_float_is_meant(make_node, remote):
    node = make_node(autostart=False, sync__slop=1)
    assert remote.get("sync.slop").double_value == 1.0
    assert remote.set("sync.slop", 2) == (True, "")
    assert node._parameters_of_node.config().sync.slop == 2.0


def test_a_configured_node_refuses_changes_and_says_what_to_do(make_node, remote):
    node = make_node(autostart=False)
    assert node.trigger_configure() == SUCCESS
    successful, reason = remote.set("scale", 3)
    assert not successful
    assert reason.startswith("scale is fixed while the node is configured; deactivate and clean it up")
    assert remote.set("grid", [64, 48])[0] is False
    assert remote.set("scale", 2) == (True, "")  # no change
    assert remote.set("grid", [0, 0]) == (True, "")
    assert node.trigger_cleanup() == SUCCESS
    assert remote.set("scale", 3) == (True, "")


def test_a_live_parameter_changes_the_running_node(make_node, remote, rig):
    node = make_node(sync__slop=0.01)
    rig.wait_for_node()
    gray, color = np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.uint8)

    def publish_apart(stamp_ns):
        rig.thermal.publish(encode_image(gray, "mono8", stamp_ns, ""))
        rig.visible.publish(encode_image(color, "bgr8", stamp_ns + 40_000_000, ""))
        rig.thermal.publish(encode_image(gray, "mono8", stamp_ns + 90_000_000, ""))  # decides the pair before

    publish_apart(10**9)
    wait_for(lambda: node._session.totals().received == {"thermal": 2, "visible": 1}, what="the images")
    assert remote.set("sync.slop", 0.05) == (True, "")
    assert remote.set("output", "gray") == (True, "")
    publish_apart(2 * 10**9)
    wait_for(lambda: rig.images, what="the image")
    (image,) = rig.images
    assert (image.header.stamp.sec, image.encoding) == (2, "mono8")


def test_thermal_is_turned_down_while_images_come(make_node, remote, rig):
    make_node(output="gray")
    rig.wait_for_node()
    visible = np.full((24, 32, 3), 40, np.uint8)
    for second, gain in enumerate((1.0, 0.5, 0.0), start=1):
        assert remote.set("thermal_gain", gain) == (True, "")
        rig.publish_pair(slope(24, 32, 100, 255), visible, second * 10**9)
        wait_for(lambda: len(rig.images) == second, what="the image")  # noqa: B023
    levels = [float(decode_message(image).image.mean()) for image in rig.images]
    assert levels[0] > levels[1] + 20 > levels[2] + 40
    assert levels[2] == 40
    assert remote.set("thermal_gain", 1.1)[0] is False


def test_a_set_with_one_refused_value_changes_none(make_node, remote):
    node = make_node(autostart=False)
    assert node.trigger_configure() == SUCCESS
    wanted = [Parameter("sync.slop", value=0.2), Parameter("scale", value=3)]
    request = [parameter.to_parameter_msg() for parameter in wanted]
    result = remote.call(SetParametersAtomically, "set_parameters_atomically", parameters=request).result
    assert not result.successful
    assert "scale is fixed while the node is configured" in result.reason
    assert remote.get("sync.slop").double_value == FusionConfig().sync.slop
    assert remote.set("thermal.range_low", 300.0)[0] is False  # above range_high
    wanted = [Parameter("thermal.range_low", value=290), Parameter("thermal.range_high", value=310)]
    request = [parameter.to_parameter_msg() for parameter in wanted]
    assert remote.call(SetParametersAtomically, "set_parameters_atomically", parameters=request).result.successful
    assert node._parameters_of_node.config().thermal.range_high == 310.0


def test_an_unknown_start_parameter_fails_configure_with_the_nearest_name(make_node, monkeypatch):
    node = make_node(autostart=False, sync__slopp=0.1)
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == FAILURE
    (line,) = lines
    assert "no parameter is called 'sync.slopp'; did you mean 'sync.slop'?" in line


def test_a_parameter_cannot_be_removed(make_node, remote):
    make_node(autostart=False)
    for name in ("sync.slop", "scale"):
        successful, _ = remote.set(name, None)
        assert not successful
    assert remote.get("sync.slop").type == ParameterType.PARAMETER_DOUBLE


@pytest.mark.parametrize(
    ("parameters", "fact"),
    [
        ({"scale": 7}, "scale is 7; choose one of 2, 3, 4"),
        ({"scale": "two"}, "scale is 'two'; it must be an integer"),
        ({"sync__slop": "long"}, "sync.slop is 'long'; it must be a number"),
        ({"sync__queue_size": 0}, "sync.queue_size is 0; it must lie in [1, 1000]"),
        ({"grid": [640]}, "grid is [640]; it must be a list of 2 values"),
        ({"scale": 9, "precision": "fp8"}, "precision is 'fp8'; choose one of"),
        ({"thermal__range_low": 300.0, "thermal__range_high": 200.0}, "range_high"),
    ],
)
def test_a_wrong_start_value_fails_configure_until_it_is_set_right(make_node, remote, monkeypatch, parameters, fact):
    node = make_node(**{"autostart": False, **parameters})
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == FAILURE
    (line,) = lines
    assert line.startswith("error: configure failed: ")
    assert fact in line
    assert "\n" not in line
    defaults = {spec.name: spec.default for spec in SPECS}
    for name in parameters:
        name = name.replace("__", ".")
        default = defaults[name]
        assert remote.set(name, list(default) if isinstance(default, tuple) else default) == (True, "")
    assert node.trigger_configure() == SUCCESS
