"""``hkdnet evaluate images``: models and baselines on high-resolution pairs, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ConfigError
from ..evaluation.images import evaluate_images
from ..inference.sizes import Sizes
from ..network.presets import SCALES
from .evaluated_models import add_model_options, read_models

GUIDED_SCALES = (8,)
"""By how much thermal may be reduced besides, where the visible image keeps its size."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate images``."""
    parser.add_argument("--pairs", type=Path, required=True, metavar="DIR", help="folder with thermal/ and visible/")
    add_model_options(parser, (*SCALES, *GUIDED_SCALES))
    parser.add_argument(
        "--guide",
        action="store_true",
        help="reduce thermal alone and keep the visible image, the sharper one, at full size; --scale may be 8 then",
    )
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
    """Evaluate, print the report and return 0."""
    scale = arguments.scale
    if scale not in SCALES and not arguments.guide:
        raise ConfigError(f"--scale is {scale}; models enlarge by {', '.join(map(str, SCALES))}, or add --guide")
    text = evaluate_images(
        arguments.pairs,
        arguments.out,
        Sizes(thermal=scale, visible=1 if arguments.guide else scale),
        read_models(arguments),
        teacher=arguments.teacher,
        teacher_device=getattr(arguments, "device", "auto"),
        peers=arguments.peers,
        limit=arguments.limit,
    )
    print(text)
    print(f"Written to {arguments.out}: report.md, values.csv, contact_sheet.png")
    return 0
