"""``hkdnet fuse``: two images, or two folders of images that pair by name, to fused PNG files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..arguments import add_options, parse_size, read_options
from ..images.fitting import FITS
from ..inference.config import EngineConfig
from ..perception.plan import NO_SIZE, PipelineConfig
from ..perception.thermal import ThermalConfig
from ..sources.fused_files import fuse_files

_NAMED = 20  # files that were left out and are named; of a thousand the first tell what is wrong


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet fuse``."""
    parser.add_argument("--thermal", type=Path, required=True, metavar="PATH", help="image, or folder of images")
    parser.add_argument(
        "--visible", type=Path, required=True, metavar="PATH", help="image, or folder of the same names"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="PNG file, or folder, to write")
    parser.add_argument(
        "--match", nargs=2, metavar=("THERMAL", "VISIBLE"),
        help="files pair for which the groups of these regular expressions find the same in their names, such as "
        "'ir_(.*)' 'vis_(.*)'; with a / they look into folders too",
    )  # fmt: skip
    parser.add_argument(
        "--fit", choices=FITS,
        help="where the two images have different shapes, crop keeps the middle of the visible one and stretch "
        "squeezes it; without either they are not fused",
    )  # fmt: skip
    add_options(parser, EngineConfig, skip=("threads",), metavars={"model": "PRESET|FILE"})
    add_options(parser, PipelineConfig, skip=("output_size", "output"))
    parser.add_argument(
        "--size", type=parse_size, default=NO_SIZE, metavar="WxH",
        help="size of the result; if not given, the visible image's where guided fuses, else scale times thermal's",
    )  # fmt: skip
    parser.add_argument(
        "--thermal-range", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="thermal values shown as black and white; if not given, they follow from each image, as in the node",
    )  # fmt: skip
    add_options(parser, ThermalConfig, only=("crop", "palette", "polarity", "bad_pixels"), prefix="thermal_")


def run(arguments: argparse.Namespace) -> int:
    """Fuse what the command line names, say where the result lies and what was left out; 1 where anything was."""
    fused = fuse_files(
        arguments.thermal,
        arguments.visible,
        arguments.out,
        read_options(arguments, EngineConfig),
        read_options(arguments, PipelineConfig, output_size=arguments.size),
        read_options(arguments, ThermalConfig, prefix="thermal_"),
        thermal_range=arguments.thermal_range,
        match=arguments.match,
        fit=arguments.fit,
    )
    print(f"{fused.count} fused image{'s' * (fused.count > 1)} in {arguments.out} ({fused.made_by})")
    for line in fused.left_out[:_NAMED]:
        print(f"hkdnet: left out: {line}", file=sys.stderr)
    if len(fused.left_out) > _NAMED:
        print(f"hkdnet: left out: {len(fused.left_out) - _NAMED} more of {len(fused.left_out)}", file=sys.stderr)
    return 1 if fused.left_out else 0
