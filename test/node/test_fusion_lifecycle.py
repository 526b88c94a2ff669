"""The fusion node's transitions, with the network played by a stand-in."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from rigging import FakeEngine, kept_log, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from lifecycle_msgs.msg import Transition
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn

from hkdnet_ros.errors import CheckpointError, ConfigError, DeviceError
from hkdnet_ros.inference.engine_api import load_engine

SUCCESS, FAILURE, ERROR = (getattr(TransitionCallbackReturn, name) for name in ("SUCCESS", "FAILURE", "ERROR"))


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
    assert lines[0] == "error: no file bad; expected a preset name or a path; going back to the model before, auto x2"
    assert remote.get("model").string_value == "auto"
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
    monkeypatch.delitem(sys.modules, "hkdnet_ros.inference.torch_backend", raising=False)
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
