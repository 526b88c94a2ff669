"""``hkdnet average``: one checkpoint whose weights are the mean of several that began with the same weights."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet average``."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="two or more .safetensors of one network")
    parser.add_argument(
        "--weights", type=float, nargs="+", default=argparse.SUPPRESS, metavar="SHARE",
        help="share of each file, in their order; divided by their sum (default: equal shares)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="weights file to write")


def run(arguments: argparse.Namespace) -> int:
    """Write the mean and say what it is made of."""
    from ..training.average import average_checkpoints  # here, so that the help does not wait for torch

    files = arguments.files
    shares = average_checkpoints(files, arguments.out, getattr(arguments, "weights", None))
    made_of = " + ".join(f"{share:.3g} {file}" for file, share in zip(files, shares, strict=True))
    print(f"wrote {arguments.out} = {made_of}; not measured yet, see hkdnet evaluate")
    return 0
