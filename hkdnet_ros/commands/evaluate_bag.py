"""``hkdnet evaluate bag``: recordings through the node's own core, with a report, a bag and figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..arguments import parse_size
from ..errors import ConfigError
from ..evaluation.bag.evaluate import Request, Task, run_task
from ..evaluation.bag.many import evaluate_many, folders_for
from ..evaluation.detection import TRAFFIC
from ..node.parameter_values import read_config, values_of
from ..node.schema import FusionConfig
from ..sources.camera_source import NOMINAL_FPS
from ..sources.opening import FORMS

_OPENING = ("size", "thermal_size", "fps", "thermal_topic", "visible_topic")
"""Options that are passed on to :func:`~hkdnet_ros.sources.opening.open_source`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate bag``."""
    parser.add_argument("sources", nargs="+", metavar="BAG", help=FORMS)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder for the result, or, of several recordings, for a folder of each",
    )  # fmt: skip
    parser.add_argument("--params", type=Path, metavar="FILE", help="the node's parameter file, as config/fusion.yaml")
    parser.add_argument(
        "-p", "--param", action="append", default=argparse.SUPPRESS, metavar="NAME:=VALUE",
        help="one parameter of the node, as `ros2 run` takes it; may be repeated",
    )  # fmt: skip
    for stream in ("thermal", "visible"):
        parser.add_argument(
            f"--{stream}-topic", metavar="TOPIC", help=f"{stream} images inside a bag (default: told by their names)"
        )
    parser.add_argument("--size", type=parse_size, metavar="WxH", help="bring the visible images to this size first")
    parser.add_argument("--thermal-size", type=parse_size, metavar="WxH", help="bring the thermal images to this size")
    parser.add_argument(
        "--fps", type=float, default=NOMINAL_FPS, help="frame rate of a folder of images and of the simulator"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="fuse the first N pairs only")
    parser.add_argument(
        "--every", type=int, metavar="K",
        help="measure one frame in K (default: about 200 of a short recording, one in 60 of a long one)",
    )  # fmt: skip
    parser.add_argument("--detector", type=Path, metavar="FILE", help="ONNX detector of COCO's classes to look with")
    parser.add_argument(
        "--classes", nargs="+", default=argparse.SUPPRESS, metavar="NAME",
        help=f"what it looks for (default: {' '.join(TRAFFIC)})",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="evaluate N recordings beside each other")
    parser.add_argument(
        "--video", action=argparse.BooleanOptionalAction, default=True, help="write side_by_side.mp4, too"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate each recording and say where its report is."""
    for name in ("limit", "every", "jobs"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}; it must be 1 or more")
    config = read_config(arguments.params, getattr(arguments, "param", ()))
    classes = tuple(getattr(arguments, "classes", TRAFFIC))
    request = Request(arguments.every, arguments.limit, arguments.detector, classes, arguments.video)
    folders = [arguments.out]
    if len(arguments.sources) > 1:
        folders = folders_for(arguments.sources, arguments.out)
    opening = {name: getattr(arguments, name) for name in _OPENING}
    tasks = [
        Task(spec, out, config.engine, config, request, values_of(config), values_of(FusionConfig()), opening)
        for spec, out in zip(arguments.sources, folders, strict=True)
    ]
    try:
        if len(tasks) == 1:
            print(run_task(tasks[0]))
            return 0
        return int(bool(evaluate_many(tasks, arguments.out, arguments.jobs)))
    except KeyboardInterrupt:
        print("\nhkdnet: stopped; the same command goes on from the last part that was done", file=sys.stderr)
        raise
