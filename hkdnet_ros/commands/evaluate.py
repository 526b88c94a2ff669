"""``hkdnet evaluate``: measure models and baselines side by side."""

from __future__ import annotations

import argparse

from ..arguments import HelpFormatter
from . import evaluate_bag, evaluate_compare, evaluate_detection, evaluate_images, evaluate_people, evaluate_video

# By kind: its module, what stands in the list of kinds, and in its own help.
KINDS = {
    "bag": (
        evaluate_bag,
        "recordings through the node's own core, with a report to read",
        "Work through recordings pair by pair as the node would, without ROS and the same in every run, and write a "
        "report, a rosbag2 of what the node would have published, figures for each frame and a video. What was broken "
        "off goes on where it was.",
    ),
    "compare": (
        evaluate_compare,
        "two results of evaluate bag against each other",
        "Compare two results of one recording, as of two networks or settings, frame by frame: differences with "
        "intervals, on a page of their own.",
    ),
    "images": (
        evaluate_images,
        "high-resolution image pairs, reduced by the scale to make the input",
        "Reduce each pair, or with --guide thermal alone, by the scale, fuse it back to full size by models and "
        "baselines, and measure the results against the pair: tables, per-image values and a contact sheet.",
    ),
    "video": (
        evaluate_video,
        "a registered clip, for flicker",
        "Fuse a clip pair by pair by models and baselines and measure how much each result flickers, its sources "
        "beside it: tables and per-frame values.",
    ),
    "people": (
        evaluate_people,
        "scenes of the simulator, for how well people stand out",
        "Fuse scenes of the simulator by models and baselines and measure how well the people in them stand out from "
        "what is around them, the sources beside it: tables and a row for each person.",
    ),
    "detection": (
        evaluate_detection,
        "high-resolution image pairs, for what a detector finds",
        "Reduce each pair by the scale, fuse it back to full size by models and baselines, and have a detector look at "
        "the results, the sources beside it: against labels where the folder has them, else how much of what the "
        "full-size sources show is found again. Tables, a row for each object and a contact sheet.",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the kinds, each with its options."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for kind, (module, summary, description) in KINDS.items():
        module.add_arguments(
            kinds.add_parser(kind, help=summary, description=description, formatter_class=HelpFormatter)
        )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate what the command line names, print the report and return 0."""
    status: int = KINDS[arguments.kind][0].run(arguments)
    return status
