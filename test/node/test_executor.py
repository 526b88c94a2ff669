"""The executor skips what was destroyed before its turn, as newer rclpy does itself."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor

from hkdnet_ros.node.executor import SkippingExecutor


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
