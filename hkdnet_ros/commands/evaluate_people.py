"""``hkdnet evaluate people``: how well people stand out in what models and baselines make of the simulator's scenes."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..evaluation.people import FRAME_STEP, evaluate_people
from ..simulator.config import SETTINGS, SceneConfig
from .evaluated_models import add_guide_options, read_models, read_sizes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate people``."""
    parser.add_argument(
        "--setting", choices=SETTINGS, default=SceneConfig().setting, help="light and air of the scenes"
    )
    parser.add_argument("--scenes", type=int, default=4, metavar="N", help="streets, of the seeds 0, 1, ...")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help=f"of each street, every {FRAME_STEP:g} s")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(320, 240), metavar=("WIDTH", "HEIGHT"),
        help="camera images in pixels, with --guide the thermal ones",
    )  # fmt: skip
    add_guide_options(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate/people"), metavar="DIR", help="folder for the results"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the report and return 0."""
    sizes = read_sizes(arguments)
    width, height = (side * sizes.thermal // sizes.visible for side in arguments.size)
    scene = SceneConfig(
        setting=arguments.setting, thermal_size=tuple(arguments.size), visible_size=(width, height), scale=sizes.visible
    )
    print(evaluate_people(scene, arguments.scenes, arguments.frames, arguments.out, read_models(arguments)))
    print(f"Written to {arguments.out}: report.md, values.csv")
    return 0
