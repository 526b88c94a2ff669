"""``hkdnet evaluate compare``: two results of one recording, paired by frame."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..evaluation.bag.compare import compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate compare``."""
    parser.add_argument("a", type=Path, metavar="A", help="result of `hkdnet evaluate bag`, what is there already")
    parser.add_argument("b", type=Path, metavar="B", help="result of the same recording, what may take its place")
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate/compare"), metavar="DIR", help="folder for the page"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, print what differs and say where the page is."""
    report, found = compare(arguments.a, arguments.b, arguments.out)
    for one in found:
        verdict = f"B is {one.verdict}" if one.verdict else "no difference that can be told"
        print(f"{one.measure:28} {one.a:9.4f} {one.b:9.4f}  {one.low:+.4f} to {one.high:+.4f}  {verdict}")
    print(report)
    return 0
