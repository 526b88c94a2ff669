"""An executor that outlives what is destroyed while it was about to take from it."""

from __future__ import annotations

from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor


class SkippingExecutor(MultiThreadedExecutor):
    """As rclpy's, but a subscription or timer that was destroyed after the wait for it and before its turn is skipped.

    Newer rclpy does so itself. Humble raises InvalidHandle after it has entered the callback group, and never leaves
    it: no callback of a mutually exclusive group would run any more.
    """

    def _take_subscription(self, sub: Any) -> Any:
        try:
            return super()._take_subscription(sub)
        except InvalidHandle:
            return None

    def _take_timer(self, tmr: Any) -> Any:
        try:
            return super()._take_timer(tmr)
        except InvalidHandle:
            return None
