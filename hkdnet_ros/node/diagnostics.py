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
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from .health import Report
from .image_messages import ns_to_stamp

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
    expected, resolved = _type_name(kind), node.resolve_topic_name(topic)
    for info in node.get_publishers_info_by_topic(topic):
        publisher = f"{resolved}: publisher {info.node_name}"
        if info.topic_type != expected:
            found.append(f"{publisher} sends {info.topic_type}, expected {expected}")
        elif reason := _incompatible(info.qos_profile, request):
            found.append(f"{publisher}: {reason}")
    return found


def deaf_subscribers(node: Node, topic: str, offer: QoSProfile) -> list[str]:
    """Return, one text each, the subscribers of ``topic`` that a publisher like ours does not reach."""
    resolved = node.resolve_topic_name(topic)
    return [
        f"{resolved}: subscriber {info.node_name}: {reason}"
        for info in node.get_subscriptions_info_by_topic(topic)
        if (reason := _incompatible(offer, info.qos_profile))
    ]


def resident_bytes() -> int:
    """Return the memory that this process has at this time."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _incompatible(offer: QoSProfile, request: QoSProfile) -> str:
    compatibility, reason = qos_check_compatible(offer, request)
    return " ".join(reason.split()) if compatibility == QoSCompatibility.ERROR else ""


def _type_name(kind: type[Any]) -> str:
    package, folder, *_ = kind.__module__.split(".")
    return f"{package}/{folder}/{kind.__name__}"
