"""``hkdnet evaluate bag``: recordings through the node's own core, with a report, a bag and figures."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

from ..arguments import parse_size
from ..errors import ConfigError
from ..evaluation.bag.evaluate import REPORT, Request, Task, run_task
from ..evaluation.bag.many import Tick, evaluate_many, folders_for, settled
from ..evaluation.bag.processes import in_processes
from ..evaluation.bag.ray_pool import on_ray
from ..evaluation.bag.run import FOLLOW
from ..evaluation.detection import TRAFFIC
from ..node.parameter_values import read_config, values_of
from ..node.schema import FusionConfig
from ..perception.registration_config import DEPTH
from ..sources.camera_source import NOMINAL_FPS
from ..sources.opening import FORMS

_OPENING = ("size", "thermal_size", "fps", "thermal_topic", "visible_topic", "depth_topic")
"""Options that are passed on to :func:`~hkdnet_ros.sources.opening.open_source`."""

_DEPTH = "depth/image_raw"  # as the node calls it


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
    parser.add_argument(
        "--depth-topic",
        metavar="TOPIC",
        help=f"depth images inside a bag, with registration.mode depth (default: {_DEPTH})",
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
    parser.add_argument(
        "--follow", type=float, default=FOLLOW, metavar="HZ",
        help="follow what it finds at so many frames a second; 0: do not (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--video", action=argparse.BooleanOptionalAction, default=True, help="write side_by_side.mp4, too"
    )
    parser.add_argument(
        "--merge", action="store_true", help="write all that the bag holds into the new one, too, in order of time"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N",
        help="recordings at a time, each in a process of its own (default: 1; with --ray as many as there is room for)",
    )  # fmt: skip
    parser.add_argument(
        "--ray", metavar="ADDRESS",
        help="work on the machines of a Ray cluster that see the same files: HOST:PORT of its head, or auto",
    )  # fmt: skip
    parser.add_argument(
        "--cores", type=int, metavar="N",
        help="cores for each recording of several (default: its share of this machine's; with --ray 1)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Evaluate each recording and say where its report is; return 1 where one could not be evaluated."""
    for name in ("limit", "every", "jobs", "cores"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}; it must be 1 or more")
    if not 0 <= arguments.follow <= 1000:
        raise ConfigError(f"--follow is {arguments.follow:g}; expected frames a second, or 0")
    config = read_config(arguments.params, getattr(arguments, "param", ()))
    try:
        if len(arguments.sources) > 1 or arguments.ray is not None:
            return _evaluate_many(arguments, config)
        print(run_task(_task(arguments, config, arguments.sources[0], arguments.out)))
        return 0
    except KeyboardInterrupt:
        print("\nhkdnet: stopped; the same command goes on from the last part that was done", file=sys.stderr)
        raise


def _evaluate_many(arguments: argparse.Namespace, config: FusionConfig) -> int:
    there = len(os.sched_getaffinity(0))
    cores = arguments.cores or (1 if arguments.ray else max(there // (arguments.jobs or 1), 1))
    model = _anywhere(config.engine.model)
    engine = settled(dataclasses.replace(config.engine, model=model), cores)
    folders = folders_for(arguments.sources, arguments.out.absolute())
    tasks = [
        dataclasses.replace(_task(arguments, config, _anywhere(spec), folder), engine=engine)
        for spec, folder in zip(arguments.sources, folders, strict=True)
    ]

    def pool(tasks: Sequence[Task]) -> Generator[Tick, None, None]:
        if arguments.ray is None:
            return in_processes(tasks, arguments.jobs or 1)
        return on_ray(tasks, arguments.ray, arguments.jobs, cores, gpus=int(engine.device.startswith("cuda")))

    failures = evaluate_many(tasks, pool, arguments.out)
    for folder in folders:
        if folder.name not in failures:
            print(arguments.out / folder.name / REPORT)
    print(arguments.out / REPORT)
    for error in failures.values():
        print(f"hkdnet: {error}", file=sys.stderr)
    if failures:
        print(f"hkdnet: {len(failures)} of {len(tasks)} recordings could not be evaluated", file=sys.stderr)
    return int(bool(failures))


def _task(arguments: argparse.Namespace, config: FusionConfig, spec: str, out: Path) -> Task:
    classes = tuple(getattr(arguments, "classes", TRAFFIC))
    detector = arguments.detector and arguments.detector.absolute()
    request = Request(
        arguments.every, arguments.limit, detector, classes, arguments.follow, arguments.video, merge=arguments.merge
    )
    opening = {name: getattr(arguments, name) for name in _OPENING}
    if config.registration.mode == DEPTH:
        opening["depth_topic"] = opening["depth_topic"] or _DEPTH
    return Task(spec, out, config.engine, config, request, values_of(config), values_of(FusionConfig()), opening)


def _anywhere(name: str) -> str:
    """Return the name of a file, or of several, so that it holds in any folder; any other name as it is."""
    paths = [Path(word).expanduser() for word in name.split(",")]
    return ",".join(str(path.absolute()) for path in paths) if all(path.exists() for path in paths) else name
