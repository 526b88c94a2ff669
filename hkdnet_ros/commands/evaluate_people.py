"""``hkdnet evaluate people``: how well people stand out in what models and baselines make of the simulator's scenes."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..evaluation.people import FRAME_STEP, evaluate_people
from ..simulator.config import SETTINGS, SceneConfig
from .evaluated_models import add_model_options, read_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate people``."""
    default = SceneConfig()
    parser.add_argument("--setting", choices=SETTINGS, default=default.setting, help="light and air of the scenes")
    parser.add_argument("--scenes", type=int, default=4, metavar="N", help="streets, of the seeds 0, 1, ...")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help=f"of each street, every {FRAME_STEP:g} s")
    parser.add_argument(
        "--size", type=int, nargs=2, default=default.size, metavar=("WIDTH", "HEIGHT"), help="camera images in pixels"
    )
    add_model_options(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate/people"), metavar="DIR", help="folder for the results"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the report and return 0."""
    scene = SceneConfig(setting=arguments.setting, size=tuple(arguments.size), scale=arguments.scale)
    print(evaluate_people(scene, arguments.scenes, arguments.frames, arguments.out, read_models(arguments)))
    print(f"Written to {arguments.out}: report.md, values.csv")
    return 0
