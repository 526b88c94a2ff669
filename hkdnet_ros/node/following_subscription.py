"""A subscription that asks for what its publishers offer.

Best effort, the usual quality of service for sensors, matches every publisher, but loses images larger than the
shared-memory segment of Fast DDS (512 KB by default): of 100 bgr8 images of 640x480 it received 0 to 13, a reliable
subscription all, on one machine. Reliable alone would hear nothing of a best-effort camera. Volatile hears nothing of a
calibration that was published once, transient local, before.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from .diagnostics import unheard_publishers

FOLLOW = "best_available"  # ROS's own word for it, from Iron on
_PERIOD_S = 0.2

_RELIABILITIES = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
_DURABILITIES = {"volatile": DurabilityPolicy.VOLATILE, "transient_local": DurabilityPolicy.TRANSIENT_LOCAL}


def no_events() -> SubscriptionEventCallbacks:
    """Return the option that a subscription needs which is destroyed while its node spins.

    An executor that is about to wait for the events of one destroyed at that moment ends with InvalidHandle.
    """
    return SubscriptionEventCallbacks(use_default_callbacks=False)


class FollowingSubscription:
    """Subscribes ``topic``, reliable unless one of its publishers is best effort, and again when that changes.

    The subscription before stays until the new one hears something: a new one is matched with each publisher only after
    up to seconds. What both hear as they change may come twice.

    Transient local, so that what was published before is heard, where all publishers are that and reliable. Standard
    ``qos_overrides`` for history, depth, reliability and durability apply; the last two are "best_available" (follow
    the publishers) by default, and "reliable", "best_effort", "volatile" and "transient_local" fix them.
    """

    def __init__(
        self, node: Node, kind: type[Any], topic: str, callback: Callable[[Any], None], group: CallbackGroup
    ) -> None:
        self._node = node
        self._kind = kind
        self._topic = topic  # as given: rclpy remaps what it is asked about, and twice would lead elsewhere
        self._resolved = node.resolve_topic_name(topic)
        self._callback = callback
        self._group = group
        self._fixed: ReliabilityPolicy | None = self._declare("reliability", _RELIABILITIES)
        self._fixed_durability: DurabilityPolicy | None = self._declare("durability", _DURABILITIES)
        offers = self._offers()
        self._reliability = self._wanted(offers) or ReliabilityPolicy.RELIABLE
        self._durability = self._wanted_durability(offers)
        self._lock = threading.Lock()  # the node may be deactivated while the timer's callback runs
        self._destroyed = False
        self._made = 0  # subscriptions so far
        self._heard = 0  # the latest of them that heard something
        self._former: Subscription[Any] | None = None
        self._subscription: Subscription[Any] = self._subscribe()
        # The timer shares the group of the callback, so that no message is taken while the subscription changes.
        # Steady time: cameras come and go while a simulation's clock stands still.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        is_fixed = self._fixed is not None and self._fixed_durability is not None
        self._timer = None if is_fixed else node.create_timer(_PERIOD_S, self._follow, group, clock=clock)

    @property
    def reliability(self) -> ReliabilityPolicy:
        """What the subscription asks for at this time."""
        return self._reliability

    @property
    def durability(self) -> DurabilityPolicy:
        """Whether it asks for what was published before it was there."""
        return self._durability

    def unheard(self) -> list[str]:
        """Return, one text each, the publishers of the topic that this does not hear."""
        return unheard_publishers(self._node, self._topic, self._kind, self._subscription.qos_profile)

    def destroy(self) -> None:
        """End the subscription, for good; any thread may call this."""
        with self._lock:
            self._destroyed = True
            if self._timer is not None:
                self._node.destroy_timer(self._timer)
            self._end_former()
            self._node.destroy_subscription(self._subscription)

    def _declare(self, policy: str, policies: dict[str, Any]) -> Any:
        """Return what a qos_overrides parameter fixes ``policy`` to, None where the publishers decide."""
        name = f"qos_overrides.{self._resolved}.subscription.{policy}"
        choices = {FOLLOW: None, **policies}
        if not self._node.has_parameter(name):  # it remains from an activation before
            description = ParameterDescriptor(
                description=f"{policy} for subscription `{self._resolved}`; {FOLLOW} follows its publishers",
                additional_constraints=f"one of {', '.join(choices)}",
                read_only=True,
                dynamic_typing=True,  # a wrong type is then a warning, too
            )
            self._node.declare_parameter(name, FOLLOW, description)
        value = self._node.get_parameter(name).value
        if not isinstance(value, str) or value not in choices:
            self._node.get_logger().warning(
                f"{name} is {value!r}; expected one of {', '.join(choices)}; using {FOLLOW}"
            )
            value = FOLLOW
        return choices[value]

    def _wanted(self, offers: Sequence[QoSProfile]) -> ReliabilityPolicy | None:
        """Return the reliability that all publishers of the topic can serve, None where there is none."""
        if self._fixed is not None:
            return self._fixed
        if not offers:
            return None
        reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
        return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

    def _wanted_durability(self, offers: Sequence[QoSProfile]) -> DurabilityPolicy:
        if self._fixed_durability is not None:
            return self._fixed_durability
        latched = offers and all(
            offer.durability == DurabilityPolicy.TRANSIENT_LOCAL and offer.reliability == ReliabilityPolicy.RELIABLE
            for offer in offers
        )
        return DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE

    def _offers(self) -> list[QoSProfile]:
        return [info.qos_profile for info in self._node.get_publishers_info_by_topic(self._topic)]

    def _subscribe(self) -> Subscription[Any]:
        # A short queue: the worker takes the latest pair anyway, and each large image waiting is memory.
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=5, reliability=self._reliability, durability=self._durability
        )
        overrides = QoSOverridingOptions(policy_kinds=(QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))
        self._made += 1
        return self._node.create_subscription(
            self._kind,
            self._topic,
            functools.partial(self._hear, self._made),
            qos,
            callback_group=self._group,
            event_callbacks=no_events(),
            qos_overriding_options=overrides,
        )

    def _hear(self, number: int, message: Any) -> None:
        """Pass on a message of the ``number``-th subscription, unless a later one was heard already."""
        with self._lock:
            if self._destroyed or number < self._heard:
                return
            self._heard = number
        self._callback(message)

    def _follow(self) -> None:
        offers = self._offers()
        reliability, durability = self._wanted(offers), self._wanted_durability(offers)
        with self._lock:
            if self._destroyed:
                return
            if self._heard == self._made:
                self._end_former()
            # Without publishers everything stays: those that come back are likely to be as they were.
            if reliability is None or (reliability, durability) == (self._reliability, self._durability):
                return
            if self._former is None:
                self._former = self._subscription
            else:  # which is the one that hears, the latest has not
                self._node.destroy_subscription(self._subscription)
            self._reliability, self._durability = reliability, durability
            self._subscription = self._subscribe()
        names = f"{reliability.name} and {durability.name.replace('_', ' ')}".lower()
        self._node.get_logger().info(f"{self._resolved}: subscribed {names}, as its publishers offer")

    def _end_former(self) -> None:
        if self._former is not None:
            self._node.destroy_subscription(self._former)
            self._former = None
