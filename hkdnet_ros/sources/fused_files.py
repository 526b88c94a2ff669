"""Fuses image files: two images, or two folders of images that pair by name, to PNG files."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import ConfigError, ImageError, OutOfMemoryError, SourceError
from ..files import make_folder, written_whole
from ..images.files import read_thermal, read_visible
from ..images.fitting import fitted
from ..images.frames import Frame, Pair
from ..inference.config import EngineConfig
from ..inference.engine_api import load_engine, runs_on
from ..perception.config import PerceptionConfig
from ..perception.intake import ThermalIntake
from ..perception.pipeline import FusionPipeline
from ..perception.plan import PipelineConfig
from ..perception.thermal import ThermalConfig
from .pairs import PairPaths, is_one_file, match_folders

_NO_MEMORY = -4
"""OpenCV's code for it (cv2.Error.StsNoMem)."""


@dataclass(frozen=True, slots=True)
class FusedFiles:
    """How many images were fused, by what, in words, and a line about each that was not."""

    count: int
    made_by: str
    left_out: list[str] = field(default_factory=list)


def fuse_files(
    thermal: Path,
    visible: Path,
    out: Path,
    engine_config: EngineConfig,
    pipeline_config: PipelineConfig | None = None,
    thermal_config: ThermalConfig | None = None,
    *,
    thermal_range: tuple[float, float] | None = None,
    match: tuple[str, str] | None = None,
    fit: str | None = None,
) -> FusedFiles:
    """Fuse two files to the PNG file ``out``, or two folders to a folder, and say what came of it.

    ``thermal_config`` says how thermal is taken, and ``thermal_range`` which values are shown as black and white;
    without it they follow from each image. ``match`` are the patterns by which names pair
    (:func:`~.pairs.match_folders`); a result has the name of its thermal file. ``fit`` says what to do where the two
    have different aspect ratios (:func:`~hkdnet_ros.images.fitting.fitted`).

    Of two folders, what cannot be paired, read or fused is left out and told of. Raises :class:`SourceError` for that
    of two files, where no pair is left, and for results that cannot be written; :class:`ConfigError` and
    :class:`~hkdnet_ros.errors.CheckpointError` as the engine does.
    """
    thermal_config = thermal_config or ThermalConfig()
    if thermal_range is not None:
        low, high = thermal_range
        if not low < high:
            raise ConfigError(f"--thermal-range is {low:g} {high:g}; LOW must be below HIGH")
        thermal_config = dataclasses.replace(thermal_config, range_low=low, range_high=high)
    jobs, left_out = _plan(thermal, visible, out, match)
    count = 0
    with contextlib.closing(load_engine(engine_config)) as engine:
        config = PerceptionConfig(pipeline=pipeline_config or PipelineConfig(), thermal=thermal_config)
        intake, pipeline = ThermalIntake(thermal_config), FusionPipeline(engine, config, is_taken=True)
        with tqdm(jobs, desc="fuse", unit="pair", disable=len(jobs) == 1) as bar:
            for pair, output in bar:
                try:
                    content = _fused(pipeline, pair, thermal_range, fit, intake)
                except (SourceError, ImageError, OutOfMemoryError) as error:
                    # Errors of a file name it.
                    line = str(error) if isinstance(error, SourceError) else f"{pair.name}: {error}"
                    if not thermal.is_dir():
                        raise SourceError(line) from error
                    left_out.append(line)
                    continue
                make_folder(output.parent)
                _write(output, content)
                count += 1
        made_by = f"{engine.model_name}, {runs_on(engine)}"
    if not count:
        raise SourceError(f"not one pair could be fused: {'; '.join(left_out[:3])}{'; ...' * (len(left_out) > 3)}")
    return FusedFiles(count, made_by, left_out)


def _fused(
    pipeline: FusionPipeline,
    pair: PairPaths,
    thermal_range: tuple[float, float] | None,
    fit: str | None,
    intake: ThermalIntake,
) -> bytes:
    """Return the fused image of a pair as the content of a PNG file."""
    pipeline.begin_anew()  # the range of one file says nothing about the next
    frames = read_frames(pair, thermal_range, fit, intake)
    height, width = frames.visible.image.shape[:2]
    try:
        return cv2.imencode(".png", pipeline.process(frames).image)[1].tobytes()
    except cv2.error as error:
        if error.code != _NO_MEMORY:
            raise
    except MemoryError:
        pass
    raise OutOfMemoryError(
        f"not enough memory for visible of {width}x{height}; --size {width // 32 * 16}x{height // 32 * 16} takes a "
        "quarter of it"
    )


def _write(output: Path, content: bytes) -> None:
    try:
        with written_whole(output) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise SourceError(f"{output}: cannot be written ({error.strerror}); choose another --out") from error


def _plan(
    thermal: Path, visible: Path, out: Path, match: tuple[str, str] | None
) -> tuple[list[tuple[PairPaths, Path]], list[str]]:
    """Return each pair with the file to write, and a line about what is in no pair."""
    for path in (thermal, visible):
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder")
    if thermal.is_dir() != visible.is_dir():
        raise SourceError(f"{thermal} and {visible}: one is a folder, the other a file; give two of a kind")
    if thermal.is_dir():
        matched = match_folders(thermal, visible, match)
        outputs = [out / PurePosixPath(pair.name).with_suffix(".png") for pair in matched.pairs]
        pairs, problems = matched.pairs, matched.problems
    else:
        if match is not None:
            raise ConfigError("--match pairs the names in folders; give two folders, or leave it out")
        if out.suffix.lower() != ".png":
            raise SourceError(f"{out}: the output is 8-bit PNG; name a file that ends in .png")
        if is_one_file(thermal, visible):
            raise SourceError(f"{thermal} and {visible} are one file, which would be fused with itself; give two")
        pairs, outputs, problems = [PairPaths(thermal.name, thermal, visible)], [out], []
    inputs = {path.resolve() for pair in pairs for path in (pair.thermal, pair.visible)}
    seen: set[Path] = set()
    for output in outputs:
        if output.resolve() in inputs:
            raise SourceError(f"{output}: is an input and would be overwritten; choose another --out")
        if output in seen:
            raise SourceError(f"{output}: two pairs would be written there; match one of them at a time")
        seen.add(output)
    make_folder(out if thermal.is_dir() else out.parent)
    return list(zip(pairs, outputs, strict=True)), problems


def read_frames(
    paths: PairPaths,
    thermal_range: tuple[float, float] | None = None,
    fit: str | None = None,
    intake: ThermalIntake | None = None,
) -> Pair:
    """Return the two files as a pair of frames, thermal mono8, mono16, 32FC1 or bgr8, visible mono8, mono16 or bgr8.

    Raises :class:`SourceError` for unreadable files, and for thermal values that lie outside of ``thermal_range``: in
    another unit the image would be all black or all white; :class:`ImageError` for shapes that ``fit`` does not allow
    and for what ``intake`` does not take.
    """
    image, encoding = read_thermal(paths.thermal)
    taken = (intake or ThermalIntake()).take(Frame(image, 1, "thermal", encoding))
    thermal: NDArray[Any] = taken.image
    if thermal_range is not None and thermal.dtype != np.uint8:
        low, high = np.nanpercentile(thermal[::2, ::2], (0.5, 99.5))
        if high <= thermal_range[0] or low >= thermal_range[1]:
            raise SourceError(
                f"{paths.thermal}: values span {low:g} to {high:g}, outside of {thermal_range[0]:g} to "
                f"{thermal_range[1]:g}; give --thermal-range in the unit of the file, or leave it out"
            )
    visible, visible_encoding = read_visible(paths.visible)
    visible = np.ascontiguousarray(fitted(visible, thermal.shape[:2], fit))
    return Pair(taken, Frame(visible, 1, "visible", visible_encoding))
