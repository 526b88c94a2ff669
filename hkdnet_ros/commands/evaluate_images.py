"""``hkdnet evaluate images``: models and baselines on high-resolution pairs, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ConfigError
from ..evaluation.images import evaluate_images
from ..evaluation.registered_sources import DISTANCE, Registering
from .evaluated_models import add_guide_options, read_models, read_sizes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate images``."""
    parser.add_argument("--pairs", type=Path, required=True, metavar="DIR", help="folder with thermal/ and visible/")
    add_guide_options(parser)
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="WEIGHTS",
        help="measure also against this teacher's fusion of the full-size pair",
    )
    parser.add_argument("--peers", type=Path, metavar="CSV", help="published methods' values on the same pairs")
    parser.add_argument(
        "--calibration", type=Path, metavar="YAML",
        help="the pairs are of two cameras that stand apart: register them by this calibration first, to what both see",
    )  # fmt: skip
    parser.add_argument(
        "--distance", type=float, default=DISTANCE, metavar="METRES",
        help="where the calibration has lenses and pose, register at this distance",
    )  # fmt: skip
    parser.add_argument(
        "--truth", type=Path, metavar="DIR",
        help="registered pairs of the same names: measure against these, and what is fused of them beside it",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="measure the first N pairs only")
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate/images"), metavar="DIR", help="folder for the results"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the report and return 0."""
    if arguments.truth is not None and arguments.calibration is None:
        raise ConfigError("--truth goes with --calibration, by which the pairs are registered; give both")
    registering = None
    if arguments.calibration is not None:
        registering = Registering(arguments.calibration, arguments.truth, arguments.distance)
    text = evaluate_images(
        arguments.pairs,
        arguments.out,
        read_sizes(arguments),
        read_models(arguments),
        teacher=arguments.teacher,
        teacher_device=getattr(arguments, "device", "auto"),
        peers=arguments.peers,
        limit=arguments.limit,
        registering=registering,
    )
    print(text)
    print(f"Written to {arguments.out}: report.md, values.csv, contact_sheet.png")
    return 0
