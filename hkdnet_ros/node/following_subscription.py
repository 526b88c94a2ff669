"""A subscription that asks for what its publishers offer.

Best effort, the usual quality of service for sensors, matches every publisher, but loses images larger than the
shared-memory segment of Fast DDS (512 KB by default): of 100 bgr8 images of 640x480 it received 0 to 13, a reliable
subscription all, on one machine. Reliable alone would hear nothing of a best-effort camera. Volatile hears nothing of a
calibration that was published once, transient local, before.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from ..errors import ConfigError
from .diagnostics import type_name, unheard_publishers
from .distributions import ClockType, SubscriptionEventCallbacks

FOLLOW = "best_available"  # ROS's own word for it, from Iron on
_PERIOD_S = 0.2
_DEPTH = 5
_REMEMBERED = 4 * _DEPTH  # messages: what a second listener may still have in its queue

_RELIABILITIES = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
_DURABILITIES = {"volatile": DurabilityPolicy.VOLATILE, "transient_local": DurabilityPolicy.TRANSIENT_LOCAL}


def no_events() -> SubscriptionEventCallbacks:
    """Return the option that a subscription needs which is destroyed while its node spins.

    An executor that is about to wait for the events of one destroyed at that moment ends with InvalidHandle.
    """
    return SubscriptionEventCallbacks(use_default_callbacks=False)


@dataclass(frozen=True, slots=True)
class _Listener:
    """A subscription and what it asks for."""

    number: int
    reliability: ReliabilityPolicy
    durability: DurabilityPolicy
    subscription: Subscription[Any]


class FollowingSubscription:
    """Subscribes ``topic``, reliable unless one of its publishers is best effort, and again when that changes.

    The subscription before stays until the new one hears something: a new one is matched with each publisher only after
    up to seconds. For the same reason a topic that was heard, and then was silent for ``silence_s`` (s; None: never),
    is listened to in both reliabilities until it is heard again. What two hear meanwhile comes once, by its stamp.

    Transient local, so that what was published before is heard, where all publishers are that and reliable. Standard
    ``qos_overrides`` for history, depth, reliability and durability apply; the last two are "best_available" (follow
    the publishers) by default, and "reliable", "best_effort", "volatile" and "transient_local" fix them.
    """

    def __init__(
        self,
        node: Node,
        kind: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        group: CallbackGroup,
        silence_s: float | None = None,
    ) -> None:
        self.node = node
        self.kind = kind
        self.topic = topic  # as given: rclpy remaps what it is asked about, and twice would lead elsewhere
        self.resolved = node.resolve_topic_name(topic)
        self._callback = callback
        self._group = group
        self._fixed: ReliabilityPolicy | None = self._declare("reliability", _RELIABILITIES)
        self._fixed_durability: DurabilityPolicy | None = self._declare("durability", _DURABILITIES)
        self._silence_s = silence_s if self._fixed is None else None
        self._lock = threading.Lock()  # the node may be deactivated while the timer's callback runs
        self._destroyed = False
        self._numbers = itertools.count()
        self._heard_at: float | None = None  # by any
        self._is_heard = False  # by the current one, since it is that
        self._other: _Listener | None = None  # the one before, or the one beside in silence
        self._passed: deque[tuple[int, Any]] = deque(maxlen=_REMEMBERED)  # (listener, stamp)
        offers = self._offers()
        with self._lock:  # the first message may come at once, in another thread
            self._now = self._listen(
                self._wanted(offers) or ReliabilityPolicy.RELIABLE, self._wanted_durability(offers)
            )
        # The timer shares the group of the callback, so that no message is taken while the subscription changes.
        # Steady time: cameras come and go while a simulation's clock stands still.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        is_fixed = self._fixed is not None and self._fixed_durability is not None
        self._timer = None if is_fixed else node.create_timer(_PERIOD_S, self._follow, group, clock=clock)

    @property
    def reliability(self) -> ReliabilityPolicy:
        """What the subscription asks for at this time."""
        return self._now.reliability

    @property
    def durability(self) -> DurabilityPolicy:
        """Whether it asks for what was published before it was there."""
        return self._now.durability

    def unheard(self) -> list[str]:
        """Return, one text each, the publishers of the topic that this does not hear."""
        return unheard_publishers(self.node, self.topic, self.kind, self._now.subscription.qos_profile)

    def destroy(self) -> None:
        """End the subscription, for good; any thread may call this."""
        with self._lock:
            self._destroyed = True
            if self._timer is not None:
                self.node.destroy_timer(self._timer)
            self._end_other()
            self.node.destroy_subscription(self._now.subscription)

    def _declare(self, policy: str, policies: dict[str, Any]) -> Any:
        """Return what a qos_overrides parameter fixes ``policy`` to, None where the publishers decide."""
        name = f"qos_overrides.{self.resolved}.subscription.{policy}"
        choices = {FOLLOW: None, **policies}
        if not self.node.has_parameter(name):  # it remains from an activation before
            description = ParameterDescriptor(
                description=f"{policy} for subscription `{self.resolved}`; {FOLLOW} follows its publishers",
                additional_constraints=f"one of {', '.join(choices)}",
                read_only=True,
                dynamic_typing=True,  # a wrong type is then a warning, too
            )
            self.node.declare_parameter(name, FOLLOW, description)
        value = self.node.get_parameter(name).value
        if not isinstance(value, str) or value not in choices:
            self.node.get_logger().warning(f"{name} is {value!r}; expected one of {', '.join(choices)}; using {FOLLOW}")
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
        return [info.qos_profile for info in self.node.get_publishers_info_by_topic(self.topic)]

    def _listen(self, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> _Listener:
        # A short queue: the worker takes the latest pair anyway, and each large image waiting is memory.
        qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=_DEPTH, reliability=reliability, durability=durability)
        overrides = QoSOverridingOptions(policy_kinds=(QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))
        number = next(self._numbers)
        try:
            subscription = self.node.create_subscription(
                self.kind,
                self.topic,
                functools.partial(self._hear, number),
                qos,
                callback_group=self._group,
                event_callbacks=no_events(),
                qos_overriding_options=overrides,
            )
        except RuntimeError as error:  # rcl's are
            raise ConfigError(
                f"{self.resolved} cannot be subscribed as {type_name(self.kind)}: {' '.join(str(error).split())}; in "
                "one process Fast DDS lets no topic have two types"
            ) from error
        return _Listener(number, reliability, durability, subscription)

    def _hear(self, number: int, message: Any) -> None:
        """Pass on a message of the current listener, and one of the other while the current one has heard none."""
        with self._lock:
            is_current = number == self._now.number
            if self._destroyed or (self._is_heard and not is_current):
                return
            self._is_heard = is_current
            self._heard_at = time.monotonic()
            stamp = getattr(getattr(message, "header", None), "stamp", None)
            if stamp is not None:
                if self._other is not None and any(of != number and at == stamp for of, at in self._passed):
                    return
                self._passed.append((number, stamp))
        self._callback(message)

    def _follow(self) -> None:
        offers = self._offers()
        reliability, durability = self._wanted(offers), self._wanted_durability(offers)
        with self._lock:
            if self._destroyed:
                return
            if self._is_heard:
                self._end_other()
            # Without publishers everything stays: those that come back are likely to be as they were.
            if reliability is None or (reliability, durability) == (self._now.reliability, self._now.durability):
                self._listen_in_both_ways_where_silent()
                return
            self._change(reliability, durability)
        names = f"{reliability.name} and {durability.name.replace('_', ' ')}".lower()
        self.node.get_logger().info(f"{self.resolved}: subscribed {names}, as its publishers offer")

    def _change(self, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> None:
        before, other = self._now, self._other
        if other is not None and (other.reliability, other.durability) == (reliability, durability):
            self._now, self._other = other, before
        else:
            self._now = self._listen(reliability, durability)
            if other is None:
                self._other = before
            else:  # which may be the one that hears; the current one did not
                self.node.destroy_subscription(before.subscription)
        self._is_heard = False

    def _listen_in_both_ways_where_silent(self) -> None:
        heard_at = self._heard_at
        if self._silence_s is None or self._other is not None or heard_at is None:
            return
        if time.monotonic() - heard_at > self._silence_s:
            is_reliable = self._now.reliability == ReliabilityPolicy.RELIABLE
            opposite = ReliabilityPolicy.BEST_EFFORT if is_reliable else ReliabilityPolicy.RELIABLE
            self._other = self._listen(opposite, DurabilityPolicy.VOLATILE)
            self._is_heard = False

    def _end_other(self) -> None:
        if self._other is not None:
            self.node.destroy_subscription(self._other.subscription)
            self._other = None
