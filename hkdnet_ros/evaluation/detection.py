"""What fused images are good for: the objects that a detector finds in them, beside those it finds in either source.

Against labels, where a folder of pairs has them. Elsewhere the full-size sources are the measure: *kept* is the share
of the objects found in the visible image, and *gained* that of the objects found in thermal alone, which the fused
image shows too.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .. import __version__
from ..errors import ConfigError, ImageError, SourceError
from ..files import make_folder, write_file
from ..images.frames import THERMAL, VISIBLE
from ..inference.config import EngineConfig
from ..inference.sizes import Sizes
from ..sources.pairs import PairPaths, list_pairs
from .baselines import Method
from .boxes import COCO_CLASSES, SIZES, Objects, covered, matched, size_names
from .contact_sheet import contact_sheet
from .detector import Detector, OnnxDetector, find_objects
from .labels import Labels
from .measurements import ENLARGED, input_fact, read_sources, reduced_pair
from .methods import open_methods
from .report import detection_report
from .resampling import crop_to_multiple, enlarge_bicubic

TRAFFIC = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
"""The classes that count where no others are asked for."""

SURE = 0.5
"""What a source shows with this score or more is sought."""

FOUND = 0.3
"""What has this score or more is found: less than SURE, so that an object is not lost by a hair."""

NIGHT = 50.0
"""The mean level of the visible image, 0..255, below which it is night."""

LABELS = "labels"
"""The folder of labels beside thermal/ and visible/, and the origin of what is labelled."""

THERMAL_ALONE = "thermal alone"
"""The origin of what is found in thermal and not in visible."""

SHEET_ROWS = 8

_Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sought:
    """One object that is to be found: in which ``image``, where it is known from, and in which images it was found.

    ``origin`` is :data:`VISIBLE`, THERMAL_ALONE or LABELS, ``size`` one of SIZES, ``box`` is left, top, right and
    bottom in pixels.
    """

    image: str
    night: bool
    origin: str
    name: str
    size: str
    box: tuple[float, ...]
    found_in: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Search:
    """How objects are sought: by which detector, of which ``classes`` (COCO's numbers), from which scores on."""

    detector: Detector
    classes: frozenset[int]
    sure: float = SURE
    found: float = FOUND
    labels: Labels | None = None


@dataclass(frozen=True, slots=True)
class SearchedPair:
    """The sources of a pair and what is made of them, by name, the objects in each, and those that were sought."""

    images: Mapping[str, _Image]
    objects: Mapping[str, Objects]
    sought: Sequence[Sought]


def evaluate_detection(
    folder: Path,
    out: Path,
    sizes: Sizes,
    models: Sequence[EngineConfig],
    detector: Path,
    *,
    classes: Sequence[str] = TRAFFIC,
    sure: float = SURE,
    found: float = FOUND,
    limit: int | None = None,
) -> str:
    """Write objects.csv, report.md and contact_sheet.png to ``out`` and return the report.

    Each pair of ``folder`` (thermal/, visible/ and perhaps labels/, see :class:`Labels`), or the first ``limit``, is
    reduced as ``sizes`` says and fused back to full size by ``models`` (see :func:`open_methods`) and by baselines. The
    ``detector`` (see :class:`OnnxDetector`) looks at the results, at the reduced images enlarged and at the full-size
    sources. Of its ``classes`` those count that have the score ``found``; those of the score ``sure`` in a source are
    sought.

    Raises :class:`ConfigError` for what cannot be asked for and as engines do, :class:`CheckpointError` and
    :class:`MissingDependencyError` for detector and models, :class:`SourceError` for pairs and labels that cannot be
    used, where nothing is to be found, and for a folder that cannot be written.
    """
    if not 0 < found <= sure <= 1:
        raise ConfigError(f"--found is {found:g} and --sure {sure:g}; expected 0 < found <= sure <= 1")
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be 1 or more")
    pairs = list_pairs(folder)[:limit]
    labels = Labels(folder / LABELS) if (folder / LABELS).is_dir() else None
    counted = class_numbers(classes)
    if labels is not None:
        counted &= labels.classes
        if not counted:
            raise ConfigError(f"{folder / LABELS} knows none of {', '.join(classes)}; name others by --classes")
    onnx = OnnxDetector(detector)
    search = Search(onnx, counted, sure, found, labels)
    with tqdm(pairs, desc="check", unit="pair") as bar:  # so that a bad file is named now and not after an hour
        for paths in bar:
            thermal, _ = read_sources(paths, sizes.thermal)
            if labels is not None:
                labels.of(paths.thermal.stem, *thermal.shape[::-1])
    make_folder(out)
    with contextlib.ExitStack() as stack:
        methods, runs_on = open_methods(sizes, models, stack)
        sought, counts, sheet = _search(pairs, sizes, methods, search)
    if not sought:
        raise SourceError(f"{folder}: holds no {' or '.join(classes)} to be found; name other --classes")

    height, width = onnx.size
    facts = {
        "pairs": f"{len(pairs)} of {folder}",
        "input": input_fact(sizes),
        "detector": f"{detector.name}, on tiles of {width}x{height} and on the whole image",
        "classes": ", ".join(COCO_CLASSES[number] for number in sorted(counted)),
        "scores": f"found from {found:g} on" + ("" if labels else f", sought from {sure:g} on"),
        "night": f"where the visible image's mean level is below {NIGHT:g} of 255",
        "made by": f"hkdnet_ros {__version__}",
    }
    title = f"Objects found at x{sizes.thermal}" + (", visible at full size" if sizes.visible == 1 else "")
    origins = {LABELS: "Labelled"} if labels else {VISIBLE: "Kept", THERMAL_ALONE: "Gained"}
    tables = {name: shares([one for one in sought if one.origin == origin]) for origin, name in origins.items()}
    text = detection_report(title, facts | runs_on, tables, counts)
    write_file(out / "objects.csv", _rows(sought).encode())
    write_file(out / "report.md", text.encode())
    picture = contact_sheet(tuple(counts), sheet, max(images[0].shape[1] for _, images in sheet))
    write_file(out / "contact_sheet.png", cv2.imencode(".png", picture)[1].tobytes())
    return text


def _search(
    pairs: Sequence[PairPaths], sizes: Sizes, methods: Mapping[str, Method], search: Search
) -> tuple[list[Sought], Counter[str], list[tuple[str, list[_Image]]]]:
    """Return all that was sought, how much was found in each image, and some pairs, evenly spread, with boxes drawn."""
    shown = {round(index) for index in np.linspace(0, len(pairs) - 1, SHEET_ROWS)}
    sought: list[Sought] = []
    counts: Counter[str] = Counter()
    sheet = []
    with tqdm(pairs, desc="fuse and find", unit="pair") as bar:
        for index, paths in enumerate(bar):
            pair = search_pair(paths, sizes, methods, search)
            sought += pair.sought
            counts.update({name: len(objects) for name, objects in pair.objects.items()})
            if index in shown:
                sheet.append((paths.name, [_drawn(image, pair.objects[name]) for name, image in pair.images.items()]))
    return sought, counts, sheet


def search_pair(paths: PairPaths, sizes: Sizes, methods: Mapping[str, Method], search: Search) -> SearchedPair:
    """Fuse the pair, reduced as ``sizes`` says, by each method, and seek objects in all.

    The names of the images are THERMAL and VISIBLE at full size, those two enlarged by ENLARGED, where they were
    reduced, and the methods'. Raises what :func:`read_sources` does, and :class:`ImageError` naming the pair and the
    method where an image cannot be fused.
    """
    full = read_sources(paths, 1)
    thermal, visible = (crop_to_multiple(image, sizes.thermal) for image in full)
    reduced = reduced_pair(thermal, visible, sizes)
    images: dict[str, NDArray[np.uint8] | NDArray[np.float32]] = {THERMAL: thermal, VISIBLE: visible}
    for name, image, scale in ((THERMAL, reduced[0], sizes.thermal), (VISIBLE, reduced[1], sizes.visible)):
        if scale > 1:
            images[ENLARGED + name] = enlarge_bicubic(image, scale)
    for name, fuse in methods.items():
        try:
            images[name] = fuse(*reduced)
        except ImageError as err:
            raise ImageError(f"{paths.name}, {name}: {err}") from err
    gray = {name: np.clip(np.rint(image), 0, 255).astype(np.uint8) for name, image in images.items()}
    objects = {
        name: find_objects(image, search.detector, score=search.found, classes=search.classes)
        for name, image in gray.items()
    }
    labelled = None
    if search.labels is not None:
        labelled = search.labels.of(paths.thermal.stem, *full[0].shape[::-1]).clipped(*visible.shape[::-1])
        labelled = labelled.where(np.isin(labelled.classes, list(search.classes)))
    return SearchedPair(gray, objects, sought_objects(paths.name, visible, objects, search.sure, labelled))


def sought_objects(
    image: str, visible: _Image, objects: Mapping[str, Objects], sure: float = SURE, labelled: Objects | None = None
) -> list[Sought]:
    """Return what is to be found in the pair called ``image``, and for each object in which images it was found.

    ``objects`` are those in the sources, THERMAL and VISIBLE, and in what is made of them. Sought are the ``labelled``;
    where that is None, those of the score ``sure`` in visible, and those so in thermal which are not in visible.
    """
    if labelled is None:
        of_visible, of_thermal = (objects[name].where(objects[name].scores >= sure) for name in (VISIBLE, THERMAL))
        alone = of_thermal.where(~covered(of_thermal, objects[VISIBLE]))
        wanted = {VISIBLE: of_visible, THERMAL_ALONE: alone}
    else:
        wanted = {LABELS: labelled}
    night = bool(visible.mean() < NIGHT)
    rows = []
    for origin, sought in wanted.items():
        answers = {name: matched(sought, those) for name, those in objects.items()}
        for place, size in enumerate(size_names(sought.boxes)):
            found_in = {name: bool(answer[place]) for name, answer in answers.items()}
            box = tuple(sought.boxes[place].tolist())
            rows.append(Sought(image, night, origin, COCO_CLASSES[sought.classes[place]], size, box, found_in))
    return rows


def shares(sought: Sequence[Sought]) -> dict[str, tuple[int, dict[str, float]]]:
    """Return for each kind of object how many there are, and the share of them that was found in each image.

    The kinds are ``all``, those of SIZES, ``day`` and ``night``; one without objects is left out.
    """
    kinds = {"all": list(sought)}
    kinds |= {size: [one for one in sought if one.size == size] for size in SIZES}
    kinds |= {light: [one for one in sought if one.night == (light == "night")] for light in ("day", "night")}
    return {
        kind: (len(those), {name: float(np.mean([one.found_in[name] for one in those])) for name in those[0].found_in})
        for kind, those in kinds.items()
        if those
    }


def class_numbers(classes: Iterable[str]) -> frozenset[int]:
    """Return the numbers of classes by their names; raises :class:`ConfigError` for one that COCO has not."""
    for name in classes:
        if name not in COCO_CLASSES:
            raise ConfigError(f"{name!r} is none of COCO's classes, which are {', '.join(COCO_CLASSES)}")
    return frozenset(COCO_CLASSES.index(name) for name in classes)


def _rows(sought: Sequence[Sought]) -> str:
    """Return a table in CSV, a row for each object, 1 under the images in which it was found."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        ("image", "light", "origin", "class", "size", "left", "top", "right", "bottom", *sought[0].found_in)
    )
    for one in sought:
        box = (f"{side:.1f}" for side in one.box)
        light = "night" if one.night else "day"
        writer.writerow((one.image, light, one.origin, one.name, one.size, *box, *map(int, one.found_in.values())))
    return file.getvalue()


def _drawn(image: _Image, objects: Objects) -> _Image:
    """Return the image with a box around each object, white in black."""
    picture: _Image = image.copy()
    for left, top, right, bottom in np.rint(objects.boxes).astype(int).tolist():
        for level, width in ((0, 3), (255, 1)):
            cv2.rectangle(picture, (left, top), (right, bottom), level, width)
    return picture
