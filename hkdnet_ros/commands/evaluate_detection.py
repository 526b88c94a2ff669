"""``hkdnet evaluate detection``: what a detector finds in what models and baselines make of high-resolution pairs."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..evaluation.detection import FOUND, SURE, TRAFFIC, evaluate_detection
from .evaluated_models import add_guide_options, read_models, read_sizes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate detection``."""
    parser.add_argument(
        "--pairs", type=Path, required=True, metavar="DIR", help="folder with thermal/ and visible/, perhaps labels/"
    )
    parser.add_argument(
        "--detector", type=Path, required=True, metavar="MODEL.onnx", help="detector of COCO's classes, for onnxruntime"
    )
    add_guide_options(parser)
    parser.add_argument("--classes", nargs="+", default=TRAFFIC, metavar="NAME", help="COCO's classes that count")
    parser.add_argument("--sure", type=float, default=SURE, metavar="SCORE", help="score from which a source's count")
    parser.add_argument("--found", type=float, default=FOUND, metavar="SCORE", help="score from which one is found")
    parser.add_argument("--limit", type=int, metavar="N", help="measure the first N pairs only")
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate/detection"), metavar="DIR", help="folder for the results"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the report and return 0."""
    text = evaluate_detection(
        arguments.pairs,
        arguments.out,
        read_sizes(arguments),
        read_models(arguments),
        arguments.detector,
        classes=arguments.classes,
        sure=arguments.sure,
        found=arguments.found,
        limit=arguments.limit,
    )
    print(text)
    print(f"Written to {arguments.out}: report.md, objects.csv, contact_sheet.png")
    return 0
