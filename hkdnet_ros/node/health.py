"""What the node reports about its own health, as names, levels and figures; no ROS here.

Levels are those of diagnostic_msgs/DiagnosticStatus. A robot's operator reads the message, a program the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..images.frames import THERMAL, VISIBLE
from ..options import check_options, option
from ..perception.health import Health
from ..perception.incoming import DEPTH
from ..perception.mode import FUSED, STOPPED
from ..perception.statistics import OUTPUT

OK, WARN, ERROR = range(3)


@dataclass(frozen=True, slots=True)
class DiagnosticsConfig:
    """What is expected of the streams."""

    thermal_rate: float = option(
        0.0,
        "Diagnostics expect at least this rate of thermal images; 0 does not check it.",
        unit="Hz",
        low=0,
        high=1000,
        live=True,
    )
    visible_rate: float = option(
        0.0,
        "Diagnostics expect at least this rate of visible images; 0 does not check it.",
        unit="Hz",
        low=0,
        high=1000,
        live=True,
    )
    fused_rate: float = option(
        0.0,
        "Diagnostics expect at least this rate of fused images while somebody subscribes; 0 does not check it.",
        unit="Hz",
        low=0,
        high=1000,
        live=True,
    )
    tolerance: float = option(0.1, "A rate may fall short of what is expected by this share.", low=0, high=1, live=True)
    max_age: float = option(
        0.0,
        "Diagnostics expect fused images to be at most this old when published, by the 95th percentile; 0 "
        "does not check it.",
        unit="s",
        low=0,
        high=3600,
        live=True,
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class Report:
    """One status of /diagnostics."""

    name: str
    level: int
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


def reports(health: Health, config: DiagnosticsConfig) -> list[Report]:
    """Return what an active node reports of its streams."""
    return [
        _rates(health, config), _pairing(health), _latency(health, config), _mode(health), _camera_info(health),
        _registration(health),
    ]  # fmt: skip


def device_report(
    *,
    model: str,
    scale: int,
    device: str,
    precision: str,
    backend: str,
    memory: tuple[int, int] | None,
    resident: int,
    failure: str,
) -> Report:
    """Return what runs where; ``memory`` is bytes used and had by the device, ``resident`` those of this process."""
    values: dict[str, object] = {
        "model": model, "scale": scale, "device": device, "precision": precision, "back end": backend,
    }  # fmt: skip
    if memory is not None:
        values["device memory used (MB)"], values["device memory (MB)"] = (bytes_ // 1_000_000 for bytes_ in memory)
    values["process memory (MB)"] = resident // 1_000_000
    if failure:
        return Report("device", WARN, f"on {device}: {failure}", values)
    return Report("device", OK, f"{model} x{scale} on {device}", values)


def qos_report(mismatches: Sequence[str]) -> Report:
    """Return which publishers and subscribers cannot hear this node, or it them."""
    values = {f"mismatch {index}": text for index, text in enumerate(mismatches, 1)}
    return Report("qos", WARN if mismatches else OK, mismatches[0] if mismatches else "all matched", values)


def _rates(health: Health, config: DiagnosticsConfig) -> Report:
    least = {
        THERMAL: config.thermal_rate,
        VISIBLE: config.visible_rate,
        OUTPUT: config.fused_rate if health.is_wanted else 0.0,
    }
    values: dict[str, object] = {}
    level, slow = OK, []
    for stream, expected in least.items():
        rate = health.rates.get(stream, 0.0)
        values[f"{stream} (Hz)"] = f"{rate:.1f}"
        if expected:
            values[f"{stream} expected (Hz)"] = f"at least {expected:g}, {config.tolerance:.0%} less tolerated"
        if rate < expected * (1 - config.tolerance):
            slow.append(f"{stream} {rate:.1f} Hz, expected {expected:g}")
            level = max(level, WARN if rate else ERROR)
    if DEPTH in health.rates:
        values[f"{DEPTH} (Hz)"] = f"{health.rates[DEPTH]:.1f}"
    rates = ", ".join(f"{stream} {health.rates.get(stream, 0.0):.1f} Hz" for stream in least)
    return Report("rates", level, "; ".join(slow) or rates, values)


def _pairing(health: Health) -> Report:
    values: dict[str, object] = {
        **{f"{stream} received": count for stream, count in health.received.items()},
        "pairs": health.pairs,
        "published": health.published,
        **{f"dropped: {reason}": count for reason, count in sorted(health.drops.items())},
        **{f"skew {name}": count for name, count in health.skews.items()},
        **{
            f"{stream} images with {reason}": count
            for stream, oddities in health.stamp_oddities.items()
            for reason, count in sorted(oddities.items())
        },
    }
    for stream, (usual, most) in health.delays.items():
        values[f"{stream} delay from stamp to arrival p50, most (ms)"] = f"{usual * 1e3:.0f}, {most * 1e3:.0f}"
    if health.drift_ppm is not None:
        values["thermal clock against visible (us/s)"] = f"{health.drift_ppm:+.0f}"
    dropped = sum(health.drops.values())
    if health.trouble:
        return Report("pairing", WARN, health.trouble, values)
    if all(health.rates.get(stream, 0.0) for stream in (THERMAL, VISIBLE)) and not health.pairs:
        return Report("pairing", WARN, "both cameras send, but nothing has paired so far", values)
    return Report("pairing", OK, f"{health.pairs} pairs, {dropped} dropped", values)


def _latency(health: Health, config: DiagnosticsConfig) -> Report:
    values: dict[str, object] = {
        f"{stage} p50, p95 (ms)": f"{p50 * 1e3:.1f}, {p95 * 1e3:.1f}" for stage, (p50, p95) in health.latencies.items()
    }
    if health.since_output is not None:
        values["since the latest output (s)"] = f"{health.since_output:.1f}"
    age = health.latencies.get("age")
    if age is None:
        return Report("latency", OK, "nothing published yet", values)
    message = f"age of the output {age[0] * 1e3:.0f} ms (p50), {age[1] * 1e3:.0f} ms (p95)"
    if config.max_age and age[1] > config.max_age:
        return Report("latency", WARN, f"{message}, expected {config.max_age * 1e3:.0f} ms at most", values)
    return Report("latency", OK, message, values)


def _camera_info(health: Health) -> Report:
    found = health.calibration
    values: dict[str, object] = {
        **{f"{stream} received": found.received.get(stream, 0) for stream in (THERMAL, VISIBLE)},
        **{f"images with: {mismatch}": count for mismatch, count in sorted(found.mismatches.items())},
    }
    if found.current:
        return Report("camera_info", WARN, "; ".join(found.current), values)
    return Report("camera_info", OK, "as the images need it" if found.received else "none received", values)


def _registration(health: Health) -> Report:
    found = health.misalignment
    if health.not_registered:
        return Report("registration", WARN, f"pairs are dropped: {health.not_registered}")
    if health.poorly_registered:
        return Report("registration", WARN, health.poorly_registered)
    if found is None:
        why = "the scene does not tell" if health.mode == FUSED else "the two are not fused"
        if not health.is_watched:
            why = "registration.misalignment_limit is 0"
        return Report("registration", OK, f"not known how thermal lies on the visible image: {why}")
    values = {
        "thermal is off to the right (px)": f"{-found.shift.x:+.1f}",
        "thermal is off downwards (px)": f"{-found.shift.y:+.1f}",
        "earlier and later looks differ by (px)": f"{found.spread:.1f}",
        "certainty (likeness above the next best)": f"{found.shift.certainty:.3f}",
    }
    if health.misaligned:
        return Report("registration", WARN, health.misaligned, values)
    return Report("registration", OK, f"thermal lies {found.shift.length:.1f} px off the visible image", values)


def _mode(health: Health) -> Report:
    values: dict[str, object] = {
        "mode": health.mode,
        "cause": health.cause,
        "thermal interruption": health.thermal_interruption,
    }
    level = {FUSED: OK, STOPPED: ERROR}.get(health.mode, WARN)
    message = f"{health.mode}: {health.cause}" if health.cause else health.mode
    if health.thermal_interruption and level == OK:
        level, message = WARN, f"{health.mode}, thermal image is {health.thermal_interruption}"
    return Report("mode", level, message, values)
