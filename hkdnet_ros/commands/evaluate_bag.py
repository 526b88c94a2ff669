"""``hkdnet evaluate bag``: recordings through the node's own core, with a report, a bag and figures."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from ..arguments import parse_size
from ..errors import ConfigError, HkdnetError
from ..evaluation.bag.evaluate import REPORT, Request, evaluate_recording
from ..evaluation.bag.overview import overview_page
from ..evaluation.detection import TRAFFIC
from ..files import write_file
from ..node.parameter_values import read_config, values_of
from ..node.schema import FusionConfig
from ..sources.camera_source import NOMINAL_FPS
from ..sources.opening import FORMS, open_source


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
    parser.add_argument(
        "--video", action=argparse.BooleanOptionalAction, default=True, help="write side_by_side.mp4, too"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate each recording and say where its report is."""
    for name in ("limit", "every"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}; it must be 1 or more")
    config = read_config(arguments.params, getattr(arguments, "param", ()))
    classes = tuple(getattr(arguments, "classes", TRAFFIC))
    request = Request(arguments.every, arguments.limit, arguments.detector, classes, arguments.video)
    results = _results(arguments.sources, arguments.out)
    if len(results) == 1:
        print(_evaluate(arguments, config, request, *results[0]))
        return 0
    failures: dict[str, str] = {}
    for spec, out in results:
        try:
            print(_evaluate(arguments, config, request, spec, out))
        except HkdnetError as error:  # the others are evaluated all the same
            failures[spec] = str(error)
            print(f"hkdnet: {error}", file=sys.stderr)
    done = [out for spec, out in results if spec not in failures]
    if done:
        write_file(arguments.out / REPORT, overview_page(done, failures).encode())
        print(arguments.out / REPORT)
    return int(bool(failures))


def _evaluate(arguments: argparse.Namespace, config: FusionConfig, request: Request, spec: str, out: Path) -> Path:
    topics = {"thermal_topic": arguments.thermal_topic, "visible_topic": arguments.visible_topic}
    sizes = {"size": arguments.size, "thermal_size": arguments.thermal_size}
    with contextlib.closing(open_source(spec, fps=arguments.fps, **sizes, **topics)) as source:
        return evaluate_recording(
            source,
            [path for word in spec.split(",") if (path := Path(word).expanduser()).exists()],
            Path(spec).name,
            out,
            config.engine,
            config,
            request,
            values_of(config),
            values_of(FusionConfig()),
        )


def _results(sources: list[str], out: Path) -> list[tuple[str, Path]]:
    """Return the recordings and the folder that each one's result goes to."""
    if len(sources) == 1:
        return [(sources[0], out)]
    results: dict[str, str] = {}
    for spec in sources:
        stem = Path(spec.split(",")[0]).stem or spec
        name = next(name for name in (stem, *(f"{stem}_{number}" for number in range(2, 9999))) if name not in results)
        results[name] = spec
    return [(spec, out / name) for name, spec in results.items()]
