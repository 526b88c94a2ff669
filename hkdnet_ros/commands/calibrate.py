"""``hkdnet calibrate``: how the two cameras of a recording stand to each other, as a file for the node."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from ..arguments import add_options, read_options
from ..calibration.by_target import LensConfig
from ..calibration.calibrate import DISTANCE, calibrate, view
from ..calibration.targets import TARGETS, TargetConfig
from ..errors import ConfigError
from ..sources.opening import FORMS, THERMAL_TOPIC, VISIBLE_TOPIC, open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet calibrate``."""
    parser.add_argument("source", metavar="SOURCE", help=FORMS.replace("%", "%%"))
    parser.add_argument(
        "--out", type=Path, default=Path("out/calibrate"), metavar="DIR",
        help="gets calibration.yaml, and before/ and after/ with outlines of heat over visible images",
    )  # fmt: skip
    parser.add_argument(
        "--target", choices=("none", *TARGETS), default="none",
        help="both cameras see this target, and lenses and pose are estimated; none takes the scene's edges, which "
        "give a homography",
    )  # fmt: skip
    add_options(parser, TargetConfig, skip=("target",))
    add_options(parser, LensConfig)
    parser.add_argument(
        "--keep-lenses", action="store_true", help="take the lenses of the recording's camera_info as right"
    )
    parser.add_argument(
        "--view", type=Path, metavar="YAML", help="estimate nothing: write overlays of this calibration, and its error"
    )
    parser.add_argument(
        "--distance", type=float, default=DISTANCE, metavar="METRES",
        help="overlays of --view by lenses and pose are right at this distance",
    )  # fmt: skip
    parser.add_argument("--every", type=float, default=0.5, metavar="SECONDS", help="time between two pairs")
    parser.add_argument(
        "--frames", type=int, default=0, metavar="N", help="pairs to look at; 0 for 40, or 200 with a target"
    )
    parser.add_argument("--slop", type=float, default=0.02, metavar="SECONDS", help="largest skew of a pair")
    parser.add_argument(
        "--thermal-offset", type=float, default=0.0, metavar="SECONDS", help="this is added to thermal stamps of a bag"
    )
    parser.add_argument("--thermal-topic", default=THERMAL_TOPIC, help="thermal images of a bag")
    parser.add_argument("--visible-topic", default=VISIBLE_TOPIC, help="visible images of a bag")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, or look at a calibration, and say what came out."""
    target = None if arguments.target == "none" else read_options(arguments, TargetConfig)
    lenses = read_options(arguments, LensConfig)
    if target is None and (arguments.keep_lenses or lenses != LensConfig()):
        raise ConfigError("--keep-lenses, --thermal-lens and --visible-lens go with --target; edges give no lenses")
    source = open_source(
        arguments.source, thermal_topic=arguments.thermal_topic, visible_topic=arguments.visible_topic,
        thermal_offset=arguments.thermal_offset,
    )  # fmt: skip
    reading = {"every": arguments.every, "frames": arguments.frames, "slop": arguments.slop}
    with contextlib.closing(source):
        if arguments.view is not None:
            print(view(source, arguments.view, arguments.out, distance=arguments.distance, **reading))
        else:
            print(calibrate(source, arguments.out, target=target, lenses=lenses, keep_lenses=arguments.keep_lenses,
                            thermal_offset=arguments.thermal_offset, **reading))  # fmt: skip
    return 0
