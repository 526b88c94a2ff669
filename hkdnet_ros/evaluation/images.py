"""``hkdnet evaluate images``: measure models and baselines on high-resolution pairs, side by side."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .. import __version__
from ..errors import ConfigError
from ..files import make_folder, write_file
from ..metrics.fusion import FUSION_KEYS, measurable
from ..sources.pairs import PairPaths, list_pairs
from .baselines import Method
from .contact_sheet import contact_sheet
from .measurements import (
    MeasuredPair,
    Measurement,
    mean_values,
    measure_pair,
    read_peers,
    read_sources,
    write_measurements,
)
from .methods import add_model_arguments, open_methods, open_teacher
from .report import report

SHEET_ROWS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate images``."""
    parser.add_argument("--pairs", type=Path, required=True, metavar="DIR", help="folder with thermal/ and visible/")
    add_model_arguments(parser)
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="WEIGHTS",
        help="measure also against this teacher's fusion of the full-size pair",
    )
    parser.add_argument("--peers", type=Path, metavar="CSV", help="published methods' values on the same pairs")
    parser.add_argument("--limit", type=int, metavar="N", help="measure the first N pairs only")
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate/images"), metavar="DIR", help="folder for the results"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write values.csv, report.md and contact_sheet.png, print the report; return 0."""
    pairs = list_pairs(arguments.pairs)
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise ConfigError(f"--limit is {arguments.limit}; it must be 1 or more")
        pairs = pairs[: arguments.limit]
    peers = read_peers(arguments.peers, arguments.scale, [pair.name for pair in pairs]) if arguments.peers else []
    make_folder(arguments.out)
    sides: list[int] = []
    for pair in tqdm(pairs, desc="check", unit="pair"):  # so that a bad file is named now and not after an hour
        sides += read_sources(pair, arguments.scale)[0].shape
    keys = measurable(min(sides))

    facts = {
        "pairs": f"{len(pairs)} of {arguments.pairs}",
        "input": f"reduced by {arguments.scale}, Pillow's antialiased BILINEAR, 8 bits",
        "made by": f"hkdnet_ros {__version__}",
    }
    if peers:
        facts["published values"] = str(arguments.peers)
    if len(keys) < len(FUSION_KEYS):
        missing = ", ".join(key for key in FUSION_KEYS if key not in keys)
        facts["not measured"] = f"{missing}, for which {min(sides)} pixels, the shortest side of a pair, are too few"
    teacher = None
    if arguments.teacher is not None:
        teacher = open_teacher(arguments.teacher, getattr(arguments, "device", "auto"))
        facts["teacher"] = str(arguments.teacher)
    with contextlib.ExitStack() as stack:
        methods, models = open_methods(arguments, stack)
        measurements, sheet = _measure(pairs, arguments.scale, methods, teacher, keys)

    names = ("thermal", "visible", *methods)
    rows = [(pair.name, (pair.thermal, pair.visible, *pair.fused.values())) for pair in sheet]
    title = f"Fusion quality at x{arguments.scale}"
    text = report(title, facts | models, mean_values(measurements), mean_values(peers))
    write_measurements(arguments.out / "values.csv", arguments.scale, measurements)
    write_file(arguments.out / "report.md", text.encode())
    write_file(arguments.out / "contact_sheet.png", cv2.imencode(".png", contact_sheet(names, rows))[1].tobytes())
    print(text)
    print(f"Written to {arguments.out}: report.md, values.csv, contact_sheet.png")
    return 0


def _measure(
    pairs: Sequence[PairPaths], scale: int, methods: dict[str, Method], teacher: Method | None, keys: Sequence[str]
) -> tuple[list[Measurement], list[MeasuredPair]]:
    """Return all measurements, and some pairs, evenly spread, with their images."""
    shown = {round(index) for index in np.linspace(0, len(pairs) - 1, SHEET_ROWS)}
    measurements: list[Measurement] = []
    sheet = []
    for index, paths in enumerate(tqdm(pairs, desc="measure", unit="pair")):
        pair = measure_pair(paths, scale, methods, teacher, keys)
        measurements += pair.measurements
        if index in shown:
            sheet.append(pair)
    return measurements, sheet
