"""``hkdnet distill``: a student, drawn to what a teacher makes of the high-resolution pair."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_options, read_options
from ..network.presets import PRESETS, SCALES, preset
from ..training.distill import DistillationWeights, distill_student
from ..training.setup import override
from ..training.train import FusionWeights
from .training_options import add_training_options, begun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet distill``."""
    add_training_options(parser)
    parser.set_defaults(crop=48)
    parser.add_argument(
        "--teacher", type=Path, help="weights of the teacher, from hkdnet train; needed unless all --distill-* are 0"
    )
    parser.add_argument("--preset", choices=tuple(PRESETS), default="realtime", help="size of the student")
    parser.add_argument("--scale", type=int, choices=SCALES, default=2, help="super-resolution factor")
    parser.add_argument("--half", action="store_true", help="store the weights as fp16")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="overrides",
        help="change a field of the preset, for ablations: cea_channels=0, corner=0, thermal_branch=1, dfa_units=1",
    )  # fmt: skip
    add_options(parser, DistillationWeights)


def run(arguments: argparse.Namespace) -> int:
    """Distil a student as the command line says."""
    student_config = override(
        preset(arguments.preset, scale=arguments.scale), arguments.overrides, fixed=("decoder_channels", "scale")
    )
    with begun(arguments, "student.safetensors") as config:
        distill_student(
            arguments.data,
            arguments.val,
            arguments.teacher,
            arguments.out,
            student_config,
            config,
            read_options(arguments, FusionWeights),
            read_options(arguments, DistillationWeights),
            name=arguments.preset if not arguments.overrides else "custom",
            half=arguments.half,
            start=arguments.start,
        )
    return 0
