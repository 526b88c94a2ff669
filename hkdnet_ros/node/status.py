"""The FusionStatus message of one fused image."""

from __future__ import annotations

from collections.abc import Mapping

from std_msgs.msg import Header

from hkdnet_ros.msg import FusionStatus

from ..images.frames import THERMAL, VISIBLE, FusedFrame
from ..inference.engine_api import Engine
from ..perception.statistics import Totals
from .image_messages import ns_to_duration


def fusion_status(
    fused: FusedFrame,
    header: Header,
    skew_ns: int,
    age_ns: int,
    latencies_s: Mapping[str, float],
    totals: Totals,
    engine: Engine,
) -> FusionStatus:
    """Return the status message of ``fused``; ``latencies_s`` are seconds by stage, in the order of the stages."""
    drops = sorted(totals.drops.items())
    return FusionStatus(
        header=header,
        mode=fused.mode,
        skew=ns_to_duration(skew_ns),
        age=ns_to_duration(age_ns),
        stages=list(latencies_s),
        stage_latencies=list(latencies_s.values()),
        thermal_received=totals.received[THERMAL],
        visible_received=totals.received[VISIBLE],
        pairs=totals.pairs,
        published=totals.published,
        drop_reasons=[reason for reason, _ in drops],
        drop_counts=[count for _, count in drops],
        model=engine.model_name,
        scale=engine.scale,
        device=engine.device,
        precision=engine.precision,
    )
