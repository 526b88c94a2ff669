"""Fusion quality of several methods on high-resolution pairs, and of published methods on the same pairs.

The way of the published comparisons: each image of a pair is cropped to a multiple of the scale and reduced to 8 bits
by Pillow's antialiased BILINEAR; a method gets the reduced pair and is measured against the pair itself, as it is and
stretched alike.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, SourceError
from ..metrics.fusion import FUSION_KEYS, fusion_metrics
from ..metrics.images import min_max_stretch
from ..training.pairs import PairPaths, read_pair
from .baselines import Method
from .resampling import crop_to_multiple, reduce_bilinear

STRETCHED = "+stretch"
"""Ends the name of a method whose images were stretched from 0 to 255 before measuring."""

LEAST_THERMAL_RANGE = 8

_Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measures (by :data:`FUSION_KEYS`) of one method on one image."""

    method: str
    image: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MeasuredPair:
    """One pair with what each method made of it; 8-bit gray images of one size."""

    name: str
    thermal: _Image
    visible: _Image
    fused: Mapping[str, _Image]
    measurements: Sequence[Measurement]


def read_sources(paths: PairPaths, scale: int) -> tuple[_Image, _Image]:
    """Return thermal and visible as 8-bit gray, cropped to a multiple of ``scale``.

    Raises :class:`SourceError` for what :func:`read_pair` refuses and for a thermal image of so few gray levels that
    it must be raw counts; :class:`ImageError` for one smaller than ``scale``.
    """
    images = [np.rint(image * 255).astype(np.uint8) for image in read_pair(paths)]
    levels = int(np.ptp(images[0])) + 1
    if levels < LEAST_THERMAL_RANGE:
        raise SourceError(
            f"{paths.thermal}: spans {levels} of 256 gray levels; bring raw 16-bit counts to their full range first"
        )
    thermal, visible = (crop_to_multiple(image, scale) for image in images)
    return thermal, visible


def measure_pair(paths: PairPaths, scale: int, methods: Mapping[str, Method]) -> MeasuredPair:
    """Fuse the reduced pair by each method and measure each result, as it is and stretched.

    Raises what :func:`read_sources` does, and :class:`ImageError` naming the pair and the method where an image cannot
    be fused or measured.
    """
    thermal, visible = read_sources(paths, scale)
    reduced = reduce_bilinear(thermal, scale), reduce_bilinear(visible, scale)
    fused_images: dict[str, _Image] = {}
    measurements = []
    for method, fuse in methods.items():
        try:
            fused = fuse(*reduced)
            for name, image in ((method, fused), (method + STRETCHED, min_max_stretch(fused))):
                measurements.append(Measurement(name, paths.name, fusion_metrics(thermal, visible, image)))
        except ImageError as err:
            raise ImageError(f"{paths.name}, {method}: {err}") from err
        fused_images[method] = np.clip(np.rint(fused), 0, 255).astype(np.uint8)
    return MeasuredPair(paths.name, thermal, visible, fused_images, measurements)


def mean_values(measurements: Iterable[Measurement]) -> dict[str, dict[str, float]]:
    """Return the means over images as {method: {key: value}}, methods in order of appearance."""
    rows: dict[str, list[Mapping[str, float]]] = {}
    for measurement in measurements:
        rows.setdefault(measurement.method, []).append(measurement.values)
    return {
        method: {key: float(np.mean([row[key] for row in values])) for key in FUSION_KEYS}
        for method, values in rows.items()
    }


def write_measurements(path: Path, scale: int, measurements: Iterable[Measurement]) -> None:
    """Write one CSV row per method and image; :func:`read_peers` reads it back. Raises :class:`SourceError`."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("scale", "method", "image", *FUSION_KEYS))
            for row in measurements:
                values = (f"{row.values[key]:.5f}" for key in FUSION_KEYS)
                writer.writerow((scale, row.method, row.image, *values))
    except OSError as err:
        raise SourceError(f"{path}: cannot be written ({err.strerror})") from err


def read_peers(path: Path, scale: int, images: Sequence[str]) -> list[Measurement]:
    """Return other methods' values at ``scale`` on ``images`` from a CSV of columns scale, method, image and measures.

    Further columns and images are passed over. Raises :class:`SourceError` where the file cannot be read, lacks a
    column, has no row for the scale, or a method in it lacks one of the images.
    """
    wanted = set(images)
    found: dict[str, dict[str, Measurement]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lacking = [
                key for key in ("scale", "method", "image", *FUSION_KEYS) if key not in (reader.fieldnames or ())
            ]
            if lacking:
                raise SourceError(f"{path}: lacks the column {lacking[0]}; expected scale, method, image and measures")
            for row in reader:
                if float(row["scale"]) == scale:
                    of_method = found.setdefault(row["method"], {})
                    if row["image"] in wanted:
                        values = {key: float(row[key]) for key in FUSION_KEYS}
                        of_method[row["image"]] = Measurement(row["method"], row["image"], values)
    except OSError as err:
        raise SourceError(f"{path}: cannot be read ({err.strerror})") from err
    except (ValueError, TypeError, csv.Error) as err:
        raise SourceError(f"{path}: line {reader.line_num} is damaged ({err}); expected numbers") from err
    if not found:
        raise SourceError(f"{path}: holds no row of scale {scale}; leave it out or give another file")
    for method, rows in found.items():
        absent = [image for image in images if image not in rows]
        if absent:
            raise SourceError(
                f"{path}: {method} lacks {len(absent)} of the {len(images)} images, as {absent[0]}; "
                "a comparison needs the same images"
            )
    return [row for rows in found.values() for row in rows.values()]
