"""An image subscription that asks for what its publishers offer.

Best effort, the usual quality of service for sensors, matches every publisher, but loses images larger than the
shared-memory segment of Fast DDS (512 KB by default): of 100 bgr8 images of 640x480 it received 0 to 13, a reliable
subscription all, on one machine. Reliable alone would hear nothing of a best-effort camera.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from .diagnostics import unheard_publishers

FOLLOW = "best_available"  # ROS's own word for it, from Iron on
_PERIOD_S = 0.5


def no_events() -> SubscriptionEventCallbacks:
    """Return the option that a subscription needs which is destroyed while its node spins.

    An executor that is about to wait for the events of one destroyed at that moment ends with InvalidHandle.
    """
    return SubscriptionEventCallbacks(use_default_callbacks=False)


class FollowingSubscription:
    """Subscribes ``topic``, reliable unless one of its publishers is best effort, and again when that changes.

    Standard ``qos_overrides`` for history, depth and reliability apply; reliability is "best_available" (follow the
    publishers) by default, and "reliable" or "best_effort" fix it.
    """

    def __init__(
        self, node: Node, kind: type[Any], topic: str, callback: Callable[[Any], None], group: CallbackGroup
    ) -> None:
        self._node = node
        self._kind = kind
        self._topic = topic
        self._resolved = node.resolve_topic_name(topic)
        self._callback = callback
        self._group = group
        self._fixed = self._declare_reliability()
        self._reliability = self._fixed or self._wanted() or ReliabilityPolicy.RELIABLE
        self._lock = threading.Lock()  # the node may be deactivated while the timer's callback runs
        self._destroyed = False
        self._subscription: Subscription[Any] = self._subscribe()
        # The timer shares the group of the callback, so that no message is taken while the subscription changes.
        # Steady time: cameras come and go while a simulation's clock stands still.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = None if self._fixed else node.create_timer(_PERIOD_S, self._follow, group, clock=clock)

    @property
    def reliability(self) -> ReliabilityPolicy:
        """What the subscription asks for at this time."""
        return self._reliability

    def unheard(self) -> list[str]:
        """Return, one text each, the publishers of the topic that this does not hear."""
        return unheard_publishers(self._node, self._resolved, self._kind, self._subscription.qos_profile)

    def destroy(self) -> None:
        """End the subscription, for good; any thread may call this."""
        with self._lock:
            self._destroyed = True
            if self._timer is not None:
                self._node.destroy_timer(self._timer)
            self._node.destroy_subscription(self._subscription)

    def _declare_reliability(self) -> ReliabilityPolicy | None:
        """Return what a qos_overrides parameter fixes the reliability to, None where the publishers decide."""
        name = f"qos_overrides.{self._resolved}.subscription.reliability"
        if not self._node.has_parameter(name):  # it remains from an activation before
            description = ParameterDescriptor(
                description=f"reliability for subscription `{self._resolved}`; {FOLLOW} follows its publishers",
                additional_constraints=f"one of {FOLLOW}, reliable, best_effort",
                read_only=True,
                dynamic_typing=True,  # a wrong type is then a warning, too
            )
            self._node.declare_parameter(name, FOLLOW, description)
        value = self._node.get_parameter(name).value
        choices = {FOLLOW: None, "reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
        if not isinstance(value, str) or value not in choices:
            self._node.get_logger().warning(
                f"{name} is {value!r}; expected one of {', '.join(choices)}; using {FOLLOW}"
            )
            value = FOLLOW
        return choices[value]

    def _wanted(self) -> ReliabilityPolicy | None:
        """Return what all publishers of the topic can serve, None where there is none."""
        offers = [info.qos_profile.reliability for info in self._node.get_publishers_info_by_topic(self._resolved)]
        if not offers:
            return None
        reliable = all(offer == ReliabilityPolicy.RELIABLE for offer in offers)
        return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

    def _subscribe(self) -> Subscription[Any]:
        # A short queue: the worker takes the latest pair anyway, and each large image waiting is memory.
        qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=self._reliability)
        overrides = QoSOverridingOptions(policy_kinds=(QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))
        return self._node.create_subscription(
            self._kind,
            self._topic,
            self._callback,
            qos,
            callback_group=self._group,
            event_callbacks=no_events(),
            qos_overriding_options=overrides,
        )

    def _follow(self) -> None:
        wanted = self._wanted()
        with self._lock:
            if self._destroyed or wanted is None or wanted == self._reliability:
                return
            self._node.destroy_subscription(self._subscription)
            self._reliability = wanted
            self._subscription = self._subscribe()
        self._node.get_logger().info(f"{self._resolved}: subscribed {wanted.name.lower()}, as its publishers offer")
