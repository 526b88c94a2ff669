"""The FusionStatus message of one fused image."""

from __future__ import annotations

from std_msgs.msg import Header

from hkdnet_ros.msg import FusionStatus

from ..images.frames import THERMAL, VISIBLE
from ..inference.engine_api import Engine
from ..perception.sink import Figures, Output
from .image_messages import ns_to_duration


def fusion_status(output: Output, figures: Figures, header: Header, engine: Engine) -> FusionStatus:
    """Return the status message of a fused image, with the stages in their order."""
    totals = figures.totals
    drops = sorted(totals.drops.items())
    return FusionStatus(
        header=header,
        mode=output.fused.mode,
        skew=ns_to_duration(output.skew_ns),
        age=ns_to_duration(figures.age_ns),
        misalignment=figures.misalignment_px,
        stages=list(figures.latencies),
        stage_latencies=list(figures.latencies.values()),
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
