"""The figures of a soak as Markdown, and the node's memory over time as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

BACK_LIMIT_S = 2.0
"""Within this after a fault's end images must be fused again."""

GROWTH_LIMIT_MIB = 32.0
"""By more than this the memory must not have grown after warm-up: what allocators keep varies by a few MiB."""

CHECKED_LEAST = 0.9
"""Of the images published, this part must have come to the soak and have been checked."""

WARM_UP_S = 120.0
_MIB = 1 << 20
_FEWEST = 20  # samples that growth is stated from
_LEAST_S = 300.0  # and the time they cover


@dataclass(frozen=True, slots=True)
class FaultRun:
    """One fault. ``back`` is the time from the first images after it to the first that was fused of such; None: never.

    ``cameras`` are the camera images sent meanwhile, ``modes`` the images published, by mode.
    """

    name: str
    begun: float  # s since the first fused image
    back: float | None
    cameras: int
    modes: Mapping[str, int]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident bytes of the node's process at a time, s since the first fused image, and what was going on."""

    at: float
    resident: int
    fault: str


@dataclass(slots=True)
class Soak:
    """What was run and what came of it; ``failures`` are sentences on what must not be."""

    setting: dict[str, str]
    seconds: float = 0.0
    runs: list[FaultRun] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    received: Counter[str] = field(default_factory=Counter)  # camera images, by stream
    modes: Counter[str] = field(default_factory=Counter)  # images published, by mode
    counts: Counter[str] = field(default_factory=Counter)  # PairCheck.counts
    drops: dict[str, int] = field(default_factory=dict)  # the node's own, by reason
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def verdict(self) -> list[str]:
        """Return all that must not be, in words; empty where everything held."""
        found = list(self.failures)
        for what in ("wrong", "repeated"):
            if self.counts[what]:
                found.append(f"{self.counts[what]} images were {what}")
        checked = self.counts["checked"] + self.counts["unknown"]
        if checked < CHECKED_LEAST * self.modes.total():
            found.append(f"only {checked} of {self.modes.total()} published images came here")
        late = [run for run in self.runs if run.back is None or run.back > BACK_LIMIT_S]
        found += [f"{run.name} at {run.begun:.0f} s: {_back(run.back)}, limit {BACK_LIMIT_S:g} s" for run in late]
        if (growth := memory_growth(self.memory)) and growth.last - growth.first > GROWTH_LIMIT_MIB:
            found.append(f"memory grew by {growth.last - growth.first:.0f} MiB, limit {GROWTH_LIMIT_MIB:g} MiB")
        return found


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident memory in MiB after warm-up: medians of the first and last tenth, and the slope of all per hour."""

    first: float
    last: float
    per_hour: float
    most: float


def memory_growth(samples: Sequence[Memory]) -> Growth | None:
    """Return what the samples after warm-up say; None where they are too few or cover less than 5 minutes."""
    settled = [sample for sample in samples if sample.at >= WARM_UP_S]
    if len(settled) < _FEWEST or settled[-1].at - settled[0].at < _LEAST_S:
        return None
    times = np.array([sample.at for sample in settled]) / 3600.0
    resident = np.array([sample.resident for sample in settled]) / _MIB
    tenth = max(len(settled) // 10, 1)
    slope = float(np.polyfit(times - times.mean(), resident, 1)[0])
    return Growth(float(np.median(resident[:tenth])), float(np.median(resident[-tenth:])), slope, float(resident.max()))


def to_csv(samples: Sequence[Memory]) -> str:
    """Return the samples as CSV with a head line."""
    lines = [f"{sample.at:.1f},{sample.resident / _MIB:.2f},{sample.fault}" for sample in samples]
    return "\n".join(["seconds,resident_mib,fault", *lines, ""])


def to_markdown(soak: Soak) -> str:
    """Return the report."""
    found = soak.verdict()
    lines = ["# Soak of the fusion node", ""]
    if soak.interrupted:
        lines += ["Interrupted; this is what was measured until then.", ""]
    lines += ["**Everything held.**"] if not found else ["**Not everything held:**", "", *(f"- {f}" for f in found)]
    out = soak.modes.total()
    facts = {
        **soak.setting,
        "time": f"{soak.seconds / 60:.1f} minutes, {len(soak.runs)} faults",
        "camera images": ", ".join(f"{count} {stream}" for stream, count in sorted(soak.received.items())) or "none",
        "images published": f"{out}: {_counts(soak.modes)}",
        "pairs checked by their pixels": (
            f"{soak.counts['checked']}, of which {soak.counts['wrong']} wrong, {soak.counts['illegible']} illegible; "
            f"{soak.counts['unknown']} more of camera images that the soak itself did not hear; "
            f"{soak.counts['repeated']} repeated"
        ),
        "dropped by the node": _counts(soak.drops),
        "node's resident memory": _memory(soak.memory),
    }
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items()), ""]
    lines += [
        "## Faults",
        "",
        "Back: from the first images that both cameras send after the fault to the first one that is fused of such.",
        "A camera that was killed counts as sending from its first image on, before any subscriber has found it.",
        "",
    ]
    lines += [
        "| fault | times | published meanwhile, by mode | back, median s | back, most s |",
        "|---|---:|---|---:|---:|",
    ]
    for name in dict.fromkeys(run.name for run in sorted(soak.runs, key=lambda run: run.name)):
        runs = [run for run in soak.runs if run.name == name]
        modes: Counter[str] = sum((Counter(run.modes) for run in runs), Counter())
        back = [run.back for run in runs if run.back is not None]
        middle, most = (f"{np.median(back):.2f}", f"{max(back):.2f}") if back else ("-", "-")
        never = f", {len(runs) - len(back)} never" if len(back) < len(runs) else ""
        cameras = sum(run.cameras for run in runs)
        text = f"{_counts(modes)} of {cameras} camera images"
        notes = dict.fromkeys(run.note for run in runs if run.note)
        lines.append(f"| {name} | {len(runs)} | {'; '.join([text, *notes])} | {middle} | {most}{never} |")
    return "\n".join([*lines, ""])


def _back(back: float | None) -> str:
    return "not fused again" if back is None else f"fused again after {back:.2f} s"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count) or "none"


def _memory(samples: Sequence[Memory]) -> str:
    growth = memory_growth(samples)
    if growth is not None:
        return (
            f"{growth.first:.1f} MiB after {WARM_UP_S:.0f} s of warm-up, {growth.last:.1f} MiB at the end "
            f"({growth.per_hour:+.1f} MiB per hour), at most {growth.most:.1f} MiB"
        )
    if not samples:
        return "not measured"
    return f"{samples[-1].resident / _MIB:.1f} MiB at the end; too short to state its growth"
