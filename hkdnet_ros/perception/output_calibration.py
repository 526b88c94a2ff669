"""The calibration of the fused image: that of the camera whose view it has, scaled to the output size.

The fused image has stamp, frame and geometry of the reference camera's image, as a rule the visible one's; the thermal
image published alone has its own.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter, deque

from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE, Frame, FusedFrame
from .crop import Margins
from .health import CalibrationHealth
from .log import Log

TOPICS = {THERMAL: "thermal/camera_info", VISIBLE: "visible/camera_info"}

# What may be wrong with the CameraInfo of an image.
MISSING = "missing"
INVALID = "invalid"
OTHER_SIZE = "other size"
UNCALIBRATED = "uncalibrated"
OTHER_FRAME = "other frame"
LATE = "late"

_UNUSABLE = (MISSING, INVALID, OTHER_SIZE)
_KEPT = 32  # messages of a camera among which the one of an image is looked for
_LATE_NS = 1_000_000_000
_GRACE_NS = 2_000_000_000  # of images for which none may come before it is said to be missing


class OutputCalibration:
    """Keeps the calibrations of both cameras, holds them against their images and counts what does not fit.

    Each kind of mismatch of a camera is logged once. Any thread may call this.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._kept: dict[str, deque[tuple[int, CameraModel]]] = {stream: deque(maxlen=_KEPT) for stream in TOPICS}
        self._received: Counter[str] = Counter()
        self._mismatches: Counter[str] = Counter()  # images, by stream and mismatch
        self._current: dict[str, str] = {}  # stream -> what is wrong for its latest image
        self._warned: set[tuple[str, str]] = set()
        self._missing_since_ns: int | None = None
        self._cuts: dict[str, tuple[tuple[int, int], Margins]] = {}  # by stream: size sent, what is cut off it

    def cut(self, stream: str, sent: tuple[int, int], margins: Margins) -> None:
        """Say what is cut off the images of ``stream``, which are sent with width and height ``sent``."""
        with self._lock:
            self._cuts[stream] = sent, margins

    def update(self, stream: str, model: CameraModel, stamp_ns: int) -> None:
        """Take a calibration of ``stream``, stamped ``stamp_ns``; 0 for one without a time."""
        with self._lock:
            self._received[stream] += 1
            self._kept[stream].append((stamp_ns, model))

    def begin_anew(self) -> None:
        """Wait again before a calibration is said to be missing: the streams' clocks have jumped back."""
        with self._lock:
            self._missing_since_ns = None

    def scaled_to(
        self, fused: FusedFrame, thermal: Frame | None, visible: Frame | None, is_wanted: bool
    ) -> CameraModel | None:
        """Return the calibration of ``fused``, which was made of these two images or of one of them.

        None where it is not wanted, none was received, or the one received is not that of the image: it would put every
        projected point in the wrong place. That of an uncalibrated camera has the size and no more.
        """
        source = THERMAL if visible is None else fused.reference
        result: CameraModel | None = None
        for stream, frame in ((THERMAL, thermal), (VISIBLE, visible)):
            model = None if frame is None else self._model(stream, frame, is_output=stream == source, wanted=is_wanted)
            if model is not None and stream == source and is_wanted:
                height, width = fused.image.shape[:2]
                if fused.window is not None:
                    model = model.cropped(*fused.window)
                result = dataclasses.replace(model.resized(width, height), frame_id=fused.frame_id)
        return result

    def health(self) -> CalibrationHealth:
        """Return the figures for /diagnostics."""
        with self._lock:
            return CalibrationHealth(dict(self._received), dict(self._mismatches), tuple(self._current.values()))

    def _model(self, stream: str, frame: Frame, *, is_output: bool, wanted: bool) -> CameraModel | None:
        """Return what can be used of the calibration of ``frame``, after what is wrong with it was counted and said."""
        with self._lock:
            stamp_ns, model = self._nearest(stream, frame.stamp_ns)
            sent, margins = self._cuts.get(stream, ((0, 0), Margins()))
            if model is not None and model.image_size == sent and margins != Margins():
                # Else it is that of the picture alone, as a driver may send it that knows of the margins.
                height, width = frame.image.shape[:2]
                model = model.cropped(margins.left, margins.top, width, height)
            if model is None:
                if not is_output or not wanted:
                    self._current.pop(stream, None)
                    return None
                mismatch, text = MISSING, _missing(stream)
                if self._missing_since_ns is None:
                    self._missing_since_ns = frame.stamp_ns
                is_said = frame.stamp_ns - self._missing_since_ns >= _GRACE_NS
            else:
                mismatch, text = _compare(model, stamp_ns, frame, stream)
                is_said = True
            self._current.pop(stream, None)
            if mismatch:
                self._mismatches[f"{stream} {mismatch}"] += 1
                if mismatch != LATE and is_said:  # a calibration that is sent once at the start holds for ever
                    self._current[stream] = text
                is_said = is_said and (stream, mismatch) not in self._warned
                if is_said:
                    self._warned.add((stream, mismatch))
        if mismatch and is_said:
            lost = "; fused/camera_info is not published" if is_output and mismatch in _UNUSABLE else ""
            self._log.warning(text + lost)
        return None if mismatch in _UNUSABLE else model

    def _nearest(self, stream: str, stamp_ns: int) -> tuple[int, CameraModel | None]:
        """Return the calibration with the stamp of an image, as drivers send it, else the latest: few change."""
        kept = self._kept[stream]
        nothing: tuple[int, CameraModel | None] = 0, None
        latest = kept[-1] if kept else nothing
        return next((candidate for candidate in reversed(kept) if candidate[0] == stamp_ns), latest)


def _missing(stream: str) -> str:
    return (
        f"no message on {TOPICS[stream]} (camera_info beside the image, where that is remapped), but somebody "
        f"subscribes to fused/camera_info; have the {stream} camera's driver publish its calibration, or remap to it"
    )


def _compare(model: CameraModel, stamp_ns: int, frame: Frame, stream: str) -> tuple[str, str]:
    """Return the mismatch of ``model``, stamped ``stamp_ns``, as the calibration of ``frame``, and a line about it."""
    height, width = frame.image.shape[:2]
    begin = TOPICS[stream]
    if model.defect:
        return INVALID, f"{begin} {model.defect}; expected a calibration as sensor_msgs/CameraInfo defines it"
    if not model.is_calibrated:
        return UNCALIBRATED, (
            f"{begin} is that of an uncalibrated camera (K is zero): no points can be projected; calibrate the camera, "
            "as with camera_calibration's cameracalibrator"
        )
    if model.image_size != (width, height):
        sent = "x".join(map(str, model.image_size))
        return OTHER_SIZE, (
            f"{begin} is for {sent} pixels, but the {stream} image has {width}x{height}; expected the same size: "
            "calibrate the camera at the size it sends, or have its driver state binning and region of interest"
        )
    if model.frame_id != frame.frame_id:
        return OTHER_FRAME, (
            f"{begin} has frame {model.frame_id!r}, but the {stream} image {frame.frame_id!r}, which is used; expected "
            "the same: set it in the camera's driver"
        )
    if stamp_ns > 0 and frame.stamp_ns - stamp_ns > _LATE_NS:
        return LATE, (
            f"{begin} is {(frame.stamp_ns - stamp_ns) / 1e9:.1f} s older than its image, and used all the same; "
            "expected one with the stamp of each image: check that the camera's driver still publishes it"
        )
    return "", ""
