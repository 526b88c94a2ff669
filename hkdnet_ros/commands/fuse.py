"""``hkdnet fuse``: two images, or two folders of images with matching names, to fused PNG files."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_options, parse_size, read_options
from ..inference.config import EngineConfig
from ..perception.plan import NO_SIZE, PipelineConfig
from ..sources.fused_files import fuse_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet fuse``."""
    parser.add_argument("--thermal", type=Path, required=True, metavar="PATH", help="image, or folder of images")
    parser.add_argument(
        "--visible", type=Path, required=True, metavar="PATH", help="image, or folder of the same names"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="PNG file, or folder, to write")
    add_options(parser, EngineConfig, skip=("threads",), metavars={"model": "PRESET|FILE"})
    parser.add_argument(
        "--size", type=parse_size, default=NO_SIZE, metavar="WxH",
        help="size of the result; if not given, the visible image's where guided fuses, else scale times thermal's",
    )  # fmt: skip
    parser.add_argument(
        "--thermal-range", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="thermal values shown as black and white; if not given, they follow from each image, as in the node",
    )  # fmt: skip
    add_options(parser, PipelineConfig, skip=("grid", "output_size", "output"))


def run(arguments: argparse.Namespace) -> int:
    """Fuse what the command line names and say where the result lies."""
    count, made_by = fuse_files(
        arguments.thermal,
        arguments.visible,
        arguments.out,
        read_options(arguments, EngineConfig),
        arguments.thermal_range,
        arguments.size,
        arguments.thermal_gain,
    )
    print(f"{count} fused image{'s' * (count > 1)} in {arguments.out} ({made_by})")
    return 0
