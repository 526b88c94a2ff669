"""The fusion node's transitions and parameters, with the network played by a stand-in."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from rigging import FakeEngine, kept_log, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters, SetParametersAtomically
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.parameter import Parameter

from hkdnet_ros.errors import CheckpointError, ConfigError, DeviceError
from hkdnet_ros.node.fusion import FusionNode, load_engine
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.node.schema import SPECS, FusionConfig, NodeConfig

SUCCESS, FAILURE, ERROR = (getattr(TransitionCallbackReturn, name) for name in ("SUCCESS", "FAILURE", "ERROR"))


class Remote:
    """Calls services of the fusion node from outside."""

    def __init__(self, spun):
        self._node = spun.add(rclpy.create_node("remote", context=spun.context))
        self._clients = {}

    def call(self, kind, name, **fields):
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, f"/fusion/{name}")
        client = self._clients[name]
        assert client.wait_for_service(timeout_sec=10)
        future = client.call_async(kind.Request(**fields))
        wait_for(future.done, what=f"an answer of {name}")
        return future.result()

    def state(self):
        return self.call(GetState, "get_state").current_state.label

    def transition(self, number):
        return self.call(ChangeState, "change_state", transition=Transition(id=number)).success

    def set(self, name, value):
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        (result,) = self.call(SetParameters, "set_parameters", parameters=parameters).results
        return result.successful, result.reason

    def get(self, name):
        (value,) = self.call(GetParameters, "get_parameters", names=[name]).values
        return value


@pytest.fixture
def remote(spun):
    return Remote(spun)


def test_it_starts_by_itself(make_node, remote):
    node = make_node()
    wait_for(lambda: remote.state() == "active", what="the active state")
    assert node.get_fully_qualified_name() == "/fusion"


def test_without_autostart_it_waits_for_transitions_and_goes_round_twice(make_node, remote, engine):
    make_node(autostart=False)
    for _ in range(2):
        assert remote.state() == "unconfigured"
        for number, state in (
            (Transition.TRANSITION_CONFIGURE, "inactive"),
            (Transition.TRANSITION_ACTIVATE, "active"),
            (Transition.TRANSITION_DEACTIVATE, "inactive"),
            (Transition.TRANSITION_ACTIVATE, "active"),
            (Transition.TRANSITION_DEACTIVATE, "inactive"),
            (Transition.TRANSITION_CLEANUP, "unconfigured"),
        ):
            assert remote.transition(number)
            assert remote.state() == state
        assert engine.closed
        engine.closed = False
    assert remote.transition(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert remote.state() == "finalized"


def test_a_transition_that_is_not_possible_is_refused_and_the_node_lives_on(make_node, remote, monkeypatch):
    node = make_node(autostart=False)
    assert not remote.transition(Transition.TRANSITION_ACTIVATE)
    assert not remote.transition(Transition.TRANSITION_CLEANUP)
    assert remote.state() == "unconfigured"

    def as_in_humble(self, transition_id):
        raise RuntimeError("Failed to trigger lifecycle state machine\n transition: Transition is not registered.")

    lines = kept_log(node, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(LifecycleNodeMixin, "_LifecycleNodeMixin__change_state", as_in_humble)
        assert not remote.transition(Transition.TRANSITION_ACTIVATE)
        assert node.trigger_configure() == ERROR
    assert len(lines) == 2
    assert all("refused: Failed to trigger" in line and "\n" not in line for line in lines)
    assert remote.transition(Transition.TRANSITION_CONFIGURE)


def test_shutdown_from_active_frees_the_engine(make_node, remote, engine):
    make_node()
    wait_for(lambda: remote.state() == "active", what="the active state")
    assert remote.transition(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert engine.closed


def test_the_engine_is_made_from_the_parameters_and_warmed_up_for_the_grid(make_node, engine):
    seen = []
    node = make_node(
        lambda config: seen.append(config) or engine, autostart=False, scale=3, device="cpu", grid=[64, 48]
    )
    assert node.trigger_configure() == SUCCESS
    assert (seen[0].scale, seen[0].device) == (3, "cpu")
    assert engine.warmed_up == [(48, 64)]


def test_a_model_that_cannot_be_loaded_fails_configure_and_the_node_lives_on(make_node, remote, monkeypatch, engine):
    outcomes = [CheckpointError("no file my.safetensors; expected a preset name or a path"), engine]

    def factory(config):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    node = make_node(factory, autostart=False)
    lines = kept_log(node, monkeypatch)
    assert not remote.transition(Transition.TRANSITION_CONFIGURE)
    assert remote.state() == "unconfigured"
    assert lines == ["error: configure failed: no file my.safetensors; expected a preset name or a path"]
    assert remote.transition(Transition.TRANSITION_CONFIGURE)
    assert remote.state() == "inactive"


def test_a_model_that_cannot_be_loaded_later_leaves_the_one_before(make_node, remote, monkeypatch):
    def factory(config):
        if config.model == "bad":
            raise CheckpointError("no file bad; expected a preset name or a path")
        return FakeEngine()

    node = make_node(factory, autostart=False)
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    assert remote.set("model", "bad") == (True, "")
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == SUCCESS
    assert (
        lines[0] == "error: no file bad; expected a preset name or a path; going back to the model before, realtime x2"
    )
    assert remote.get("model").string_value == "realtime"
    assert remote.set("model", "other")[0] is False  # fixed again
    assert node.trigger_activate() == SUCCESS


def test_a_model_that_cannot_be_warmed_up_leaves_the_one_before(make_node, remote, monkeypatch):
    class Failing(FakeEngine):
        def warm_up(self, height, width):
            raise DeviceError("out of memory")

    made = []

    def factory(config):
        made.append(Failing() if config.scale == 4 else FakeEngine())
        return made[-1]

    node = make_node(factory, autostart=False, grid=[16, 16])
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    assert remote.set("scale", 4) == (True, "")
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == SUCCESS
    assert any("out of memory; going back to the model before" in line for line in lines)
    assert remote.get("scale").integer_value == 2
    assert all(engine.closed for engine in made[:-1])
    assert not made[-1].closed


def test_a_lost_device_deactivates_the_node_where_the_parameter_says_so(make_node, remote, rig, engine):
    node = make_node(device_failure="inactive")
    rig.wait_for_node()
    engine.error = DeviceError("the device failed: CUDA error")
    rig.publish_pair(np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.uint8), 10**9)
    wait_for(lambda: remote.state() == "inactive", what="the inactive state")
    engine.error = None
    assert node.trigger_activate() == SUCCESS


@pytest.mark.parametrize("content", [None, b"", b"not weights at all"], ids=["missing", "empty", "damaged"])
def test_bad_weights_fail_configure_with_one_line(make_node, remote, monkeypatch, tmp_path, content):
    pytest.importorskip("torch", reason="needs torch")
    path = tmp_path / "my.safetensors"
    if content is not None:
        path.write_bytes(content)
    node = make_node(load_engine, autostart=False, model=str(path), device="cpu")
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == FAILURE
    (line,) = lines
    assert line.startswith("error: configure failed: ")
    assert str(path) in line
    assert "\n" not in line
    assert remote.state() == "unconfigured"


def test_without_torch_configure_fails_with_one_line(make_node, monkeypatch):
    monkeypatch.delitem(sys.modules, "hkdnet_ros.inference.engine", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    node = make_node(load_engine, autostart=False)
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == FAILURE
    (line,) = lines
    assert line.startswith("error: configure failed: the network needs the Python package torch")
    assert "\n" not in line


def test_a_failing_warm_up_frees_the_engine(make_node, engine, monkeypatch):
    def fail(height, width):
        raise ConfigError("out of memory for 64x48")

    monkeypatch.setattr(engine, "warm_up", fail)
    node = make_node(autostart=False, grid=[64, 48])
    assert node.trigger_configure() == FAILURE
    assert engine.closed


def test_a_defect_while_configuring_is_logged_with_its_traceback(make_node, monkeypatch, engine):
    def factory(config):
        raise ZeroDivisionError("a defect")

    node = make_node(factory, autostart=False)
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == ERROR
    assert lines[0].startswith("fatal: configure failed by an internal error:\nTraceback")
    assert node.trigger_configure() == ERROR  # unconfigured again, so it can be tried again


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


def test_services_answer_while_the_model_loads(make_node, remote, spun):
    loading, go_on = threading.Event(), threading.Event()

    def factory(config):
        loading.set()
        go_on.wait()
        return FakeEngine()

    make_node(factory)
    try:
        assert loading.wait(10)
        assert remote.state() == "configuring"
        assert remote.get("scale").integer_value == 2
        assert remote.set("scale", 3)[0] is False
        assert not remote.transition(Transition.TRANSITION_CONFIGURE)
    finally:
        go_on.set()
    wait_for(lambda: remote.state() == "active", what="the active state")


def test_services_answer_while_inference_is_held(make_node, remote, rig, engine):
    make_node()
    rig.wait_for_node()
    engine.go_on.clear()
    rig.publish_pair(np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.uint8), 10**9)
    assert engine.entered.wait(10)
    assert remote.get("scale").integer_value == 2
    assert remote.set("scale", 3)[0] is False
    assert remote.state() == "active"
    assert not rig.images
    engine.go_on.set()
    wait_for(lambda: rig.images, what="the image")


def test_deactivating_waits_for_the_pair_in_work(make_node, remote, rig, engine):
    node = make_node()
    rig.wait_for_node()
    engine.go_on.clear()
    rig.publish_pair(np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.uint8), 10**9)
    assert engine.entered.wait(10)
    deactivating = threading.Thread(target=node.trigger_deactivate)
    deactivating.start()
    wait_for(lambda: remote.state() == "deactivating", what="the deactivating state")
    engine.go_on.set()
    deactivating.join(10)
    assert remote.state() == "inactive"
    wait_for(lambda: rig.images, what="the image")
    assert not engine.closed
