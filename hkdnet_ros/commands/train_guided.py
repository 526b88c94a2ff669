"""``hkdnet train-guided``: the guided student, or a teacher of its kind."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_options, read_options
from ..network.guided import GUIDED_PRESETS
from ..training.guided.lesson import GuidedWeights
from ..training.guided.train import train_guided
from ..training.setup import override
from ..training.train import FusionWeights
from .training_options import add_training_options, begun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet train-guided``."""
    add_training_options(parser)
    parser.set_defaults(
        batch=8, crop=128, learning_rate=1.2e-3, intensity=0.0, contrast=28.0, gradient=0.0, ssim=0.0, vif=11.0,
        edge=25.0, difference=0.1, artefact=100.0, false_edge=12.0, information=1.5, coarse_ssim=12.0, warmth=20.0,
    )  # fmt: skip
    parser.add_argument("--preset", choices=tuple(GUIDED_PRESETS), default="guided", help="size of the network")
    parser.add_argument("--teacher", type=Path, help="weights of a guided network with thermal at full size")
    parser.add_argument("--detector", type=Path, help="FastestDet as ONNX, for --detection")
    parser.add_argument("--misplaced", type=float, default=0.5, help="how far thermal is out of place [its px]")
    parser.add_argument("--spoilt", type=float, default=0.5, help="share of the pairs that are blurred, noisy, ...")
    parser.add_argument(
        "--clean-teacher", action="store_true",
        help="the teacher says of every view, by night and of one camera too, what it makes of the clean pair by day",
    )  # fmt: skip
    parser.add_argument("--half", action="store_true", help="store the weights as fp16")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=INTEGER", dest="overrides",
        help="change a field of the preset, for ablations: layers=2, deep_layers=0",
    )  # fmt: skip
    add_options(parser, GuidedWeights)


def run(arguments: argparse.Namespace) -> int:
    """Train a guided network as the command line says."""
    network = override(GUIDED_PRESETS[arguments.preset], arguments.overrides)
    with begun(arguments, "guided.safetensors") as config:
        train_guided(
            arguments.data,
            arguments.val,
            arguments.out,
            network,
            config,
            read_options(arguments, FusionWeights),
            read_options(arguments, GuidedWeights),
            name=arguments.preset if not arguments.overrides else "custom",
            start=arguments.start,
            teacher=arguments.teacher,
            detector=arguments.detector,
            misplaced=arguments.misplaced,
            spoilt=arguments.spoilt,
            clean_teacher=arguments.clean_teacher,
            half=arguments.half,
        )
    return 0
