"""``hkdnet replay``: a recording or the simulator as two cameras on ROS topics."""

from __future__ import annotations

import argparse

from ..arguments import add_options, read_options
from ..replay.config import ReplayConfig
from ..replay.replay_node import replay
from ..sources.opening import FORMS

_METAVARS = {
    "rate": "FACTOR", "duration": "SECONDS", "fps": "HZ", "wait": "SECONDS", "seed": "INT", "subscribers": "INT",
    "ahead": "INT", "depth": "INT", "thermal_topic": "TOPIC", "visible_topic": "TOPIC",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare an option for every setting of a replay."""
    parser.add_argument("source", metavar="SOURCE", help=FORMS.replace("%", "%%"))
    add_options(parser, ReplayConfig, skip=("source", "faults"), metavars=_METAVARS)
    parser.add_argument(
        "--fault", dest="faults", action="append", default=argparse.SUPPRESS, metavar="STREAM:NAME=VALUE[,...]",
        help="thermal or visible: delay, offset, jitter, stop in seconds, drop a probability; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=argparse.SUPPRESS, metavar="...",
        help="what follows is for ROS, such as -r __ns:=/robot",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Replay until the end or Ctrl-C; return 0, or 2 where ROS refused its arguments."""
    config = read_options(arguments, ReplayConfig, faults=" ".join(getattr(arguments, "faults", ())))
    return replay(config, getattr(arguments, "ros_args", ()))
