"""What differs between the distributions of ROS 2, in one place: what each needs, and the day from which it can go.

Support ends for Kilted in December 2026, for Humble in May 2027 and for Jazzy in May 2029 (docs.ros.org, Releases).
Where a distribution goes, so does what is said here to be for it, and the callers take the newer form.
"""

from __future__ import annotations

import contextlib
import os
from importlib import metadata
from typing import Any

from rclpy.clock import ClockType  # type: ignore[attr-defined]  # until May 2027: Humble has it here only
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.node import Node

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # until May 2027: Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = [
    "HAS_SET_CALLBACKS",
    "PROFILE_VARIABLES",
    "ClockType",
    "ForgivingLifecycleMixin",
    "PublisherEventCallbacks",
    "SkippingExecutor",
    "SubscriptionEventCallbacks",
    "adds_transports",
    "distribution",
    "keep_local",
    "profile_variable",
]

HAS_SET_CALLBACKS = hasattr(Node, "add_post_set_parameters_callback")
"""Whether parameters have callbacks before and after they are set. Until May 2027: not in Humble."""


def distribution() -> str:
    """Return the distribution's name: of what is sourced, or of the wheels, which say nothing in the environment."""
    sourced = os.environ.get("ROS_DISTRO")
    if sourced:
        return sourced
    try:
        wheel = metadata.version("ros-rclpy")
    except metadata.PackageNotFoundError:
        return ""
    return "jazzy" if wheel.startswith("7.") else "kilted"


_LOCAL_IN_HUMBLE = "ROS_LOCALHOST_ONLY"


def keep_local() -> None:
    """Let ROS in this process and its children keep to this machine, unless the environment says how far it reaches.

    Until May 2027: Humble has a variable of its own.
    """
    if distribution() == "humble":
        os.environ.setdefault(_LOCAL_IN_HUMBLE, "1")
    else:
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def adds_transports() -> bool:
    """Tell whether ROS adds transports to those of a Fast DDS profile. Until May 2027: Humble does to keep local."""
    return os.environ.get(_LOCAL_IN_HUMBLE) == "1"


PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""The environment variables that may name Fast DDS's profile. Until May 2029: Fast DDS 2, of Humble and Jazzy, reads
the first only; Fast DDS 3 reads both, with a warning about the first."""


def profile_variable() -> str:
    """Return the one of :data:`PROFILE_VARIABLES` that is to be set."""
    return PROFILE_VARIABLES[distribution() not in ("humble", "jazzy")]


class SkippingExecutor(MultiThreadedExecutor):
    """Skips a subscription or timer that was destroyed, or a timer cancelled, after the wait for it, before its turn.

    Until May 2027: newer rclpy skips what was destroyed itself. Humble raises InvalidHandle after it has entered the
    callback group, and never leaves it: no callback of a mutually exclusive group would run any more. What else is
    destroyed in between raises it from :meth:`spin_once`. Until May 2029: Humble and Jazzy let rcl's error escape
    about a timer that another thread has cancelled, which would end the process.
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
        except RuntimeError:  # rcl's errors are
            if tmr.is_canceled():
                return None
            raise

    def shutdown(self, timeout_sec: float | None = None, *, wait_for_threads: bool = True) -> bool:
        """End once all callbacks have; to be called when :meth:`spin_once` is not running any more.

        Until May 2029: Jazzy does not wait for them, so that a node would be destroyed under one that runs. Kilted
        waits too late for those that want to tell the executor of their end, and prints a line for each.
        """
        self._executor.shutdown(wait=wait_for_threads)
        return bool(super().shutdown(timeout_sec))

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run what is due, or wait for it."""
        with contextlib.suppress(InvalidHandle):
            super().spin_once(timeout_sec)


class ForgivingLifecycleMixin(LifecycleNodeMixin):
    """Refuses a transition that is not possible at the time, with a line in the log.

    Until May 2029: Humble and Jazzy let rcl's error about it escape, which would end the process. What is overridden,
    by its mangled name, is the method that all transitions go through, asked for by a service or not.
    """

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:  # noqa: N802
        try:
            result: TransitionCallbackReturn = super()._LifecycleNodeMixin__change_state(transition_id)  # type: ignore[misc]
        except RuntimeError as error:  # rcl's errors are
            self.get_logger().error(  # type: ignore[attr-defined]  # the node's, into which this is mixed
                f"transition {transition_id} refused: {' '.join(str(error).split())}"
            )
            return TransitionCallbackReturn.ERROR
        return result
