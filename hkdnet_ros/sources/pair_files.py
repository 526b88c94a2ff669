"""Writes the registered pairs of a recording as folders of images, to train and to evaluate on."""

from __future__ import annotations

import logging
import math
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import ConfigError, ImageError, SourceError
from ..files import make_folder, write_file
from ..images import color
from ..images.fitting import fitted
from ..images.frames import Frame
from ..images.resampling import resample
from ..perception.intake import ThermalIntake
from ..perception.pairing import PairingConfig
from ..perception.palette import AUTO, PaletteReader
from .camera_source import CameraSource, matches
from .no_pair import StreamWatch
from .reasons import Reasons

_log = logging.getLogger(__name__)

KELVIN = (100.0, 655.35)
"""Between these lies the median of an image in kelvin; the upper end is also the last of the 16 bits' range.

Degrees Celsius lie below it, but for scenes of molten metal, whose values are kept to hundredths either way."""


def write_pairs(
    source: CameraSource,
    out: Path,
    *,
    every: float = 1.0,
    slop: float = 0.02,
    thermal_offset: float = 0.0,
    homography: NDArray[np.float64] | None = None,
    fit: str | None = None,
) -> tuple[int, Counter[str]]:
    """Write a pair each ``every`` seconds to thermal/, visible/ and overlay/ in ``out``.

    Their images are up to ``slop`` seconds apart, with ``thermal_offset`` seconds in the stamps of ``source`` already.
    ``homography``, (3, 3), takes visible to thermal pixels; None where both show the same view, for which images of
    different aspect ratios need a ``fit`` (:func:`~hkdnet_ros.images.fitting.fitted`). Return how many pairs were
    written, and how often and why images were left out.

    Raises :class:`SourceError` where there is no pair or none can be used and for a folder that cannot be written,
    :class:`ConfigError` for times out of range.
    """
    if not 0 <= every < math.inf:
        raise ConfigError(f"--every is {every:g}; it must be 0 or more, and a number")
    count, last_ns = 0, None
    unusable = Reasons()
    intake, palettes = ThermalIntake(), PaletteReader()
    watch = StreamWatch(thermal_offset)
    with tqdm(matches(source, PairingConfig(slop=slop), watch), desc="pairs", unit="pair") as bar:
        for match in bar:
            thermal, visible = match.thermal, match.visible
            if last_ns is not None and 0 <= thermal.stamp_ns - last_ns < round(every * 1e9):
                continue
            try:
                thermal = palettes.to_gray(intake.take(thermal), AUTO)
                heat = thermal_levels(thermal)
                grid = on_thermal_grid(visible, thermal, homography, fit)
            except ImageError as error:
                unusable.add(str(error))
                continue
            last_ns = thermal.stamp_ns
            _write(out / "thermal" / f"{count:06}", heat)
            _write(out / "visible" / f"{count:06}", grid)
            _write(out / "overlay" / f"{count:06}", overlay(heat, grid))
            count += 1
    for remark in watch.remarks():
        _log.warning("%s: %s", source.name, remark)
    left_out = Counter(source.skipped) + unusable.counts
    if not count and not unusable.counts:
        raise watch.error(source, slop)
    if not count:
        raise SourceError(f"{source.name}: no pair can be used: {in_words(left_out)}")
    return count, left_out


def in_words(reasons: Counter[str]) -> str:
    """Return how often and why images were left out."""
    return "; ".join(f"{number} times {reason}" for reason, number in reasons.items())


def read_homography(path: Path) -> NDArray[np.float64]:
    """Return the (3, 3) matrix in a text file, as ``numpy.savetxt`` writes it; else :class:`ConfigError`."""
    try:
        matrix: NDArray[np.float64] = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as numbers: {error}") from error
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise ConfigError(f"{path}: expected 3 rows of 3 numbers, a matrix that can be inverted")
    return matrix


def thermal_levels(thermal: Frame) -> NDArray[Any]:
    """Return a thermal image as a file can hold it, (H, W) of 8 or 16 bits or float32.

    Counts and gray levels keep their depth. Floats that are kelvin by their median become hundredths of it
    (centikelvin, as FLIR's TLinear sends them), rounded; what is hotter than 655.35 K is held to that. Others, as
    degrees Celsius, stay floats in their unit. Raises :class:`ImageError` for NaN and infinity.
    """
    if thermal.image.dtype.kind != "f":
        return thermal.image
    values: NDArray[Any] = thermal.image
    if not np.isfinite(values).all():
        raise ImageError("a thermal image has NaN or infinite pixels")
    if not KELVIN[0] <= np.median(values) <= KELVIN[1]:
        return values
    return np.rint(np.clip(values.astype(np.float64) * 100, 0, 65535)).astype(np.uint16)


def on_thermal_grid(
    visible: Frame, thermal: Frame, homography: NDArray[np.float64] | None, fit: str | None = None
) -> NDArray[Any]:
    """Return the visible image at the thermal image's size, (H, W) or (H, W, 3) with blue first.

    ``homography`` takes visible to thermal pixels. What the visible camera does not see is black. Without one the two
    show the same view, so that their aspect ratios are the same or ``fit`` says what to do. Raises :class:`ImageError`
    where it does not, and for a visible image of floats, which a PNG file would cut to 8 bits.
    """
    if visible.image.dtype.kind == "f":
        raise ImageError(f"a visible image is {visible.encoding}; expected 8 or 16 bits, gray or colour")
    height, width = thermal.image.shape[:2]
    image: NDArray[Any] = visible.image
    if color.is_color(visible.encoding):
        has_alpha = visible.encoding in ("rgba8", "bgra8")
        if visible.encoding.startswith("rgb"):
            image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGR if has_alpha else cv2.COLOR_RGB2BGR)
        else:
            image = np.ascontiguousarray(image[:, :, :3])
    if homography is None:
        return resample(np.ascontiguousarray(fitted(image, (height, width), fit)), width, height)
    # Shrunk by areas first, so that the warp has little left to shrink and nothing aliases.
    rows, columns = image.shape[:2]
    to_full = np.array(
        [[columns / width, 0, columns / width / 2 - 0.5], [0, rows / height, rows / height / 2 - 0.5], [0, 0, 1]]
    )
    return cv2.warpPerspective(
        resample(image, width, height), homography @ to_full, (width, height), flags=cv2.INTER_CUBIC
    )


def overlay(thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.uint8]:
    """Return thermal in red over visible in green, (H, W, 3) uint8, for the eye to check the registration."""
    low, high = np.percentile(thermal, (1, 99))
    red = np.clip((thermal.astype(np.float32) - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    if visible.ndim == 3:
        visible = cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY)
    green = visible if visible.dtype == np.uint8 else cv2.convertScaleAbs(visible, alpha=1 / 257)
    return np.dstack([np.zeros_like(red), green, red])


def _write(stem: Path, image: NDArray[Any]) -> None:
    """Write a PNG file, or TIFF for floats, and remove an older one of the other kind, which would bear its name."""
    suffix, other = (".tiff", ".png") if image.dtype.kind == "f" else (".png", ".tiff")
    make_folder(stem.parent)
    write_file(stem.with_suffix(suffix), cv2.imencode(suffix, image)[1].tobytes())
    stem.with_suffix(other).unlink(missing_ok=True)
