"""Writes the registered pairs of a recording as folders of images, to train and to evaluate on."""

from __future__ import annotations

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
from ..images.frames import Frame
from ..images.resampling import resample
from ..perception.pairing import PairingConfig
from .camera_source import CameraSource, matches
from .no_pair import StreamWatch

KELVIN = (100.0, 655.35)
"""Between these lies the median of an image in kelvin; the upper end is also the last of the 16 bits' range."""


def write_pairs(
    source: CameraSource,
    out: Path,
    *,
    every: float = 1.0,
    slop: float = 0.02,
    thermal_offset: float = 0.0,
    homography: NDArray[np.float64] | None = None,
) -> tuple[int, Counter[str]]:
    """Write a pair each ``every`` seconds to thermal/, visible/ and overlay/ in ``out``.

    Their images are up to ``slop`` seconds apart, with ``thermal_offset`` seconds in the stamps of ``source`` already.
    ``homography``, (3, 3), takes visible to thermal pixels; None where both show the same view. Return how many pairs
    were written, and how often and why images were left out.

    Raises :class:`SourceError` where there is no pair or none can be used and for a folder that cannot be written,
    :class:`ConfigError` for times out of range.
    """
    if every < 0:
        raise ConfigError(f"--every is {every:g}; it must be 0 or more")
    count, last_ns = 0, None
    unusable: Counter[str] = Counter()
    watch = StreamWatch(thermal_offset)
    for match in tqdm(matches(source, PairingConfig(slop=slop), watch), desc="pairs", unit="pair"):
        thermal, visible = match.thermal, match.visible
        if last_ns is not None and 0 <= thermal.stamp_ns - last_ns < round(every * 1e9):
            continue
        try:
            heat = thermal_levels(thermal)
            grid = on_thermal_grid(visible, thermal, homography)
        except ImageError as error:
            unusable[str(error)] += 1
            continue
        last_ns = thermal.stamp_ns
        name = f"{count:06}.png"
        _write(out / "thermal" / name, heat)
        _write(out / "visible" / name, grid)
        _write(out / "overlay" / name, overlay(heat, grid))
        count += 1
    left_out = Counter(source.skipped) + unusable
    if not count and not unusable:
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
    """Return a thermal image as a PNG file can hold it, (H, W) of 8 or 16 bits.

    Counts keep their depth. A thermal image in colour is a rendering, of which its luma is all there is. Floats are
    taken to be kelvin and become hundredths of it (centikelvin, as FLIR's TLinear sends them), rounded; what is hotter
    than 655.35 K is held to that. Raises :class:`ImageError` for NaN and infinity and for floats that are no kelvin.
    """
    if color.is_color(thermal.encoding):
        return color.luma(thermal.image, thermal.encoding)
    if thermal.image.dtype.kind != "f":
        return thermal.image
    kelvin = thermal.image.astype(np.float64)
    if not np.isfinite(kelvin).all():
        raise ImageError("a thermal image has NaN or infinite pixels")
    if not KELVIN[0] <= np.median(kelvin) <= KELVIN[1]:
        raise ImageError(
            f"a thermal image of floats is no image in kelvin, whose median would be {KELVIN[0]:g} to {KELVIN[1]:g}; "
            "record kelvin or 16-bit counts"
        )
    return np.rint(np.clip(kelvin * 100, 0, 65535)).astype(np.uint16)


def on_thermal_grid(visible: Frame, thermal: Frame, homography: NDArray[np.float64] | None) -> NDArray[Any]:
    """Return the visible image at the thermal image's size, (H, W) or (H, W, 3) with blue first.

    ``homography`` takes visible to thermal pixels. What the visible camera does not see is black. Raises
    :class:`ImageError` for a visible image of floats, which a PNG file would cut to 8 bits.
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
        return resample(image, width, height)
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


def _write(path: Path, image: NDArray[Any]) -> None:
    make_folder(path.parent)
    write_file(path, cv2.imencode(".png", image)[1].tobytes())
