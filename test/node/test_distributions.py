"""What differs between distributions of ROS 2: what a newer one does by itself is done for an older one, too."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import os

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


@pytest.mark.parametrize(
    ("distribution", "local", "profile"),
    [
        ("humble", {"ROS_LOCALHOST_ONLY": "1"}, "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "FASTDDS_DEFAULT_PROFILES_FILE"),  # from wheels
    ],
)
def test_each_distribution_gets_the_variables_that_it_reads(monkeypatch, distribution, local, profile):
    monkeypatch.setattr(os, "environ", {"ROS_DISTRO": distribution} if distribution else {})
    keep_local()
    assert {name: value for name, value in os.environ.items() if name != "ROS_DISTRO"} == local
    assert profile_variable() == profile
    assert adds_transports() == (distribution == "humble")
