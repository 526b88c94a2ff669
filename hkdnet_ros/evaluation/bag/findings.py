"""What a result says in words: what is well, what to look at, and where the fused image is worse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...images.frames import THERMAL, VISIBLE
from ...metrics.fusion import LESS_IS_BETTER
from ...perception.misalignment import CERTAIN
from .clock_offset import ClockOffset, clock_offset
from .downstream.findings import downstream_findings
from .finding import BAD, GOOD, NOTE, Finding
from .lumas import FUSED, IMAGES
from .measures import BASELINES, METHODS, QUALITY_KEYS
from .reading import Result, Stream, drop_counts

GAP = 1.5
"""An interval is a gap from so many median intervals on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the images of a stream came, by their stamps: rate in Hz, median interval in s and gaps beyond GAP of it."""

    count: int
    rate: float
    interval_s: float
    jitter_s: float
    gaps: int
    longest_s: float
    longest_at_s: float
    out_of_order: int


def pace(result: Result, stream: str) -> Pace | None:
    """Return the pace of a stream, None for fewer than two stamps; those of 0, which were not set, are left out."""
    images: Stream = result.streams[stream]
    is_set = images.stamps > 0
    steps = np.diff(images.stamps[is_set]) / 1e9
    rising = steps[steps > 0]
    if not len(rising):
        return None
    median = float(np.median(rising))
    longest = int(np.argmax(steps))
    return Pace(
        len(images.stamps),
        1 / median,
        median,
        float(np.percentile(np.abs(rising - median), 95)),
        int((steps > GAP * median).sum()),
        float(steps[longest]),
        float(result.seconds(images.arrived[is_set])[longest]),
        int((steps <= 0).sum()),
    )


def offset_of(result: Result) -> ClockOffset | None:
    """Return the estimated offset of the cameras' clocks."""
    streams = []
    for stream in (THERMAL, VISIBLE):
        images = result.streams[stream]
        rises = np.concatenate([[True], np.diff(images.stamps) > 0]) & (images.stamps > 0)
        streams.append((result.seconds(images.stamps)[rises], images.motion[rises]))
    return clock_offset(*streams)


@dataclass(frozen=True, slots=True)
class Alignment:
    """The median shift of thermal on the visible image, in pixels of the output, over the frames that are certain."""

    x: float
    y: float
    spread: float
    certain: int
    measured: int


def alignment(result: Result) -> Alignment | None:
    """Return how far the sources lie apart; None where no measured frame is certain."""
    certainty = result.measures.get("shift_certainty", np.zeros(0))
    certain = np.nan_to_num(certainty) >= CERTAIN
    if not certain.any():
        return None
    x, y = (result.measures[f"shift_{axis}"][certain] for axis in "xy")
    middle_x, middle_y = float(np.median(x)), float(np.median(y))
    spread = float(np.percentile(np.hypot(x - middle_x, y - middle_y), 90))
    return Alignment(middle_x, middle_y, spread, int(certain.sum()), len(certainty))


def findings(result: Result) -> list[Finding]:
    """Return what there is to say, what is bad first."""
    found = [
        *_readable(result), *_pairs(result), *_paces(result), *_clocks(result), *_registered(result), *_quality(result),
        *_flicker(result), *downstream_findings(result),
    ]  # fmt: skip
    order = {BAD: 0, NOTE: 1, GOOD: 2}
    return sorted(found, key=lambda finding: order[finding.tone])


def _readable(result: Result) -> list[Finding]:
    found = []
    if result.found["damage"]:
        text = f"The recording breaks off: {result.found['damage']}. What came before is evaluated."
        found.append(Finding(BAD, text))
    found += [Finding(BAD, f"Not all could be read: {problem}.") for problem in result.found["problems"]]
    if result.found["grew"]:
        found.append(Finding(BAD, "The recording grew while it was read: evaluate it again once it is complete."))
    return found


def _pairs(result: Result) -> list[Finding]:
    found = []
    frames, both = len(result.stamps), int(result.found["both"])
    drops = drop_counts(result)
    if drops:
        listed = ", ".join(f"{count} {reason}" for reason, count in drops.most_common())
        images = sum(len(stream.stamps) for stream in result.streams.values())
        tone = BAD if sum(drops.values()) > 0.05 * images else NOTE
        found.append(Finding(tone, f"{both} pair{'s were' if both != 1 else ' was'} fused; dropped were {listed}."))
    else:
        found.append(Finding(GOOD, f"All images found a partner: {both} pairs, and none was dropped."))
    if frames > both:
        found.append(Finding(NOTE, f"{frames - both} frames show one camera alone, for want of the other."))
    held = int(sum((result.mode_of == place).sum() for place, mode in enumerate(result.modes) if mode == "held"))
    if held:
        found.append(Finding(NOTE, f"{held} frames hold an earlier thermal image: the camera showed no live view."))
    return found


def _paces(result: Result) -> list[Finding]:
    found = []
    for stream in (THERMAL, VISIBLE):
        own = pace(result, stream)
        if own is None:
            continue
        if own.out_of_order:
            found.append(Finding(BAD, f"{stream.capitalize()} stamps do not rise in {own.out_of_order} places."))
        if own.gaps:
            found.append(
                Finding(
                    NOTE,
                    f"The {stream} camera paused {_times(own.gaps)} for more than {GAP:g} of its intervals of "
                    f"{own.interval_s * 1e3:.1f} ms; the longest pause took {own.longest_s:.2f} s, "
                    f"{own.longest_at_s:.1f} s from the start.",
                )
            )
    return found


def _clocks(result: Result) -> list[Finding]:
    offset = offset_of(result)
    if offset is None:
        return [Finding(NOTE, "The offset of the clocks cannot be told: too little moves in both images at once.")]
    text = (
        f"What moves, moves {offset.offset_s * 1e3:+.1f} ms apart by the two clocks (thermal minus visible; 95 % of "
        f"resamples within {offset.low_s * 1e3:+.1f} and {offset.high_s * 1e3:+.1f} ms)"
    )
    period = pace(result, VISIBLE)
    limit = period.interval_s / 2 if period else 0.02
    if offset.high_s - offset.low_s > limit:
        return [Finding(NOTE, f"{text}: too uncertain to act on.")]
    applied = result.asked["parameters"]["sync.thermal_offset"] - result.asked["parameters"]["sync.visible_offset"]
    left = offset.offset_s + applied
    if abs(left) < limit:
        return [Finding(GOOD, f"{text}: within half an interval, the offsets set included.")]
    wanted = result.asked["parameters"]["sync.thermal_offset"] - left
    return [Finding(BAD, f"{text}: pairs are not of one moment. Try sync.thermal_offset: {wanted:.3f}.")]


def _registered(result: Result) -> list[Finding]:
    apart = alignment(result)
    if apart is None:
        return [Finding(NOTE, "Whether the images lie on each other cannot be told: their edges are too unlike.")]
    text = (
        f"Thermal lies ({apart.x:+.1f}, {apart.y:+.1f}) pixels off the visible image, in the middle of "
        f"{apart.certain} frames"
    )
    if np.hypot(apart.x, apart.y) > 3:
        return [Finding(BAD, f"{text}: that shows as double edges. Register the images before they are fused.")]
    return [Finding(GOOD, f"{text}: they are registered.")]


def _quality(result: Result) -> list[Finding]:
    found = []
    for baseline in BASELINES:
        better: list[str] = []
        worse: list[str] = []
        for key in QUALITY_KEYS:
            ours, theirs = result.mean(f"{key}.{FUSED}"), result.mean(f"{key}.{baseline}")
            if ours is None or theirs is None:
                continue
            is_better = ours < theirs if key in LESS_IS_BETTER else ours > theirs
            (better if is_better else worse).append(key)
        if better and not worse:
            found.append(Finding(GOOD, f"Fused is better than {baseline} by {_listed(better)}."))
        elif worse:
            ahead = f"; it is better by {_listed(better)}" if better else ""
            tone = BAD if len(worse) > len(better) else NOTE
            found.append(Finding(tone, f"Fused is worse than {baseline} by {_listed(worse)}{ahead}."))
    return found


def _flicker(result: Result) -> list[Finding]:
    found = []
    for key, words in (("flicker", "Fused flickers"), ("still", "Where nothing moves, fused flickers")):
        levels = {name: result.mean(f"{key}.{name}") for name in IMAGES}
        fused, thermal, visible = levels[FUSED], levels[THERMAL], levels[VISIBLE]
        if fused is None or thermal is None or visible is None or max(thermal, visible) == 0:
            continue
        source = THERMAL if thermal >= visible else VISIBLE
        ratio = fused / max(thermal, visible)
        worse = ": that is worse than either." if ratio > 1 else "."
        text = f"{words} {ratio:.2f} times as much as {source}, the source that flickers more{worse}"
        found.append(Finding(GOOD if ratio <= 1 else NOTE if ratio <= 1.25 else BAD, text))
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def ranked_frames(result: Result) -> dict[str, int]:
    """Return the best, the median and the worst measured frame, by the mean rank of fused over all measures."""
    columns = [result.measures[name] for key in QUALITY_KEYS if (name := f"{key}.{METHODS[0]}") in result.measures]
    known = np.all([np.isfinite(column) for column in columns], axis=0) if columns else np.zeros(0, np.bool_)
    if not known.any():
        return {}
    frames = result.measured[known]
    ranks = np.mean([np.argsort(np.argsort(column[known])) for column in columns], axis=0)
    order = np.argsort(-ranks, kind="stable")
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return {name: int(frames[place]) for name, place in chosen.items()}
