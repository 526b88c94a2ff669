"""Fusion quality of several methods on high-resolution pairs, and of published methods on the same pairs.

The way of the published comparisons: each image of a pair is cropped to a multiple of the scale; both, or thermal
alone, are reduced to 8 bits by Pillow's antialiased BILINEAR; a method gets that and is measured against the pair
itself, as it is and stretched alike.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, SourceError
from ..inference.sizes import Sizes
from ..metrics.fidelity import fidelity_metrics
from ..metrics.fusion import FUSION_KEYS, fusion_metrics
from ..metrics.images import min_max_stretch
from ..metrics.ranking import RANKED_KEYS
from ..sources.pairs import PairPaths, read_pair
from .baselines import Method
from .resampling import crop_to_multiple, reduce_bilinear

STRETCHED = "+stretch"
"""Ends the name of a method whose images were stretched from 0 to 255 before measuring."""

ENLARGED = "bicubic>"
"""Begins the name of a source that was enlarged as the baselines enlarge it, to be compared with fused videos."""

LEAST_THERMAL_RANGE = 8

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measures, by name, of one method on one image; ``image`` is its file's name or the number of a frame."""

    method: str
    image: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MeasuredPair:
    """One pair with what each method made of it; 8-bit gray images of one size."""

    name: str
    thermal: Image
    visible: Image
    fused: Mapping[str, Image]
    measurements: Sequence[Measurement]


def read_sources(paths: PairPaths, scale: int) -> tuple[Image, Image]:
    """Return thermal and visible as 8-bit gray, cropped to a multiple of ``scale``.

    Thermal is brought to gray levels as the node does it. Raises :class:`SourceError` for what :func:`read_pair`
    refuses and for a thermal image of so few gray levels that it shows nothing; :class:`ImageError` for one smaller
    than ``scale``.
    """
    thermal, visible = (np.rint(image * 255).astype(np.uint8) for image in read_pair(paths))
    return full_size(paths, thermal, visible, scale)


def full_size(paths: PairPaths, thermal: Image, visible: Image, scale: int) -> tuple[Image, Image]:
    """Return 8-bit gray images of one size cropped to a multiple of ``scale``.

    Raises :class:`SourceError` for a thermal image of so few gray levels that it shows nothing, :class:`ImageError` for
    one smaller than ``scale``.
    """
    levels = int(np.ptp(thermal)) + 1
    if levels < LEAST_THERMAL_RANGE:
        raise SourceError(
            f"{paths.thermal}: spans {levels} of 256 gray levels; it shows nothing, as behind a closed shutter: remove "
            "the pair"
        )
    return crop_to_multiple(thermal, scale), crop_to_multiple(visible, scale)


ReadSources = Callable[[PairPaths, int], tuple[Image, Image]]
"""Reads a pair as :func:`read_sources` does."""


def reduced_pair(thermal: Image, visible: Image, sizes: Sizes) -> tuple[Image, Image]:
    """Return thermal and visible as methods get them: full-size images, multiples of ``sizes``, reduced as it says."""
    return reduce_bilinear(thermal, sizes.thermal), reduce_bilinear(visible, sizes.visible)


def input_fact(sizes: Sizes) -> str:
    """Return what a report says about how the input was made."""
    if sizes.thermal == 1:
        return "both at full size"
    reduced = f"reduced by {sizes.thermal}, Pillow's antialiased BILINEAR, 8 bits"
    return f"thermal {reduced}; visible at full size" if sizes.visible == 1 else f"both {reduced}"


def measure_pair(
    paths: PairPaths,
    sizes: Sizes,
    methods: Mapping[str, Method],
    teacher: Method | None = None,
    keys: Sequence[str] = FUSION_KEYS,
    read: ReadSources = read_sources,
    against: ReadSources | None = None,
) -> MeasuredPair:
    """Fuse the pair, reduced as ``sizes`` says, by each method; measure each by ``keys``, as it is and stretched.

    Thermal is never larger than visible. The pair is what ``read`` returns, and what results are measured against too,
    unless ``against`` reads another one of the same size for that. With a ``teacher``, the unstretched results are
    measured also against what it makes of that pair itself. Raises what the reading does, and :class:`ImageError`
    naming the pair and the method where an image cannot be fused or measured.
    """
    thermal, visible = read(paths, sizes.thermal)
    reduced = reduced_pair(thermal, visible, sizes)
    if against is not None:
        thermal, visible = against(paths, sizes.thermal)
    taught = teacher(thermal, visible) if teacher else None
    fused_images: dict[str, Image] = {}
    measurements = []
    for method, fuse in methods.items():
        try:
            fused = fuse(*reduced)
            values = fusion_metrics(thermal, visible, fused, keys)
            if taught is not None:
                values |= fidelity_metrics(fused, taught)
            stretched = fusion_metrics(thermal, visible, min_max_stretch(fused), keys)
        except ImageError as err:
            raise ImageError(f"{paths.name}, {method}: {err}") from err
        measurements += [
            Measurement(method, paths.name, values),
            Measurement(method + STRETCHED, paths.name, stretched),
        ]
        fused_images[method] = np.clip(np.rint(fused), 0, 255).astype(np.uint8)
    return MeasuredPair(paths.name, thermal, visible, fused_images, measurements)


def mean_values(measurements: Iterable[Measurement]) -> dict[str, dict[str, float]]:
    """Return the means as {method: {key: value}}, methods in order of appearance.

    A measure's mean is over the images that have it.
    """
    columns: dict[str, dict[str, list[float]]] = {}
    for measurement in measurements:
        of_method = columns.setdefault(measurement.method, {})
        for key, value in measurement.values.items():
            of_method.setdefault(key, []).append(value)
    return {
        method: {key: float(np.mean(values)) for key, values in of_method.items()}
        for method, of_method in columns.items()
    }


def write_measurements(path: Path, scale: int, measurements: Sequence[Measurement]) -> None:
    """Write one CSV row per method and image; :func:`read_peers` reads it back.

    A measure that a row lacks is an empty cell. Raises :class:`SourceError`.
    """
    keys = tuple(dict.fromkeys(key for row in measurements for key in row.values))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("scale", "method", "image", *keys))
            for row in measurements:
                values = (f"{row.values[key]:.5f}" if key in row.values else "" for key in keys)
                writer.writerow((scale, row.method, row.image, *values))
    except OSError as err:
        raise SourceError(f"{path}: cannot be written ({err.strerror})") from err


def read_peers(path: Path, scale: int, images: Sequence[str]) -> list[Measurement]:
    """Return other methods' values at ``scale`` on ``images`` from a CSV of columns scale, method, image and measures.

    The ranked measures must be there, the others may; further columns and images are passed over. Raises
    :class:`SourceError` where the file cannot be read, lacks a column, has no row for the scale, or a method in it
    lacks one of the images.
    """
    wanted = set(images)
    found: dict[str, dict[str, Measurement]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            lacking = [key for key in ("scale", "method", "image", *RANKED_KEYS) if key not in columns]
            if lacking:
                raise SourceError(f"{path}: lacks the column {lacking[0]}; expected scale, method, image and measures")
            keys = [key for key in FUSION_KEYS if key in columns]
            for row in reader:
                if float(row["scale"]) == scale:
                    of_method = found.setdefault(row["method"], {})
                    if row["image"] in wanted:
                        values = {key: float(row[key]) for key in keys}
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
