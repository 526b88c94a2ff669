"""``hkdnet soak``: the node for a long time under one fault after the other, each published pair checked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..arguments import add_options, read_options
from ..trials.soak.config import SoakConfig
from ..trials.soak.faults import FAULTS
from ..trials.soak.soak import soak


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet soak``."""
    add_options(parser, SoakConfig)
    parser.add_argument(
        "--fault", dest="faults", action="append", default=argparse.SUPPRESS, choices=list(FAULTS), metavar="NAME",
        help=f"only this one; may be repeated: {', '.join(FAULTS)}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=SoakConfig().out, metavar="FOLDER", help="where the report goes")


def run(arguments: argparse.Namespace) -> int:
    """Soak and say what came of it and where it is; 0 where everything held, else 1 (130: Ctrl-C)."""
    config = read_options(arguments, SoakConfig, faults=tuple(getattr(arguments, "faults", ())))
    result = soak(config)
    found = result.verdict()
    for text in found:
        print(f"hkdnet soak: {text}", file=sys.stderr)
    print(f"{len(result.runs)} faults, {result.counts['checked']} pairs checked; see {config.out / 'report.md'}")
    return 130 if result.interrupted else int(bool(found))
