"""Times at which the thermal image is no live view: it is frozen, flat, or the camera says that its shutter is closed.

An uncooled camera closes a shutter every few minutes to correct its pixels against it (flat-field correction, FFC).
Meanwhile, for 0.3 to 3 s, it repeats its last image (FLIR Tau and Lepton) or sends that of the shutter. A driver or a
cable that hangs looks the same, only for longer: :mod:`.mode` decides what that leads to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images import color
from ..images.frames import VISIBLE, Frame
from ..options import check_options, option
from .thermal_range import percentiles

# What ShutterConfig.action may be, beside VISIBLE.
HOLD = "hold"
SKIP = "skip"

# What the detector says of a frame.
LIVE = ""
FROZEN = "frozen"  # the same image again and again
FLAT = "flat"  # an image of nothing
FLAGGED = "behind the shutter"  # by the camera's own flag
SETTLING = "settling"  # live again, but not for long enough

_STRIDE = 8  # of 640x512, 5120 pixels are looked at
_NOISY_FRAMES = 30  # so many changed frames in a row with noise all over them: the camera is a real one
_NEVER = 1 << 64  # after every stamp


@dataclass(frozen=True, slots=True)
class ShutterConfig:
    """How a thermal image that is no live view is told, and what is done meanwhile."""

    action: str = option(
        HOLD,
        "While the thermal image is no live view, hold fuses the last live one, skip publishes nothing, "
        "and visible publishes the visible image alone.",
        choices=(HOLD, SKIP, VISIBLE),
    )
    frozen_time: float = option(
        0.25,
        "A thermal image that repeats for this long is frozen, if it has also repeated frozen_frames times.",
        unit="s",
        low=0,
        high=60,
    )
    frozen_frames: int = option(
        3,
        "A thermal image that repeats this many times is frozen, if it has also repeated for frozen_time; "
        "0 does not look for frozen images.",
        low=0,
        high=1000,
    )
    flat_spread: float = option(
        0.0,
        "A thermal image is that of a closed shutter if 98 % of its counts or kelvin span no more than "
        "this; with 0 they must be equal, and the camera must have shown noise.",
        low=0,
        high=1e9,
    )
    noise: float = option(
        0.25,
        "Noise changes at least this share of the pixels in every new image of a live camera; from a "
        "camera with less, identical and uniform images are taken to be live, and with 0 from none.",
        low=0,
        high=1,
    )
    settling_time: float = option(
        0.2,
        "After an interruption the thermal image must be live for this long to count as such again.",
        unit="s",
        low=0,
        high=60,
    )

    def __post_init__(self) -> None:
        check_options(self)


class ShutterDetector:
    """Tells frame by frame whether the thermal image is a live view.

    A real sensor has noise, so that its images never repeat by themselves. A simulated one without noise does where
    nothing moves, so does an 8-bit or compressed image that hides the noise, and so does a slide show. Identical images
    are therefore frozen only if the 30 images that changed before them each changed all over, in ``noise`` of their
    pixels; motion does that as well, but rarely up to the moment of rest. The same is asked of a uniform image unless
    ``flat_spread`` is set, which only those do who know their camera's shutter. A camera that once held an image for
    long without having shown its noise begins again from nothing.

    Feed it every thermal frame whose stamp is good, before pairing. It keeps the last one, whose pixels must not be
    written to.
    """

    def __init__(self, config: ShutterConfig | None = None) -> None:
        self._config = config or ShutterConfig()
        self._last: Frame | None = None
        self._verdict = LIVE
        self._repetitions = 0
        self._first_ns = 0  # stamp of the first frame with the present image
        self._noisy_frames = 0
        self._live_ns: int | None = None  # stamp of the first live frame after an event
        self._flagged = (0, 0)  # stamps from which and before which the camera's flag holds

    def set_flag(self, active: bool, stamp_ns: int) -> None:
        """Take the camera's own word that its shutter is closed (``active``) or open from ``stamp_ns`` on.

        The stamp is of the clock that stamps the frames; a flag without one takes that of the last frame. Saying the
        same again changes nothing. Any thread may call this.
        """
        begin, end = self._flagged
        if active and not begin <= stamp_ns < end:
            self._flagged = stamp_ns, _NEVER
        elif not active and stamp_ns < end:
            self._flagged = min(begin, stamp_ns), stamp_ns

    def begin_anew(self) -> None:
        """Forget the event of a stream whose clock has jumped back, but not what its noise is like.

        A flag that was raised after its last image came ahead of the first one now, and holds; an older one is of then.
        """
        is_ahead = self._last is not None and self._flagged[1] == _NEVER and self._flagged[0] >= self._last.stamp_ns
        self._flagged = (0, _NEVER) if is_ahead else (0, 0)
        self._last = None
        self._verdict, self._live_ns = LIVE, None

    def observe(self, frame: Frame) -> str:
        """Return LIVE (empty) or why ``frame`` is no live view: FROZEN, FLAT, FLAGGED or SETTLING."""
        last, self._last = self._last, frame
        reason = self._interruption(frame, last)
        if reason:
            self._verdict, self._live_ns = reason, None
        elif self._verdict:
            if self._live_ns is None:
                self._live_ns = frame.stamp_ns
            is_settled = frame.stamp_ns - self._live_ns >= self._config.settling_time * 1e9
            self._verdict = LIVE if is_settled else SETTLING
        return self._verdict

    def _interruption(self, frame: Frame, last: Frame | None) -> str:
        """Return what is wrong with ``frame`` itself, and take note of it."""
        config = self._config
        changed = _changed_share(frame, last)
        if changed:
            self._repetitions, self._first_ns = 0, frame.stamp_ns
        else:
            self._repetitions += 1
        shows_noise = self._noisy_frames >= _NOISY_FRAMES or config.noise == 0
        begin, end = self._flagged
        if begin <= frame.stamp_ns < end:
            return FLAGGED
        if _spread(frame) <= config.flat_spread and (config.flat_spread > 0 or shows_noise):
            return FLAT
        if changed:
            self._noisy_frames = self._noisy_frames + 1 if changed >= config.noise else 0
        elif (
            0 < config.frozen_frames <= self._repetitions
            and frame.stamp_ns - self._first_ns >= config.frozen_time * 1e9
        ):
            if shows_noise:
                return FROZEN
            self._noisy_frames = 0
        return LIVE


def _changed_share(frame: Frame, last: Frame | None) -> float:
    """Return the share of sampled pixels that differ in any bit; 0 only where the whole images are identical."""
    if last is None or frame.encoding != last.encoding or frame.image.shape != last.image.shape:
        return 1.0
    new, old = _bits(frame.image), _bits(last.image)
    share = float(np.mean(new[::_STRIDE, ::_STRIDE] != old[::_STRIDE, ::_STRIDE]))
    if share == 0 and not np.array_equal(new, old):
        return 1 / new.size
    return share


def _bits(image: NDArray[np.generic]) -> NDArray[Any]:
    """Return a view of the pixels as integers, in which NaN equals NaN."""
    return image.view(f"u{image.dtype.itemsize}")


def _spread(frame: Frame) -> float:
    """Return the span of 98 % of the sampled pixels, of the luma in colour images."""
    sample = frame.image[::_STRIDE, ::_STRIDE]
    low, high = percentiles(color.luma(sample, frame.encoding) if color.is_color(frame.encoding) else sample, 1, 99)
    return high - low
