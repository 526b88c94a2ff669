"""Who cannot hear whom: reliability and durability decide, whatever else a profile says."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
    qos_profile_system_default,
)

from hkdnet_ros.node.diagnostics import _incompatible

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL

# An unset duration is 0 in a profile that was made here, and on the graph 0 or infinite by distribution and middleware:
# 2^63-1 ns, which Humble writes as 9223372036 s and 854775807 ns, and 2147483647 s and 4294967295 ns in older ones.
UNSET = (0, 2**63 - 1, 9223372036 * 10**9 + 854775807, 2147483647 * 10**9 + 4294967295)


@pytest.mark.parametrize("field", ["deadline", "lifespan", "liveliness_lease_duration"])
@pytest.mark.parametrize(("offered", "asked"), itertools.product((*UNSET, 10**9), repeat=2))
def test_no_duration_makes_a_mismatch(field, offered, asked):
    offer = QoSProfile(depth=1, **{field: Duration(nanoseconds=offered)})
    request = QoSProfile(depth=1, **{field: Duration(nanoseconds=asked)})
    assert _incompatible(offer, request) == ""


def test_neither_do_liveliness_history_and_what_the_graph_does_not_know():
    offer = QoSProfile(depth=1, liveliness=LivelinessPolicy.AUTOMATIC)
    for request in (
        QoSProfile(depth=1000, liveliness=LivelinessPolicy.MANUAL_BY_TOPIC),
        QoSProfile(history=HistoryPolicy.KEEP_ALL),
        qos_profile_sensor_data,
        qos_profile_system_default,
        QoSProfile(depth=1, reliability=ReliabilityPolicy.UNKNOWN, durability=DurabilityPolicy.UNKNOWN),
    ):
        assert _incompatible(offer, request) == ""


@pytest.mark.parametrize("offered", [(RELIABLE, VOLATILE), (BEST_EFFORT, VOLATILE), (RELIABLE, LATCHED)])
@pytest.mark.parametrize("asked", [(RELIABLE, VOLATILE), (BEST_EFFORT, VOLATILE), (RELIABLE, LATCHED)])
def test_less_reliable_or_durable_than_asked_for_is_a_mismatch_and_more_is_none(offered, asked):
    offer, request = (QoSProfile(depth=1, reliability=r, durability=d) for r, d in (offered, asked))
    expected = "reliability" if (offered[0], asked[0]) == (BEST_EFFORT, RELIABLE) else ""
    if (offered[1], asked[1]) == (VOLATILE, LATCHED):
        expected = expected or "durability"
    assert _incompatible(offer, request) == expected
