"""Measures models and baselines on high-resolution pairs, side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .. import __version__
from ..errors import ConfigError, SourceError
from ..files import make_folder, write_file
from ..inference.config import EngineConfig
from ..inference.sizes import Sizes
from ..metrics.fusion import FUSION_KEYS, measurable
from ..sources.pairs import PairPaths, check_usable, list_pairs
from .baselines import Method
from .contact_sheet import contact_sheet
from .measurements import (
    MeasuredPair,
    Measurement,
    ReadSources,
    input_fact,
    mean_values,
    measure_pair,
    read_peers,
    read_sources,
    write_measurements,
)
from .methods import open_methods, open_teacher
from .registered_sources import RegisteredSources, Registering
from .report import report

SHEET_ROWS = 8

SHEET_WIDTH = 400
"""Pixels of a column; where visible keeps its full size, to look at detail is the point, and images keep theirs."""

OF_TRUE = " of true pairs"
"""Ends the name of a method that was given the true pairs in the place of registered ones."""


def evaluate_images(
    folder: Path,
    out: Path,
    sizes: Sizes,
    models: Sequence[EngineConfig],
    *,
    teacher: Path | None = None,
    teacher_device: str = "auto",
    peers: Path | None = None,
    limit: int | None = None,
    registering: Registering | None = None,
) -> str:
    """Write values.csv, report.md and contact_sheet.png to ``out`` and return the report.

    Each pair of ``folder`` (thermal/ and visible/), or the first ``limit``, is reduced as ``sizes`` says, thermal at
    least as much as visible, and fused back to full size by ``models`` (see :func:`open_methods`) and by baselines.
    Results are measured against the pair, and against what the weights in ``teacher`` make of it; published methods'
    values from the table ``peers``, whose scale is thermal's, stand beside them. The sheet has full size where visible
    has. With ``registering`` the pairs are registered first.

    Raises :class:`ConfigError` and :class:`CheckpointError` as engines do, :class:`SourceError` for pairs and tables
    that cannot be used and for a folder that cannot be written.
    """
    pairs = list_pairs(folder)
    if limit is not None:
        if limit < 1:
            raise ConfigError(f"--limit is {limit}; it must be 1 or more")
        pairs = pairs[:limit]
    scale, guided = sizes.thermal, sizes.visible == 1
    published = read_peers(peers, scale, [pair.name for pair in pairs]) if peers else []
    reads = [read_sources] if registering is None else RegisteredSources(registering, pairs).reads
    make_folder(out)
    sides: list[int] = []
    problems: list[str] = []
    with tqdm(pairs, desc="check", unit="pair") as bar:  # so that a bad file is named now and not after an hour
        for pair in bar:
            try:
                sides += [side for read in reads for side in read(pair, scale)[0].shape]
            except SourceError as error:
                problems.append(str(error))
    check_usable(pairs, problems)
    keys = measurable(min(sides))

    facts = {
        "pairs": f"{len(pairs)} of {folder}",
        "input": input_fact(sizes),
        "made by": f"hkdnet_ros {__version__}",
    }
    if registering is not None:
        facts |= registering.facts()
    if published:
        facts["published values"] = str(peers)
    if len(keys) < len(FUSION_KEYS):
        missing = ", ".join(key for key in FUSION_KEYS if key not in keys)
        facts["not measured"] = f"{missing}, for which {min(sides)} pixels, the shortest side of a pair, are too few"
    teach = None
    if teacher is not None:
        teach = open_teacher(teacher, teacher_device)
        facts["teacher"] = str(teacher)
    with contextlib.ExitStack() as stack:
        methods, runs_on = open_methods(sizes, models, stack)
        measurements, sheet = _measure(pairs, sizes, methods, teach, keys, reads)

    names = ("thermal", "visible", *methods)
    rows = [(pair.name, (pair.thermal, pair.visible, *pair.fused.values())) for pair in sheet]
    title = f"Fusion quality at x{scale}" + (", visible at full size" if guided else "")
    width = max(pair.thermal.shape[1] for pair in sheet) if guided else SHEET_WIDTH
    text = report(title, facts | runs_on, mean_values(measurements), mean_values(published))
    write_measurements(out / "values.csv", scale, measurements)
    write_file(out / "report.md", text.encode())
    write_file(out / "contact_sheet.png", cv2.imencode(".png", contact_sheet(names, rows, width))[1].tobytes())
    return text


def _measure(
    pairs: Sequence[PairPaths],
    sizes: Sizes,
    methods: dict[str, Method],
    teacher: Method | None,
    keys: Sequence[str],
    reads: Sequence[ReadSources],
) -> tuple[list[Measurement], list[MeasuredPair]]:
    """Return all measurements, and some pairs, evenly spread, with their images.

    The second of ``reads``, where there is one, reads the true pairs.
    """
    read, *truth = reads
    shown = {round(index) for index in np.linspace(0, len(pairs) - 1, SHEET_ROWS)}
    measurements: list[Measurement] = []
    sheet = []
    with tqdm(pairs, desc="measure", unit="pair") as bar:
        for index, paths in enumerate(bar):
            pair = measure_pair(paths, sizes, methods, teacher, keys, read, *truth)
            measurements += pair.measurements
            for read_truth in truth:
                of_true = {f"{name}{OF_TRUE}": method for name, method in methods.items()}
                measurements += measure_pair(paths, sizes, of_true, teacher, keys, read_truth).measurements
            if index in shown:
                sheet.append(pair)
    return measurements, sheet
