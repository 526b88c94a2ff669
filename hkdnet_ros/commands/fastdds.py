"""``hkdnet fastdds``: a Fast DDS profile with shared memory for images of a given size."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..arguments import parse_size
from ..files import write_file
from ..node.fastdds import IMAGES, SCALE, SIZE, profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet fastdds``."""
    parser.add_argument(
        "--size", type=parse_size, default=f"{SIZE[0]}x{SIZE[1]}", metavar="WxH", help="of the images that are fused"
    )
    parser.add_argument("--scale", type=int, default=SCALE, help="of the fused image; 1 for a camera's own images")
    parser.add_argument("--images", type=int, default=IMAGES, help="that the shared memory holds at once")
    parser.add_argument(
        "--out", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="where it goes; if not given, to the output"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the profile."""
    text = profile(arguments.size, arguments.scale, arguments.images)
    if "out" in arguments:
        write_file(arguments.out, text.encode())
    else:
        sys.stdout.write(text)
    return 0
