"""What is published when a camera is late, silent or frozen: the modes, and the way from one to another.

The mode is FUSED or STOPPED, or the name of the stream (frames.VISIBLE, frames.THERMAL) that is published alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..images.frames import THERMAL, VISIBLE
from ..options import check_options, option
from .shutter import HOLD

FUSED = "fused"
STOPPED = "stopped"

# A FusedFrame's mode while FUSED, where the last live thermal image stands for one that is none (shutter.action hold).
HELD = "held"

# What ModeConfig.without_* may be, beside the other stream.
STOP = "stop"

_INTERVALS = 3  # between images of a camera, of which the middle one says how often it sends


@dataclass(frozen=True, slots=True)
class ModeConfig:
    """When a stream counts as lost, and what is published then."""

    without_thermal: str = option(
        VISIBLE,
        "Without thermal images, visible publishes the visible image alone and stop publishes nothing.",
        choices=(VISIBLE, STOP),
        live=True,
    )
    # Not the thermal image by default: it has other stamps, another frame and another camera's intrinsics.
    without_visible: str = option(
        STOP,
        "Without visible images, thermal publishes the thermal image alone and stop publishes nothing.",
        choices=(THERMAL, STOP),
        live=True,
    )
    limit: float = option(
        1.0,
        "A stream is lost when its images fall further than this behind the other's, and two of its camera's periods "
        "where that is more.",
        unit="s",
        low=0.01,
        high=3600,
        live=True,
    )
    frozen_limit: float = option(
        3.0,
        "A stream is lost when its images have been no live view for longer than this; a thermal camera's "
        "shutter takes up to 3 s.",
        unit="s",
        low=0,
        high=3600,
        live=True,
    )
    return_time: float = option(
        1.0,
        "A lost stream must be back for this long before images are fused again.",
        unit="s",
        low=0,
        high=3600,
        live=True,
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A new mode, its cause as one sentence for the log and the status, and whether that is a reason to worry."""

    mode: str
    cause: str
    is_trouble: bool


class ModeSelector:
    """Chooses the mode from what comes in.

    To be driven by one thread at a time, with the receiver's clock (not stamps) in every call: :meth:`arrived` for each
    image, :meth:`interrupted` with what :meth:`ShutterDetector.observe` says of each thermal one and
    :meth:`FreezeDetector.observe` of each visible one, then :meth:`update`, which is also called by a timer, a few
    times per ``limit``.

    A stream is lost by comparison with the other, so that the end of a recording, where both fall silent, does not
    pass through a mode of one of them. From a stream alone back to FUSED takes ``return_time`` seconds in which both
    send; from STOPPED it takes an image of each, as anything is better than nothing. What makes things worse counts at
    once.
    """

    def __init__(self, config: ModeConfig, now_ns: int, *, shutter_action: str = HOLD) -> None:
        """Begin as FUSED at ``now_ns``; ``shutter_action`` is :attr:`ShutterConfig.action`."""
        self.config = config  # may be exchanged at any time
        self._shutter_action = shutter_action
        self._mode = FUSED
        self._arrived_ns = {THERMAL: now_ns, VISIBLE: now_ns}
        self._interruptions = {THERMAL: "", VISIBLE: ""}
        self._interrupted_ns = {THERMAL: now_ns, VISIBLE: now_ns}
        self._has_begun = False  # an image has come
        self._well_ns: int | None = None  # since when images could be fused, but are not yet
        self._paces = {THERMAL: _Pace(), VISIBLE: _Pace()}
        self._slow_said: set[str] = set()
        self._refused: dict[str, tuple[int, str]] = {}  # the latest image of a stream that was of no use: when, and why
        self._has_changed = False

    @property
    def mode(self) -> str:
        """FUSED, STOPPED, or the stream that is published alone."""
        return self._mode

    def arrived(self, stream: str, now_ns: int, lag_ns: int = 0) -> None:
        """Take note of an image of ``stream`` with a new stamp.

        ``lag_ns`` is the time by which its stamp is older than the newest of the other stream, offsets applied; an
        image that comes later than the limit is of no use and no sign of life.
        """
        if lag_ns > self.config.limit * 1e9:
            self.refused(stream, f"{_seconds(lag_ns)} late", now_ns)
            return
        if self._silence_ns(now_ns):  # the first after it: give the other its time
            self._arrived_ns = dict.fromkeys(self._arrived_ns, now_ns - 1)
        self._arrived_ns[stream] = now_ns
        self._has_begun = True
        self._paces[stream].note(now_ns)

    def refused(self, stream: str, reason: str, now_ns: int) -> None:
        """Take note of an image of ``stream`` that is of no use, which is no sign of life, and why."""
        self._refused[stream] = now_ns, reason
        self._has_begun = True

    def interrupted(self, stream: str, reason: str, now_ns: int) -> None:
        """Say why an image of ``stream`` is no live view, in words that follow "image is"; empty where it is one."""
        if reason and not self._interruptions[stream]:
            self._interrupted_ns[stream] = now_ns
        self._interruptions[stream] = reason

    def clock_was_set(self, now_ns: int) -> None:
        """Give both streams a fresh ``limit``: the clock went back or leapt ahead to ``now_ns``. The mode stays."""
        self._arrived_ns = dict.fromkeys(self._arrived_ns, now_ns - 1)  # not now: no image has come since
        self._interrupted_ns = dict.fromkeys(self._interrupted_ns, now_ns)
        self._well_ns = None
        self._refused.clear()
        for pace in self._paces.values():
            pace.clock_was_set()

    def cause(self, now_ns: int) -> str:
        """Return why the mode is what it is, by what is known now; empty where it is FUSED and was never another."""
        mode, cause = self._wanted(now_ns)
        if mode == FUSED == self._mode and not self._has_changed:
            return ""
        if mode == FUSED != self._mode:
            missing = [stream for stream in self._paces if not self._is_there(stream, now_ns)]
            if missing:  # the other was first after a silence
                return f"no {' and no '.join(missing)} image yet, for less than mode.limit"
            return "both cameras send again, for less than mode.return_time"
        return cause

    def slow_camera(self) -> str:
        """Return, once for each camera, that it sends so seldom that ``limit`` does not hold for it; else nothing."""
        for stream, pace in self._paces.items():
            limit_ns = self._limit_ns(stream)
            if limit_ns > self.config.limit * 1e9 and stream not in self._slow_said:
                self._slow_said.add(stream)
                return (
                    f"a {stream} image comes every {_seconds(pace.period_ns)}: the camera counts as lost after "
                    f"{_seconds(limit_ns)} without one, and not after mode.limit ({self.config.limit:g} s)"
                )
        return ""

    def update(self, now_ns: int) -> ModeChange | None:
        """Return the mode and its cause where the mode changes now, else None."""
        mode, cause = self._wanted(now_ns)
        if mode != FUSED or self._mode == FUSED:
            self._well_ns = None
        else:
            if self._well_ns is None:
                self._well_ns = now_ns
            return_ns = 0 if self._mode == STOPPED else self.config.return_time * 1e9
            # By arrivals, not by the clock: a stream that came once and is silent again has not settled.
            if min(self._arrived_ns.values()) - self._well_ns < return_ns:
                return None
        if mode == self._mode:
            return None
        self._mode, self._has_changed = mode, True
        return ModeChange(mode, cause, is_trouble=mode != FUSED and self._has_begun)

    def _wanted(self, now_ns: int) -> tuple[str, str]:
        """Return the mode for what is known now, without regard to settling, and its cause."""
        config = self.config
        if silence_ns := self._silence_ns(now_ns):
            if not self._has_begun:  # the node is often there before the cameras
                return STOPPED, "no camera has sent an image yet"
            refused = [f"{stream}: {reason}" for stream in self._arrived_ns if (reason := self._refusal(stream))]
            sent = f"a usable image for {_seconds(silence_ns)} ({', '.join(refused)})" if refused else ""
            return STOPPED, f"neither camera has sent {sent or f'an image for {_seconds(silence_ns)}'}"
        without_thermal, without_visible = self._loss(THERMAL, VISIBLE, now_ns), self._loss(VISIBLE, THERMAL, now_ns)
        if without_visible:
            if without_thermal:
                return STOPPED, f"{without_visible}, and {without_thermal}"
            return (THERMAL if config.without_visible == THERMAL else STOPPED), without_visible
        if without_thermal:
            return (VISIBLE if config.without_thermal == VISIBLE else STOPPED), without_thermal
        if self._interruptions[THERMAL] and self._shutter_action == VISIBLE:
            return VISIBLE, self._interruption(THERMAL, now_ns)
        return FUSED, "both cameras send live images again"

    def _loss(self, stream: str, other: str, now_ns: int) -> str:
        """Return why ``stream`` counts as lost; empty where it does not."""
        if self._arrived_ns[other] - self._arrived_ns[stream] > self._limit_ns(stream):
            reason = self._refusal(stream)
            text = f"no {stream} image in time for {_seconds(now_ns - self._arrived_ns[stream])}"
            return f"{text} ({reason})" if reason else text
        if self._interruptions[stream] and now_ns - self._interrupted_ns[stream] > self.config.frozen_limit * 1e9:
            return self._interruption(stream, now_ns)
        return ""

    def _silence_ns(self, now_ns: int) -> int:
        """Return the time without any image where that is silence: more than the limit of the camera that sent last."""
        latest = max(self._arrived_ns, key=lambda stream: self._arrived_ns[stream])
        silence_ns = now_ns - self._arrived_ns[latest]
        return silence_ns if silence_ns > self._limit_ns(latest) else 0

    def _limit_ns(self, stream: str) -> int:
        """Return the time without an image after which ``stream`` is lost."""
        return max(round(self.config.limit * 1e9), 2 * self._paces[stream].period_ns)

    def _is_there(self, stream: str, now_ns: int) -> bool:
        last_ns = self._paces[stream].last_ns
        return last_ns is not None and now_ns - last_ns <= self._limit_ns(stream)

    def _refusal(self, stream: str) -> str:
        """Return why images of ``stream`` that came since its last good one were of no use; empty where none came."""
        refused_ns, reason = self._refused.get(stream, (0, ""))
        return reason if refused_ns > self._arrived_ns[stream] else ""

    def _interruption(self, stream: str, now_ns: int) -> str:
        return f"{stream} image is {self._interruptions[stream]} for {_seconds(now_ns - self._interrupted_ns[stream])}"


class _Pace:
    """How often a camera sends at its best; one that falters is no slow one."""

    def __init__(self) -> None:
        self.period_ns = 0  # 0: not known
        self.last_ns: int | None = None
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)

    def note(self, now_ns: int) -> None:
        if self.last_ns is not None:
            self._intervals.append(now_ns - self.last_ns)
            if len(self._intervals) == _INTERVALS:
                usual = sorted(self._intervals)[_INTERVALS // 2]
                self.period_ns = min(self.period_ns or usual, usual)
        self.last_ns = now_ns

    def clock_was_set(self) -> None:
        self.last_ns = None


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e9:.1f} s"
