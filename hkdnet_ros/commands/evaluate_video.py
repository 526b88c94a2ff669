"""``hkdnet evaluate video``: flicker of a clip fused by models and baselines, and fusion quality on some frames."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from ..errors import ConfigError
from ..evaluation.video import FRAMES_MEASURED, evaluate_video
from ..sources.camera_source import CameraSource
from ..sources.opening import FORMS, THERMAL_TOPIC, VISIBLE_TOPIC, open_source
from ..sources.videos import VideoSource
from .evaluated_models import add_guide_options, read_models, read_sizes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate video``."""
    parser.add_argument(
        "--thermal", type=Path, metavar="VIDEO", help="thermal video, with --visible instead of --source"
    )
    parser.add_argument("--visible", type=Path, metavar="VIDEO", help="visible video of the same view")
    parser.add_argument("--source", metavar="SOURCE", help=FORMS)
    parser.add_argument("--thermal-topic", default=THERMAL_TOPIC, metavar="TOPIC", help="thermal images inside a bag")
    parser.add_argument("--visible-topic", default=VISIBLE_TOPIC, metavar="TOPIC", help="visible images inside a bag")
    add_guide_options(parser)
    parser.add_argument(
        "--reduce", action=argparse.BooleanOptionalAction, default=True,
        help="reduce the pairs by the scale first, as for images; without, they are fused at their own size",
    )  # fmt: skip
    parser.add_argument(
        "--every", type=int, default=argparse.SUPPRESS, metavar="K",
        help="measure the quality of every K-th frame, 0: of none; only of reduced pairs, for want of a larger truth "
        f"(default: so that about {FRAMES_MEASURED} frames are)",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="play the first N pairs only")
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate/video"), metavar="DIR", help="folder for the results"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the report and return 0."""
    with contextlib.closing(_open(arguments)) as source:
        text = evaluate_video(
            source,
            arguments.out,
            read_sizes(arguments),
            read_models(arguments),
            reduce=arguments.reduce,
            every=getattr(arguments, "every", None),
            limit=arguments.limit,
        )
    print(text)
    print(f"Written to {arguments.out}: report.md, values.csv")
    return 0


def _open(arguments: argparse.Namespace) -> CameraSource:
    videos = [video for video in (arguments.thermal, arguments.visible) if video is not None]
    if len(videos) != (0 if arguments.source else 2):
        raise ConfigError("a clip is named by --thermal VIDEO and --visible VIDEO, or by --source alone")
    if videos:
        return VideoSource(*videos)
    return open_source(arguments.source, thermal_topic=arguments.thermal_topic, visible_topic=arguments.visible_topic)
