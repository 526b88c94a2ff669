"""``hkdnet pairs``: the registered pairs of a recording, as folders of images to train and to evaluate on."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from ..images.fitting import FITS
from ..sources.folders import FolderSource
from ..sources.opening import FORMS, THERMAL_TOPIC, VISIBLE_TOPIC, open_source
from ..sources.pair_files import in_words, read_homography, write_pairs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet pairs``."""
    parser.add_argument("source", metavar="SOURCE", help=FORMS.replace("%", "%%"))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets thermal/, visible/ and overlay/")
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="time between two pairs")
    parser.add_argument("--slop", type=float, default=0.02, metavar="SECONDS", help="largest skew of a pair")
    parser.add_argument(
        "--thermal-offset", type=float, default=0.0, metavar="SECONDS",
        help="this is added to thermal stamps of a bag, where the cameras' clocks differ",
    )  # fmt: skip
    parser.add_argument(
        "--homography", type=Path, metavar="FILE",
        help="text file of 3x3 numbers that take visible pixels to thermal pixels (default: both show the same view)",
    )  # fmt: skip
    parser.add_argument(
        "--fit", choices=FITS,
        help="where the two images have different shapes and no homography is given, crop keeps the middle of the "
        "visible one and stretch squeezes it; without either they are left out",
    )  # fmt: skip
    parser.add_argument("--thermal-topic", default=THERMAL_TOPIC, help="thermal images of a bag")
    parser.add_argument("--visible-topic", default=VISIBLE_TOPIC, help="visible images of a bag")


def run(arguments: argparse.Namespace) -> int:
    """Write the pairs, say how many there are and what could not be used; 1 where files of a folder were left out."""
    homography = None if arguments.homography is None else read_homography(arguments.homography)
    source = open_source(
        arguments.source, thermal_topic=arguments.thermal_topic, visible_topic=arguments.visible_topic,
        thermal_offset=arguments.thermal_offset,
    )  # fmt: skip
    with contextlib.closing(source):
        count, left_out = write_pairs(
            source, arguments.out, every=arguments.every, slop=arguments.slop,
            thermal_offset=arguments.thermal_offset, homography=homography, fit=arguments.fit,
        )  # fmt: skip
    if left_out:
        print(f"left out: {in_words(left_out)}")
    print(f"{count} pairs in {arguments.out}; look through {arguments.out / 'overlay'} before you train on them")
    # A frame or two that is damaged is in many a recording, but each file of a folder was put there to be used.
    return 1 if isinstance(source, FolderSource) and source.skipped else 0
