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
from .measurements import ENLARGED, Measurement, input_fact, mean_values, reduced_pair, write_measurements
from .methods import open_methods
from .report import video_report
from .resampling import crop_to_multiple, enlarge_bicubic

FEWEST_FRAMES = 3
"""Flicker is what the second of two changes takes back."""

FRAMES_MEASURED = 20
"""About so many frames are measured for quality, where the user does not say how many."""

_Image = NDArray[np.uint8]


def evaluate_video(
    source: CameraSource,
    out: Path,
    sizes: Sizes,
    models: Sequence[EngineConfig],
    *,
    reduce: bool = True,
    every: int | None = None,
    limit: int | None = None,
) -> str:
    """Write values.csv and report.md to ``out`` and return the report.

    The pairs of ``source``, or the first ``limit``, are brought to one size (:func:`gray_pairs`), reduced as ``sizes``
    says unless ``reduce`` is False, and fused by ``models`` (:func:`open_methods`) and by baselines. Quality is
    measured on every ``every``-th frame, 0: of none, None: so that about FRAMES_MEASURED are.

    Raises :class:`ConfigError` for numbers that contradict each other and as engines do, :class:`SourceError` for a
    clip that cannot be used and for a folder that cannot be written.
    """
    if limit is not None and limit < FEWEST_FRAMES:
        raise ConfigError(f"--limit is {limit}; flicker needs {FEWEST_FRAMES} pairs or more")
    count = _count(source, limit)
    step = _every(every, reduce, count)
    make_folder(out)
    with contextlib.ExitStack() as stack:
        methods, runs_on = open_methods(sizes, models, stack)
        watch = StreamWatch()
        played = itertools.islice(gray_pairs(source, sizes, watch, reduce=reduce), limit)
        pairs = stack.enter_context(tqdm(played, desc="fuse and measure", unit="pair", total=count))
        measurements = list(measure_clip(pairs, sizes, methods, reduce=reduce, every=step))

    frames = len({measurement.image for measurement in measurements})
    if not frames:
        raise watch.error(source, PairingConfig().slop, OPTIONS)
    if frames < FEWEST_FRAMES:
        raise SourceError(f"{source.name}: gives {frames} pairs; flicker needs {FEWEST_FRAMES} or more")
    facts = {
        "clip": f"{frames} pairs of {source.name}",
        "input": input_fact(sizes) if reduce else _unreduced(sizes),
        "quality": f"mean of {-(-frames // step)} frames, one in {step}" if step else "not measured",
        "made by": f"hkdnet_ros {__version__}",
    }
    if source.skipped:
        facts["skipped"] = "; ".join(f"{number} images, {reason}" for reason, number in source.skipped.items())
    title = f"Flicker at x{sizes.thermal}" + ", visible at full size" * (sizes.visible == 1)
    text = video_report(title, facts | runs_on, mean_values(measurements))
    write_measurements(out / "values.csv", sizes.thermal, measurements)
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


def _unreduced(sizes: Sizes) -> str:
    """Return what a report says about input that was not reduced."""
    if sizes.visible == 1:
        return f"visible at its own size, thermal at 1/{sizes.thermal} of it, 8 bits"
    return "at its own size, 8 bits"


def gray_pairs(
    source: CameraSource, sizes: Sizes, watch: Callable[[str, int], object] | None = None, *, reduce: bool
) -> Iterator[tuple[_Image, _Image]]:
    """Yield thermal and visible paired by nearest stamp as in the node, 8-bit gray; ``watch`` is that of ``matches``.

    Both have the thermal image's size, or that of the visible one where ``sizes`` says that it keeps it; then thermal
    that is not to be reduced is brought to its share of that. Sides are multiples of what ``sizes`` says. Raises
    :class:`SourceError` where the source cannot be read on or holds images that cannot be used: one of another size
    than the first, and thermal that is to be reduced from a size that it does not have.
    """
    intake, conditioner = ThermalIntake(), ThermalConditioner()
    first: list[tuple[int, ...]] = []
    for number, match in enumerate(matches(source, watch=watch)):
        try:
            thermal = to_uint8(conditioner.condition(intake.take(match.thermal)))
            visible = luma(match.visible.image, match.visible.encoding)
            visible = visible if visible.dtype == np.uint8 else to_uint8(visible)
            kept = visible if sizes.visible == 1 else thermal  # whose size stays
            first = first or [kept.shape, thermal.shape]
            for image, (height, width) in zip((kept, thermal), first, strict=True):
                if image.shape != (height, width):
                    raise ImageError(f"size changes to {_size(image)} from {width}x{height}")
            yield _on_one_grid(thermal, visible, sizes, reduce=reduce)
        except ImageError as err:
            raise SourceError(f"{source.name}: pair {number}: {err}") from err


def _on_one_grid(thermal: _Image, visible: _Image, sizes: Sizes, *, reduce: bool) -> tuple[_Image, _Image]:
    """Return a pair as :func:`gray_pairs` yields it."""
    scale = sizes.thermal
    if sizes.visible > 1:
        height, width = thermal.shape
        visible = resample(visible, width, height)
        return crop_to_multiple(thermal, scale), crop_to_multiple(visible, scale)
    height, width = visible.shape
    if not reduce:
        visible = crop_to_multiple(visible, scale)
        height, width = visible.shape
        return resample(thermal, width // scale, height // scale), visible
    if thermal.shape[0] < height or thermal.shape[1] < width:
        raise ImageError(
            f"thermal is {_size(thermal)}, visible {_size(visible)}; to fuse them as they are add --no-reduce"
        )
    return crop_to_multiple(resample(thermal, width, height), scale), crop_to_multiple(visible, scale)


def _size(image: _Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def measure_clip(
    pairs: Iterable[tuple[_Image, _Image]], sizes: Sizes, methods: Mapping[str, Method], *, reduce: bool, every: int
) -> Iterator[Measurement]:
    """Yield for each pair the flicker of each stream, and on every ``every``-th pair the quality of each method.

    Streams are the sources as they are (where ``reduce`` makes the input smaller than them), the sources enlarged, and
    what each method fuses. The pairs are 8-bit gray as :func:`gray_pairs` yields them. Raises :class:`ImageError`
    naming the frame and the method where an image cannot be fused or measured.
    """
    meters: defaultdict[str, FlickerMeter] = defaultdict(FlickerMeter)
    last: list[NDArray[np.float32]] = []
    for index, pair in enumerate(pairs):
        frame = f"{index:05d}"
        inputs = reduced_pair(*pair, sizes) if reduce else pair
        scales = (sizes.thermal, sizes.visible)
        enlarged = [enlarge_bicubic(image, scale) for image, scale in zip(inputs, scales, strict=True)]
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
