"""The node's health as messages on /diagnostics, once per second.

Plain messages and not diagnostic_updater, whose Python timer stands still with a simulation's clock, which collects for
nobody as well, and which is not everywhere; names, levels and fields are as it has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from .health import Report
from .image_messages import ns_to_stamp

# What a subscriber may ask for and a publisher not offer, by policy.
_POLICIES = {"reliability": "reliable", "durability": "transient local"}
_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)


def diagnostic_array(reports: Iterable[Report], node_name: str, hardware_id: str, now_ns: int) -> DiagnosticArray:
    """Return ``reports`` as one message; each is called ``NODE: NAME``."""
    message = DiagnosticArray(
        status=[
            DiagnosticStatus(
                level=_LEVELS[report.level],
                name=f"{node_name}: {report.name}",
                message=report.message,
                hardware_id=hardware_id,
                values=[KeyValue(key=key, value=str(value)) for key, value in report.values.items()],
            )
            for report in reports
        ]
    )
    message.header.stamp = ns_to_stamp(now_ns)
    return message


def unheard_publishers(node: Node, topic: str, kind: type[Any], request: QoSProfile) -> list[str]:
    """Return, one text each, the publishers of ``topic`` that a subscription like ours does not hear.

    ``topic`` is the name before any remap, here and below: rclpy remaps what it is asked about.
    """
    found = []
    expected, resolved = type_name(kind), node.resolve_topic_name(topic)
    for info in node.get_publishers_info_by_topic(topic):
        publisher = f"{resolved}: publisher {info.node_name}"
        if info.topic_type != expected:
            found.append(f"{publisher} sends {info.topic_type}, expected {expected}")
        elif policy := _incompatible(info.qos_profile, request):
            remedy = f"set qos_overrides.{resolved}.subscription.{policy} to best_available"
            found.append(f"{publisher}: {_POLICIES[policy]} is asked for and not offered; {remedy}")
    return found


def deaf_subscribers(node: Node, topic: str, offer: QoSProfile) -> list[str]:
    """Return, one text each, the subscribers of ``topic`` that a publisher like ours does not reach."""
    resolved = node.resolve_topic_name(topic)
    found = []
    for info in node.get_subscriptions_info_by_topic(topic):
        if policy := _incompatible(offer, info.qos_profile):
            remedy = f"set qos_overrides.{resolved}.publisher.{policy} to {_POLICIES[policy].replace(' ', '_')}"
            found.append(
                f"{resolved}: subscriber {info.node_name}: {_POLICIES[policy]} is asked for and not offered; {remedy}"
            )
    return found


def resident_bytes() -> int:
    """Return the memory that this process has at this time."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def type_name(kind: type[Any]) -> str:
    """Return the name of a message type as the graph has it."""
    package, folder, *_ = kind.__module__.split(".")
    return f"{package}/{folder}/{kind.__name__}"


def _incompatible(offer: QoSProfile, request: QoSProfile) -> str:
    """Return the policy, a key of _POLICIES, by which a publisher and a subscriber do not match; empty where they do.

    Durations are not compared, as rclpy's qos_check_compatible does: where none is set the graph says 0 or 2^63-1 ns,
    by distribution and middleware, and rclpy takes one for a deadline and the other for none.
    """
    if offer.reliability == ReliabilityPolicy.BEST_EFFORT and request.reliability == ReliabilityPolicy.RELIABLE:
        return "reliability"
    if offer.durability == DurabilityPolicy.VOLATILE and request.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        return "durability"
    return ""
