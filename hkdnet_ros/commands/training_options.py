"""The options that all trainings take, and what happens before and after each of them."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from ..arguments import add_options, read_options
from ..training.distributed import is_first, joined
from ..training.loop import LoopConfig
from ..training.train import FusionWeights


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Declare the folders and the options that all trainings take."""
    parser.add_argument("--data", type=Path, required=True, help="folder with thermal/ and visible/ to train on")
    parser.add_argument("--val", type=Path, required=True, help="folder with thermal/ and visible/ to validate on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a run found there is resumed")
    parser.add_argument("--start", type=Path, help="weights to begin with, instead of random ones")
    add_options(parser, LoopConfig)
    add_options(parser, FusionWeights)


@contextlib.contextmanager
def begun(arguments: argparse.Namespace, result: str) -> Iterator[LoopConfig]:
    """Yield the loop's configuration for this process of torchrun's; at the end say that ``result`` was written."""
    config = read_options(arguments, LoopConfig)
    with joined(config.device) as device:
        yield dataclasses.replace(config, device=device)
        if is_first():
            print(f"wrote {arguments.out / result}")
