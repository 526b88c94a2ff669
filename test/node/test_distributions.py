"""What differs between distributions of ROS 2: what a newer one does by itself is done for an older one, too."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import os
import threading
import time
from importlib import metadata

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor

from hkdnet_ros.node.distributions import SkippingExecutor, adds_transports, keep_local, profile_variable


@pytest.mark.parametrize("take", ["_take_subscription", "_take_timer"])
def test_what_was_destroyed_before_its_turn_gives_nothing(monkeypatch, take):
    def raise_it(self, entity):
        raise InvalidHandle

    monkeypatch.setattr(MultiThreadedExecutor, take, raise_it)  # as Humble's does
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SkippingExecutor(1, context=context)
    try:
        assert getattr(executor, take)(None) is None
    finally:
        executor.shutdown()
        rclpy.shutdown(context=context)


def test_a_timer_cancelled_before_its_turn_gives_nothing_and_another_error_is_kept(monkeypatch):
    def raise_it(self, timer):
        raise RuntimeError("failed to call timer: timer is canceled, at ./src/rcl/timer.c:272")

    monkeypatch.setattr(MultiThreadedExecutor, "_take_timer", raise_it)  # as Humble's and Jazzy's do
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("timing", context=context)
    executor = SkippingExecutor(1, context=context)
    try:
        timer = node.create_timer(1.0, lambda: None)
        with pytest.raises(RuntimeError, match="canceled"):
            executor._take_timer(timer)
        timer.cancel()
        assert executor._take_timer(timer) is None
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_an_executor_ends_after_the_callbacks_that_run(capfd):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("busy", context=context)
    executor = SkippingExecutor(2, context=context)
    executor.add_node(node)
    begun, ended = threading.Event(), threading.Event()

    def work():
        timer.cancel()
        begun.set()
        time.sleep(0.5)
        node.get_logger().info("still there")
        ended.set()

    timer = node.create_timer(0.0, work)
    executor.spin_once(1.0)
    assert begun.wait(10)
    executor.shutdown()
    assert ended.is_set()
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert "InvalidHandle" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("distribution", "local", "profile"),
    [
        ("humble", {"ROS_LOCALHOST_ONLY": "1"}, "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("7.1.6", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "FASTRTPS_DEFAULT_PROFILES_FILE"),  # Jazzy's wheels
        ("9.1.2", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "FASTDDS_DEFAULT_PROFILES_FILE"),  # Kilted's
    ],
)
def test_each_distribution_gets_the_variables_that_it_reads(monkeypatch, distribution, local, profile):
    is_wheel = distribution[0].isdigit()
    monkeypatch.setattr(os, "environ", {} if is_wheel else {"ROS_DISTRO": distribution})
    monkeypatch.setattr(metadata, "version", {"ros-rclpy": distribution}.__getitem__)
    keep_local()
    assert {name: value for name, value in os.environ.items() if name != "ROS_DISTRO"} == local
    assert profile_variable() == profile
    assert adds_transports() == (distribution == "humble")
