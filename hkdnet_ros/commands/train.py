"""``hkdnet train``: the teacher, which fuses at high resolution."""

from __future__ import annotations

import argparse

from ..arguments import read_options
from ..training.train import FusionWeights, train_teacher
from .training_options import add_training_options, begun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet train``."""
    add_training_options(parser)
    parser.set_defaults(
        crop=96, intensity=2.0, contrast=3.0, ssim=1.5, vif=1.3, edge=1.5, difference=0.3, artefact=18.0,
        false_edge=0.0, checkerboard=30.0, information=0.0,
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train a teacher as the command line says."""
    with begun(arguments, "teacher.safetensors") as config:
        weights = read_options(arguments, FusionWeights)
        train_teacher(arguments.data, arguments.val, arguments.out, config, weights, start=arguments.start)
    return 0
