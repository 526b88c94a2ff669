"""``hkdnet evaluate``: measure models and baselines side by side, on image pairs, a clip, or simulated people."""

from __future__ import annotations

import argparse

from ..evaluation import images as evaluate_images
from ..evaluation import people as evaluate_people
from ..evaluation import video as evaluate_video


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``images``, ``video`` and ``people`` with their options."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    images = kinds.add_parser(
        "images",
        help="high-resolution image pairs, reduced by the scale to make the input",
        description="Reduce each pair by the scale, fuse it back to full size by models and baselines, and measure the "
        "results against the pair: tables, per-image values and a contact sheet.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    evaluate_images.add_arguments(images)
    video = kinds.add_parser(
        "video",
        help="a registered clip, for flicker",
        description="Fuse a clip pair by pair by models and baselines and measure how much each result flickers, its "
        "sources beside it: tables and per-frame values.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    evaluate_video.add_arguments(video)
    people = kinds.add_parser(
        "people",
        help="scenes of the simulator, for how well people stand out",
        description="Fuse scenes of the simulator by models and baselines and measure how well the people in them "
        "stand out from what is around them, the sources beside it: tables and a row for each person.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    evaluate_people.add_arguments(people)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate what the command line names, print the report and return 0."""
    kinds = {"images": evaluate_images, "video": evaluate_video, "people": evaluate_people}
    status: int = kinds[arguments.kind].run(arguments)
    return status
