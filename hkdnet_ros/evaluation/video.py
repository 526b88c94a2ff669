"""Flicker of a fused clip beside that of its sources, and fusion quality on some frames.

Every stream is measured at the size of the fused image. The sources stand there twice: as recorded, which is what an
ideal enlargement of the reduced clip would give back, and as the methods get them, enlarged bicubically.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from ..inference.config import EngineConfig
from ..inference.sizes import Sizes
from ..metrics.flicker import FlickerMeter, still_pixels
from ..metrics.fusion import fusion_metrics, measurable
from ..perception.intake import ThermalIntake
from ..perception.pairing import PairingConfig
from ..perception.thermal import ThermalConditioner
from ..sources.camera_source import CameraSource, matches
from ..sources.no_pair import OPTIONS, StreamWatch
from .baselines import Method
from .measurements import ENLARGED, Measurement, mean_values, write_measurements
from .methods import open_methods
from .report import video_report
from .resampling import crop_to_multiple, enlarge_bicubic, reduce_bilinear

FEWEST_FRAMES = 3
"""Flicker is what the second of two changes takes back."""

FRAMES_MEASURED = 20
"""About so many frames are measured for quality, where the user does not say how many."""

_Image = NDArray[np.uint8]


def evaluate_video(
    source: CameraSource,
    out: Path,
    scale: int,
    models: Sequence[EngineConfig],
    *,
    reduce: bool = True,
    every: int | None = None,
    limit: int | None = None,
) -> str:
    """Write values.csv and report.md to ``out`` and return the report.

    The pairs of ``source``, or the first ``limit``, are reduced by ``scale`` first unless ``reduce`` is False, and
    fused by ``models``, which have that scale, and by baselines. Quality is measured on every ``every``-th frame, 0: of
    none, None: so that about FRAMES_MEASURED are.

    Raises :class:`ConfigError` for numbers that contradict each other and as engines do, :class:`SourceError` for a
    clip that cannot be used and for a folder that cannot be written.
    """
    if limit is not None and limit < FEWEST_FRAMES:
        raise ConfigError(f"--limit is {limit}; flicker needs {FEWEST_FRAMES} pairs or more")
    count = _count(source, limit)
    step = _every(every, reduce, count)
    make_folder(out)
    with contextlib.ExitStack() as stack:
        methods, runs_on = open_methods(Sizes(thermal=scale, visible=scale), models, stack)
        watch = StreamWatch()
        played = itertools.islice(gray_pairs(source, scale, watch), limit)
        pairs = tqdm(played, desc="fuse and measure", unit="pair", total=count)
        measurements = list(measure_clip(pairs, scale, methods, reduce=reduce, every=step))

    frames = len({measurement.image for measurement in measurements})
    if not frames:
        raise watch.error(source, PairingConfig().slop, OPTIONS)
    if frames < FEWEST_FRAMES:
        raise SourceError(f"{source.name}: gives {frames} pairs; flicker needs {FEWEST_FRAMES} or more")
    reduced = f"reduced by {scale}, Pillow's antialiased BILINEAR" if reduce else "at its own size"
    facts = {
        "clip": f"{frames} pairs of {source.name}",
        "input": f"{reduced}, 8 bits",
        "quality": f"mean of {-(-frames // step)} frames, one in {step}" if step else "not measured",
        "made by": f"hkdnet_ros {__version__}",
    }
    if source.skipped:
        facts["skipped"] = "; ".join(f"{number} images, {reason}" for reason, number in source.skipped.items())
    text = video_report(f"Flicker at x{scale}", facts | runs_on, mean_values(measurements))
    write_measurements(out / "values.csv", scale, measurements)
    write_file(out / "report.md", text.encode())
    return text


def _count(source: CameraSource, limit: int | None) -> int:
    """Return how many pairs will be played; raises :class:`SourceError` for a source without end and no limit."""
    try:
        return min(len(source), limit or len(source))
    except SourceError:
        if limit is None:
            raise
        return limit


def _every(wanted: int | None, reduce: bool, count: int) -> int:
    """Return the step between the frames whose quality is measured, 0 for none."""
    if wanted is None:
        return -(-count // FRAMES_MEASURED) if reduce else 0
    if wanted < 0:
        raise ConfigError(f"--every is {wanted}; it must be 0 or more")
    if wanted and not reduce:
        raise ConfigError("--every needs the pair before it was reduced to measure against; leave out --no-reduce")
    return wanted


def gray_pairs(
    source: CameraSource, scale: int, watch: Callable[[str, int], object] | None = None
) -> Iterator[tuple[_Image, _Image]]:
    """Yield thermal and visible paired by nearest stamp as in the node, 8-bit gray; ``watch`` is that of ``matches``.

    Both have the thermal image's size, cropped to a multiple of ``scale``. Raises :class:`SourceError` where the source
    cannot be read on or holds images that cannot be used, one of another size than the first among them.
    """
    intake, conditioner = ThermalIntake(), ThermalConditioner()
    width = height = 0
    for number, match in enumerate(matches(source, watch=watch)):
        try:
            thermal = to_uint8(conditioner.condition(intake.take(match.thermal)))
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
