"""What is published when a camera is late, silent or frozen: the modes, and the way from one to another.

The mode is FUSED or STOPPED, or the name of the stream (frames.VISIBLE, frames.THERMAL) that is published alone.
"""

from __future__ import annotations

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
        "A stream is lost when its images fall further than this behind the other's; choose more than a "
        "period of either camera.",
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

    @property
    def mode(self) -> str:
        """FUSED, STOPPED, or the stream that is published alone."""
        return self._mode

    def arrived(self, stream: str, now_ns: int, lag_ns: int = 0) -> None:
        """Take note of an image of ``stream`` with a new stamp.

        ``lag_ns`` is the time by which its stamp is older than the newest of the other stream, offsets applied; an
        image that comes later than the limit is of no use and no sign of life.
        """
        limit_ns = self.config.limit * 1e9
        if lag_ns > limit_ns:
            return
        if now_ns - max(self._arrived_ns.values()) > limit_ns:  # the first after silence: give the other its time
            self._arrived_ns = dict.fromkeys(self._arrived_ns, now_ns - 1)
        self._arrived_ns[stream] = now_ns
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
        self._mode = mode
        return ModeChange(mode, cause, is_trouble=mode != FUSED and self._has_begun)

    def _wanted(self, now_ns: int) -> tuple[str, str]:
        """Return the mode for what is known now, without regard to settling, and its cause."""
        config = self.config
        silence_ns = now_ns - max(self._arrived_ns.values())
        if silence_ns > config.limit * 1e9:
            if not self._has_begun:  # the node is often there before the cameras
                return STOPPED, "no camera has sent an image yet"
            return STOPPED, f"neither camera has sent an image for {_seconds(silence_ns)}"
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
        if self._arrived_ns[other] - self._arrived_ns[stream] > self.config.limit * 1e9:
            return f"no {stream} image in time for {_seconds(now_ns - self._arrived_ns[stream])}"
        if self._interruptions[stream] and now_ns - self._interrupted_ns[stream] > self.config.frozen_limit * 1e9:
            return self._interruption(stream, now_ns)
        return ""

    def _interruption(self, stream: str, now_ns: int) -> str:
        return f"{stream} image is {self._interruptions[stream]} for {_seconds(now_ns - self._interrupted_ns[stream])}"


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e9:.1f} s"
