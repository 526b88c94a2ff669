"""Fuses image files: two images, or two folders of images with matching names, to PNG files."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..errors import ConfigError, ImageError, SourceError
from ..files import write_file
from ..images.files import read_image, read_thermal
from ..images.frames import Frame, Pair
from ..inference.config import EngineConfig
from ..inference.engine_api import load_engine, runs_on
from ..perception.config import PerceptionConfig
from ..perception.pipeline import FusionPipeline
from ..perception.plan import NO_SIZE, PipelineConfig
from ..perception.thermal import ThermalConfig
from .pairs import PairPaths, match_folders

FULL_RANGE = (0.0, 65535.0)
"""Counts shown as black and as white unless one says otherwise: nothing is stretched by itself."""


def fuse_files(
    thermal: Path,
    visible: Path,
    out: Path,
    engine_config: EngineConfig,
    thermal_range: tuple[float, float] = FULL_RANGE,
    output_size: tuple[int, int] = NO_SIZE,
) -> tuple[int, str]:
    """Fuse two files to the PNG file ``out``, or two folders to a folder; return how many, and by what, in words.

    ``thermal_range`` says which counts of a 16-bit thermal image are shown as black and white, ``output_size`` which
    width and height the results have, if they are not to follow from the images. Raises :class:`SourceError` for images
    that cannot be read, fused or written, :class:`ConfigError` and :class:`~hkdnet_ros.errors.CheckpointError` as the
    engine does.
    """
    low, high = thermal_range
    if not low < high:
        raise ConfigError(f"--thermal-range is {low:g} {high:g}; LOW must be below HIGH")
    pairs, outputs = _plan(thermal, visible, out)
    with contextlib.closing(load_engine(engine_config)) as engine:
        config = PerceptionConfig(
            pipeline=PipelineConfig(output_size=output_size), thermal=ThermalConfig(range_low=low, range_high=high)
        )
        pipeline = FusionPipeline(engine, config)
        for pair, output in zip(tqdm(pairs, desc="fuse", unit="pair", disable=len(pairs) == 1), outputs, strict=True):
            try:
                fused = pipeline.process(read_frames(pair, thermal_range))
            except ImageError as error:
                raise SourceError(f"{pair.name}: {error}") from error
            write_file(output, cv2.imencode(".png", fused.image)[1].tobytes())
        return len(pairs), f"{engine.model_name}, {runs_on(engine)}"


def _plan(thermal: Path, visible: Path, out: Path) -> tuple[list[PairPaths], list[Path]]:
    """Return the pairs and the file to write for each; create the output folder."""
    for path in (thermal, visible):
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder")
    if thermal.is_dir() != visible.is_dir():
        raise SourceError(f"{thermal} and {visible}: one is a folder, the other a file; give two of a kind")
    if thermal.is_dir():
        pairs, folder = match_folders(thermal, visible), out
        outputs = [out / f"{Path(pair.name).stem}.png" for pair in pairs]
    else:
        if out.suffix.lower() != ".png":
            raise SourceError(f"{out}: the output is 8-bit PNG; name a file that ends in .png")
        pairs, folder, outputs = [PairPaths(thermal.name, thermal, visible)], out.parent, [out]
    inputs = {path.resolve() for pair in pairs for path in (pair.thermal, pair.visible)}
    overwritten = [output for output in outputs if output.resolve() in inputs]
    if overwritten:
        raise SourceError(f"{overwritten[0]}: is an input and would be overwritten; choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"{folder}: cannot be created ({error.strerror}); choose another --out") from error
    return pairs, outputs


def read_frames(paths: PairPaths, thermal_range: tuple[float, float]) -> Pair:
    """Return the two files as a pair of frames, thermal mono8 or mono16, visible these or bgr8.

    Raises :class:`SourceError` for unreadable files, and for a 16-bit thermal image that spans less than 1/64 of
    ``thermal_range``: raw counts shown over 16 bits are a flat gray.
    """
    thermal, thermal_encoding = read_thermal(paths.thermal)
    if thermal_encoding == "mono16":
        low, high = np.percentile(thermal[::2, ::2], (0.5, 99.5))
        if high - low < (thermal_range[1] - thermal_range[0]) / 64:
            raise SourceError(
                f"{paths.thermal}: counts span {low:.0f} to {high:.0f}, flat over the range {thermal_range[0]:.0f} to "
                f"{thermal_range[1]:.0f}; give the scene's range with --thermal-range LOW HIGH"
            )
    visible, visible_encoding = read_image(paths.visible)
    return Pair(Frame(thermal, 1, "thermal", thermal_encoding), Frame(visible, 1, "visible", visible_encoding))
