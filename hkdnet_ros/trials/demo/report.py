"""The figures of a run of the fusion node, from what the node said of each frame, as Markdown and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SETTLED = 50
"""Frames after which a process holds the buffers that it will use; growth of memory counts from there."""

NOT_OWN = frozenset({"queue", "network"})
"""Stages that cost the node nothing: waiting for the pair before, and the inference itself."""

OWN_COST = "own cost"
AGE = "age"

_MIB = 1 << 20
_MEANING = {
    "queue": "wait for the pair before",
    "network": "inference",
    OWN_COST: "all stages but queue and network",
    AGE: "from the visible image's stamp to the publication",
}


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """What the node said of one fused image: ms by stage in order, and ms from its stamp to its publication."""

    stages: Mapping[str, float]
    age: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and 95th percentile, in ms."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Resident bytes of the node's process when it had published that many images."""

    published: int
    resident: int


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Resident memory in MiB: after ``first_frame`` images, at the end after ``last_frame``, and the most of all."""

    first_frame: int
    first: float
    last_frame: int
    last: float
    most: float

    @property
    def growth(self) -> float:
        """MiB from the first to the last."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """All figures of a run. Sizes are "WxH", rates in Hz, latencies in ms."""

    source: str
    thermal_size: str
    visible_size: str
    fused_size: str
    seconds: float  # from the first fused image to the last
    model: str
    device: str
    precision: str
    machine: str
    received: Mapping[str, int]  # by stream
    received_rate: float  # visible images per second
    pairs: int
    published: int
    drops: Mapping[str, int]  # by reason
    fps: float  # fused images per second
    latencies: Mapping[str, Spread]
    memory: MemoryUse
    quality: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)  # method -> measure -> mean
    quality_frames: int = 0
    kept: int = 0  # frames in the files
    keep_every: int = 1


def latencies(records: Sequence[FrameRecord]) -> dict[str, Spread]:
    """Return the spread of every stage in its order, of the node's own cost per frame, and of the age."""
    columns: dict[str, list[float]] = {}
    for record in records:
        for stage, value in record.stages.items():
            columns.setdefault(stage, []).append(value)
    columns[OWN_COST] = [
        sum(value for stage, value in record.stages.items() if stage not in NOT_OWN) for record in records
    ]
    columns[AGE] = [record.age for record in records]
    return {name: spread(values) for name, values in columns.items()}


def spread(values: Sequence[float]) -> Spread:
    """Return median and 95th percentile of at least one value."""
    p50, p95 = np.percentile(values, (50, 95))
    return Spread(float(p50), float(p95))


def memory_use(samples: Sequence[MemorySample]) -> MemoryUse:
    """Return what samples in order of time say; the first that counts is at ``SETTLED`` images, where there is one."""
    settled = [sample for sample in samples if sample.published >= SETTLED] or samples[-1:]
    first, last, most = settled[0], samples[-1], max(sample.resident for sample in samples)
    return MemoryUse(
        first.published, first.resident / _MIB, last.published, last.resident / _MIB, most / _MIB
    )  # fmt: skip


def to_json(figures: DemoFigures) -> str:
    """Return the figures as JSON, to four decimals."""
    return json.dumps(_rounded(dataclasses.asdict(figures)), indent=2) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(element) for key, element in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def to_markdown(figures: DemoFigures, overview: str) -> str:
    """Return the figures as a Markdown page that shows the image file ``overview``."""
    memory = figures.memory
    drops = ", ".join(f"{count} {reason}" for reason, count in figures.drops.items() if count) or "none"
    facts = {
        "input": f"thermal {figures.thermal_size}, visible {figures.visible_size}, {figures.received_rate:.1f} Hz",
        "output": figures.fused_size,
        "model": f"{figures.model}, {figures.precision} on {figures.device}",
        "machine": figures.machine,
        "images received": f"{figures.received['thermal']} thermal, {figures.received['visible']} visible",
        "pairs": str(figures.pairs),
        "fused images published": f"{figures.published} in {figures.seconds:.1f} s",
        "**rate through the node**": f"**{figures.fps:.1f} frames per second**",
        "dropped": drops,
        "node's own cost per frame": f"{figures.latencies[OWN_COST].p50:.1f} ms (p50)",
        "node's resident memory": (
            f"{memory.first:.0f} MiB after {memory.first_frame} frames, {memory.last:.0f} MiB after "
            f"{memory.last_frame} ({memory.growth:+.0f} MiB), at most {memory.most:.0f} MiB"
        ),
    }
    lines = [f"# {figures.source}, fused", "", f"![thermal, visible, fused]({overview})", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items()), ""]
    lines += ["Superseded pairs gave way to a newer one while inference ran.", ""] * bool(
        figures.drops.get("superseded")
    )
    lines += ["## Latency", "", "| stage | p50 ms | p95 ms | |", "|---|---:|---:|---|"]
    lines += [
        f"| {name} | {value.p50:.2f} | {value.p95:.2f} | {_MEANING.get(name, '')} |"
        for name, value in figures.latencies.items()
    ]
    if figures.quality:
        lines += ["", *_quality(figures)]
    return "\n".join([*lines, ""])


def _quality(figures: DemoFigures) -> list[str]:
    keys = list(next(iter(figures.quality.values())))
    lines = [
        "## Quality", "",
        f"Mean over {figures.quality_frames} fused images, against the scene as rendered at {figures.fused_size} "
        "without sensor noise; more is better.", "",
        f"| | {' | '.join(keys)} |", "|---|" + "---:|" * len(keys),
    ]  # fmt: skip
    for method, values in figures.quality.items():
        lines.append(f"| {method} | {' | '.join(f'{values[key]:.3f}' for key in keys)} |")
    return lines
