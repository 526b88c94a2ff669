"""What to say where the two streams do not pair: the cause that their stamps and arrivals show, and one remedy.

A stamp is taken at its word unless it cannot be right. A stream whose images are older at arrival than the other's, by
no more than a transport takes, is late: its images pair when they are waited for, and an offset would pair images that
were taken that far apart. Only what no transport does is a clock: stamps of the future, and seconds that do not vary.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..images.frames import THERMAL, VISIBLE
from .pairing import EXACT, PairingConfig
from .stream_clock import DUPLICATE, FUTURE_TOLERANCE_NS, ZERO_STAMP

LARGE_IMAGES = "docs/large_images.md"

_SYNCHRONOUS_S = FUTURE_TOLERANCE_NS / 1e9
_LATEST_S = 10.0  # later than this comes no image that comes at all
_LATE_S = 1.0  # a steady delay up to this is a slow way, a longer one a clock that is behind
_STEADY = 0.1  # a clock differs by the same time from image to image, up to this share of it or so many seconds
_EPOCH_S = 3600.0  # clocks that differ by more do not count from the same beginning
_WORTH_SAYING_S = 0.3  # a third of mode.limit's default
_SHARE_LATE = 0.05  # fewer than that is a hiccup
_LARGE_OFFSET_S = 0.2
_ENOUGH = 20  # images that say something
_FEW = 0.7  # of the images with a partner: something is set wrongly
_OTHER = {THERMAL: VISIBLE, VISIBLE: THERMAL}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What came of one stream in some time; stamps and times of arrival in ns, offset applied, image by image."""

    received: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # images that could not be used, by reason
    stamps: Sequence[int] = ()
    arrivals: Sequence[int] = ()
    nbytes: int = 0  # of the latest image
    silent_s: float = 0.0  # since the latest image, where its camera has stopped

    @property
    def delays(self) -> NDArray[np.float64]:
        """Time of arrival minus stamp in s."""
        arrived = np.array(self.arrivals, np.int64) - np.array(self.stamps, np.int64)
        return np.asarray(arrived / 1e9)


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides about pairs, and what is known beside the images."""

    sync: PairingConfig
    mode_limit: float  # s
    mode: str = ""  # the mode and its cause, where that is not to fuse
    drift_ppm: float | None = None  # thermal clock against the visible one; None where they keep together
    why_silent: Callable[[str], str] = lambda stream: ""


def unpaired(evidence: Mapping[str, Evidence], settings: Settings) -> str:
    """Return why none of what came paired, and what to do, as one line."""
    silent = [stream for stream, it in evidence.items() if not it.received or it.silent_s]
    if silent:
        return _silent(silent, evidence, settings)
    for stream, it in evidence.items():
        if not it.stamps:
            return _refused(stream, it.refused)
    thermal, visible = evidence[THERMAL], evidence[VISIBLE]
    lag = float(thermal.delays.min() - visible.delays.min())  # by which thermal images are older at arrival
    skew = f"at arrival the skew is {-lag:+.3f} s (thermal minus visible)"
    if abs(lag) > min(settings.sync.queue_time, settings.mode_limit):
        return f"{skew}: {_apart(evidence, lag, settings)}"
    nearest = _nearest_skews(thermal.stamps, visible.stamps)
    if settings.sync.policy == EXACT and nearest.min() > 0:
        return (
            f"stamps are {nearest.min():.3f} s apart at the least, and exact pairs equal ones alone; set sync.policy "
            "to nearest"
        )
    if nearest.min() > settings.sync.slop:
        return (
            f"the cameras take their images {nearest.min():.3f} s apart at the least; raise sync.slop to "
            f"{_above(float(nearest.max()))}"
        )
    if settings.mode:
        return f"the mode is {settings.mode}"
    return f"{skew}: {_too_short(evidence, lag, settings.sync)}"


def late(stream: str, it: Evidence, other: Evidence) -> str:
    """Return what to say where a share of the images of ``stream`` arrives long after their stamps."""
    delays = it.delays
    count = int((delays > _WORTH_SAYING_S).sum())
    if count < max(3, _SHARE_LATE * len(delays)) or delays.max() > _LATEST_S or delays.min() < -_SYNCHRONOUS_S:
        return ""
    text = (
        f"{stream} images arrive up to {delays.max():.2f} s after their stamps ({count} of {len(delays)} more than "
        f"{_WORTH_SAYING_S:g} s)"
    )
    if delays.min() > _WORTH_SAYING_S and _is_steady(delays, float(delays.min())):
        return f"{text}, steadily: on a slow way, for which see {LARGE_IMAGES}, or by a clock that is behind"
    if other.nbytes > it.nbytes:
        text += f", beside {_OTHER[stream]} images of {other.nbytes / 1e6:.1f} MB"
    return f"{text}; {LARGE_IMAGES} says what delays images and what helps"


def narrow_slop(evidence: Mapping[str, Evidence], sync: PairingConfig) -> str:
    """Return what to say where many images have no partner for the phase of the cameras alone."""
    thermal, visible = evidence[THERMAL].stamps, evidence[VISIBLE].stamps
    if min(len(thermal), len(visible)) < _ENOUGH or sync.policy == EXACT:
        return ""
    nearest = _nearest_skews(thermal, visible)
    share = float((nearest <= sync.slop).mean())
    most = float(nearest.max())
    if not 0 < share < _FEW or most > 0.6 * min(_period(thermal), _period(visible)):
        return ""
    return (
        f"{1 - share:.0%} of the slower camera's images find no partner within sync.slop, as the cameras take theirs "
        f"up to {most:.3f} s apart; raise sync.slop to {_above(most)}"
    )


def wrong_offset(stream: str, it: Evidence, offset: float, other_offset: float) -> str:
    """Return what to say where ``offset`` (s) makes stamps wrong that are right by the receiver's clock.

    Not where the other camera has about the same: both are then as far apart as they were.
    """
    if min(abs(offset), abs(offset - other_offset)) < _LARGE_OFFSET_S or len(it.stamps) < _ENOUGH:
        return ""
    delay = float(it.delays.min())
    unshifted = delay + offset
    if not -_SYNCHRONOUS_S <= unshifted <= abs(offset) / 4:
        return ""
    made = f"{delay:.2f} s older at arrival" if offset < 0 else f"{-delay:.2f} s of the future"
    return (
        f"sync.{stream}_offset of {offset:.3f} makes {stream} images {made}, and without it their stamps agree with "
        "this machine's clock: images that far apart are paired; set it to 0 unless the driver stamps that wrongly"
    )


def ahead(stream: str, it: Evidence, other: Evidence, offset: float, sync: PairingConfig) -> str:
    """Return what to say where stamps of ``stream`` are of the future and those of the other camera are not.

    By as much as images wait: they pair, with those that are taken later. By more, nothing pairs.
    """
    if min(len(it.stamps), len(other.stamps)) < _ENOUGH:
        return ""
    early = -float(it.delays.min())
    if not _SYNCHRONOUS_S < early <= sync.queue_time or -float(other.delays.min()) > early / 2:
        return ""
    right = offset - early - float(other.delays.min())
    return (
        f"{stream} stamps are up to {early:.2f} s of the future, so that what pairs is taken that far apart: the "
        f"camera's clock is ahead; set sync.{stream}_offset to {right:.3f}"
    )


def _silent(streams: Sequence[str], evidence: Mapping[str, Evidence], settings: Settings) -> str:
    reasons = [reason for reason in map(settings.why_silent, streams) if reason]
    if reasons:
        return "; ".join(reasons)
    if len(streams) > 1:
        return "check that both cameras publish, and the topics' names"
    (stream,) = streams
    silent_s = evidence[stream].silent_s
    since = f"the last {stream} one {silent_s:.0f} s ago; " if silent_s else ""
    return f"{since}check that the {stream} camera publishes, and its topic's name"


def _refused(stream: str, refused: Counter[str]) -> str:
    reason, count = refused.most_common(1)[0]
    text = f"no {stream} image could be used: {count} {reason}"
    if reason in (ZERO_STAMP, DUPLICATE):
        return f"{text}; where its camera has no clock, set sync.{stream}_stamps to arrival"
    return f"{text}; the log says what is wrong with them, docs/encodings.md what is expected"


def _apart(evidence: Mapping[str, Evidence], lag: float, settings: Settings) -> str:
    """Return what to say of streams that are further apart at arrival than images wait."""
    sync = settings.sync
    older = THERMAL if lag > 0 else VISIBLE
    newer, apart = _OTHER[older], abs(lag)
    delays = evidence[older].delays
    ahead = -float(evidence[newer].delays.min())
    is_ahead = ahead > _SYNCHRONOUS_S and ahead > apart / 2 > float(delays.min())
    wrong = newer if is_ahead else older
    if not is_ahead and apart <= _LATEST_S and (apart <= _LATE_S or not _is_steady(delays, apart)):
        latest = _above(float(delays.max() - evidence[newer].delays.min()))
        raised = {"sync.queue_time": sync.queue_time, "mode.limit": settings.mode_limit}
        names = " and ".join(name for name, value in raised.items() if value < latest)
        return f"{older} images come late; raise {names} to {latest}, or see {LARGE_IMAGES}"
    if apart > _EPOCH_S:
        return f"the cameras' clocks begin at other times; set sync.{wrong}_stamps to arrival"
    if settings.drift_ppm is not None:
        return (
            f"the thermal clock runs {settings.drift_ppm:+.0f} us/s against the visible one; synchronise the "
            "cameras' clocks (PTP, NTP)"
        )
    current = sync.thermal_offset if wrong == THERMAL else sync.visible_offset
    offset = current + (-apart if is_ahead else apart)
    if is_ahead:
        return f"the {wrong} camera's clock is ahead; set sync.{wrong}_offset to {offset:.3f}"
    text = f"always, as by a clock that is behind; set sync.{wrong}_offset to {offset:.3f}"
    if apart > _LATEST_S:
        return text
    return f"{text}; if its images really come that late, raise sync.queue_time and mode.limit instead"


def _too_short(evidence: Mapping[str, Evidence], lag: float, sync: PairingConfig) -> str:
    """Return what to say of images that would pair, had they waited: of the limits of the queues, the one that cut."""
    older = THERMAL if lag > 0 else VISIBLE
    waiting = evidence[_OTHER[older]]  # the stream whose images wait
    period = _period(waiting.stamps)
    count = math.ceil(abs(lag) / period) + 2 if period else 0
    if count > sync.queue_size:
        return f"{older} images come late; raise sync.queue_size to {2 * count}"
    if count * waiting.nbytes > sync.queue_memory * 1_000_000:
        megabytes = math.ceil(1.2 * count * waiting.nbytes / 1e6)
        return f"{older} images come late; raise sync.queue_memory to {megabytes}"
    return f"images that would pair came too late for each other; see {LARGE_IMAGES}"


def _is_steady(delays: NDArray[np.float64], apart: float) -> bool:
    low, high = np.percentile(delays, (10, 90))
    return bool(high - low <= max(_STEADY, _STEADY * apart))


def _nearest_skews(thermal: Sequence[int], visible: Sequence[int]) -> NDArray[np.float64]:
    """Return for each image of the slower stream the time to the nearest of the other, in s.

    Its ends are left out where the other does not reach them.
    """
    few, many = sorted((np.sort(np.array(stamps, np.int64)) for stamps in (thermal, visible)), key=len)
    index = np.searchsorted(many, few)
    before = np.abs(few - many[np.maximum(index - 1, 0)])
    after = np.abs(many[np.minimum(index, len(many) - 1)] - few)
    skews = np.minimum(before, after) / 1e9
    within = (few >= many[0]) & (few <= many[-1])
    return np.asarray(skews[within] if within.any() else skews.min(keepdims=True))


def _period(stamps: Sequence[int]) -> float:
    """Return the usual time between two images in s, 0 of less than two."""
    return float(np.median(np.diff(stamps))) / 1e9 if len(stamps) > 1 else 0.0


def _above(seconds: float) -> float:
    """Return a round number a little larger."""
    return math.ceil(1.1 * seconds * 1000) / 1000 if seconds < 0.1 else math.ceil(1.1 * seconds * 100) / 100
