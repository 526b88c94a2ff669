"""``hkdnet export``: a student as an ONNX file or a torch.export program, for runtimes beside torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_options, parse_size, read_options
from ..inference.config import EngineConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet export``."""
    add_options(parser, EngineConfig, skip=("device", "precision", "threads"), metavars={"model": "PRESET|FILE"})
    parser.add_argument(
        "--size", type=parse_size, default="320x240", metavar="WxH", help="input size, fixed in the exported file"
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write: NAME.onnx or NAME.pt2")


def run(arguments: argparse.Namespace) -> int:
    """Export as the command line says."""
    from ..inference.checkpoint import load_student, weights_path  # here, so that the help does not wait for torch
    from ..inference.export import FORMATS, export

    config = read_options(arguments, EngineConfig)
    student, _ = load_student(weights_path(config.model, config.scale), scale=config.scale)
    width, height = arguments.size
    export(student, arguments.out, height=height, width=width)
    print(f"wrote {arguments.out}: {FORMATS[arguments.out.suffix]}, input {width}x{height}, x{config.scale}")
    return 0
