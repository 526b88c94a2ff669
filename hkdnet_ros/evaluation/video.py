"""``hkdnet evaluate video``: flicker of a fused clip beside that of its sources, and fusion quality on some frames.

Every stream is measured at the size of the fused image. The sources stand there twice: as recorded, which is what an
ideal enlargement of the reduced clip would give back, and as the methods get them, enlarged bicubically.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .. import __version__
from ..errors import ConfigError, ImageError, SourceError
from ..files import make_folder, write_file
from ..images.color import luma, to_uint8
from ..images.frames import THERMAL, VISIBLE
from ..images.resampling import resample
from ..metrics.flicker import FlickerMeter, still_pixels
from ..metrics.fusion import fusion_metrics, measurable
from ..perception.thermal import ThermalConditioner
from ..sources.camera_source import CameraSource, matches
from ..sources.opening import FORMS, THERMAL_TOPIC, VISIBLE_TOPIC, open_source
from ..sources.videos import VideoSource
from .baselines import Method
from .measurements import ENLARGED, Measurement, mean_values, write_measurements
from .methods import add_model_arguments, open_methods
from .report import video_report
from .resampling import crop_to_multiple, enlarge_bicubic, reduce_bilinear

FEWEST_FRAMES = 3
"""Flicker is what the second of two changes takes back."""

FRAMES_MEASURED = 20
"""About so many frames are measured for quality, where the user does not say how many."""

_Image = NDArray[np.uint8]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet evaluate video``."""
    parser.add_argument(
        "--thermal", type=Path, metavar="VIDEO", help="thermal video, with --visible instead of --source"
    )
    parser.add_argument("--visible", type=Path, metavar="VIDEO", help="visible video of the same view")
    parser.add_argument("--source", metavar="SOURCE", help=FORMS)
    parser.add_argument("--thermal-topic", default=THERMAL_TOPIC, metavar="TOPIC", help="thermal images inside a bag")
    parser.add_argument("--visible-topic", default=VISIBLE_TOPIC, metavar="TOPIC", help="visible images inside a bag")
    add_model_arguments(parser)
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
    """Evaluate, write values.csv and report.md, print the report; return 0."""
    if arguments.limit is not None and arguments.limit < FEWEST_FRAMES:
        raise ConfigError(f"--limit is {arguments.limit}; flicker needs {FEWEST_FRAMES} pairs or more")
    with contextlib.ExitStack() as stack:
        source = _open(arguments)
        stack.callback(source.close)
        count = _count(source, arguments.limit)
        every = _every(arguments, count)
        make_folder(arguments.out)
        methods, models = open_methods(arguments, stack)
        played = itertools.islice(gray_pairs(source, arguments.scale), arguments.limit)
        pairs = tqdm(played, desc="fuse and measure", unit="pair", total=count)
        measurements = list(measure_clip(pairs, arguments.scale, methods, reduce=arguments.reduce, every=every))

    frames = len({measurement.image for measurement in measurements})
    if frames < FEWEST_FRAMES:
        raise SourceError(f"{source.name}: gives {frames} pairs; flicker needs {FEWEST_FRAMES} or more")
    reduced = f"reduced by {arguments.scale}, Pillow's antialiased BILINEAR" if arguments.reduce else "at its own size"
    facts = {
        "clip": f"{frames} pairs of {source.name}",
        "input": f"{reduced}, 8 bits",
        "quality": f"mean of {-(-frames // every)} frames, one in {every}" if every else "not measured",
        "made by": f"hkdnet_ros {__version__}",
    }
    if source.skipped:
        facts["skipped"] = "; ".join(f"{number} images, {reason}" for reason, number in source.skipped.items())
    text = video_report(f"Flicker at x{arguments.scale}", facts | models, mean_values(measurements))
    write_measurements(arguments.out / "values.csv", arguments.scale, measurements)
    write_file(arguments.out / "report.md", text.encode())
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


def _count(source: CameraSource, limit: int | None) -> int:
    """Return how many pairs will be played; raises :class:`SourceError` for a source without end and no limit."""
    try:
        return min(len(source), limit or len(source))
    except SourceError:
        if limit is None:
            raise
        return limit


def _every(arguments: argparse.Namespace, count: int) -> int:
    """Return the step between the frames whose quality is measured, 0 for none."""
    if "every" not in arguments:
        return -(-count // FRAMES_MEASURED) if arguments.reduce else 0
    every: int = arguments.every
    if every < 0:
        raise ConfigError(f"--every is {every}; it must be 0 or more")
    if every and not arguments.reduce:
        raise ConfigError("--every needs the pair before it was reduced to measure against; leave out --no-reduce")
    return every


def gray_pairs(source: CameraSource, scale: int) -> Iterator[tuple[_Image, _Image]]:
    """Yield thermal and visible paired by nearest stamp as in the node, 8-bit gray.

    Both have the thermal image's size, cropped to a multiple of ``scale``. Raises :class:`SourceError` where the source
    cannot be read on or holds images that cannot be used, one of another size than the first among them.
    """
    conditioner = ThermalConditioner()
    width = height = 0
    for number, match in enumerate(matches(source)):
        try:
            thermal = to_uint8(conditioner.condition(match.thermal))
            if number == 0:
                height, width = thermal.shape
            elif thermal.shape != (height, width):
                raise ImageError(f"size changes to {thermal.shape[1]}x{thermal.shape[0]} from {width}x{height}")
            gray = luma(match.visible.image, match.visible.encoding)
            visible = resample(gray if gray.dtype == np.uint8 else to_uint8(gray), width, height)
            yield crop_to_multiple(thermal, scale), crop_to_multiple(visible, scale)
        except ImageError as err:
            raise SourceError(f"{source.name}: pair {number}: {err}") from err


def measure_clip(
    pairs: Iterable[tuple[_Image, _Image]], scale: int, methods: Mapping[str, Method], *, reduce: bool, every: int
) -> Iterator[Measurement]:
    """Yield for each pair the flicker of each stream, and on every ``every``-th pair the quality of each method.

    Streams are the sources as they are (where ``reduce`` makes the input smaller than them), the sources enlarged, and
    what each method fuses. The pairs are 8-bit gray of one size, a multiple of ``scale``. Raises :class:`ImageError`
    naming the frame and the method where an image cannot be fused or measured.
    """
    meters: defaultdict[str, FlickerMeter] = defaultdict(FlickerMeter)
    last: list[NDArray[np.float32]] = []
    for index, pair in enumerate(pairs):
        frame = f"{index:05d}"
        inputs = tuple(reduce_bilinear(image, scale) for image in pair) if reduce else pair
        enlarged = [enlarge_bicubic(image, scale) for image in inputs]
        still = still_pixels(last, enlarged) if last else None
        last = enlarged
        if reduce:
            for name, image in zip((THERMAL, VISIBLE), pair, strict=True):
                yield Measurement(name, frame, meters[name].add(image, still=still))
        for name, large in zip((ENLARGED + THERMAL, ENLARGED + VISIBLE), enlarged, strict=True):
            yield Measurement(name, frame, meters[name].add(large, still=still))
        for name, fuse in methods.items():
            try:
                fused = fuse(*inputs)
                values = meters[name].add(fused, *enlarged, still=still)
                if every and index % every == 0:
                    values |= fusion_metrics(*pair, fused, measurable(min(fused.shape)))
            except ImageError as err:
                raise ImageError(f"frame {frame}, {name}: {err}") from err
            yield Measurement(name, frame, values)
