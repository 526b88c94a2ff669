"""Fuses image files: two images, or two folders of images with matching names, to PNG files."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
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
from ..perception.thermal_range import percentiles
from .pairs import PairPaths, match_folders


def fuse_files(
    thermal: Path,
    visible: Path,
    out: Path,
    engine_config: EngineConfig,
    thermal_range: tuple[float, float] | None = None,
    output_size: tuple[int, int] = NO_SIZE,
    thermal_gain: float = 1.0,
) -> tuple[int, str]:
    """Fuse two files to the PNG file ``out``, or two folders to a folder; return how many, and by what, in words.

    Each thermal image is conditioned as the node does with a first one; ``thermal_range`` says instead which values are
    shown as black and white. ``output_size`` is the width and height of the results, if they are not to follow from the
    images, and ``thermal_gain`` the share of thermal in them. Raises :class:`SourceError` for images that cannot be
    read, fused or written, :class:`ConfigError` and :class:`~hkdnet_ros.errors.CheckpointError` as the engine does.
    """
    thermal_config = ThermalConfig()
    if thermal_range is not None:
        low, high = thermal_range
        if not low < high:
            raise ConfigError(f"--thermal-range is {low:g} {high:g}; LOW must be below HIGH")
        thermal_config = ThermalConfig(range_low=low, range_high=high)
    pairs, outputs = _plan(thermal, visible, out)
    with contextlib.closing(load_engine(engine_config)) as engine:
        config = PerceptionConfig(
            pipeline=PipelineConfig(output_size=output_size, thermal_gain=thermal_gain), thermal=thermal_config
        )
        pipeline = FusionPipeline(engine, config)
        for pair, output in zip(tqdm(pairs, desc="fuse", unit="pair", disable=len(pairs) == 1), outputs, strict=True):
            pipeline.begin_anew()  # the range of one file says nothing about the next
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


def read_frames(paths: PairPaths, thermal_range: tuple[float, float] | None = None) -> Pair:
    """Return the two files as a pair of frames, thermal mono8 or mono16, visible these or bgr8.

    Raises :class:`SourceError` for unreadable files, and for a 16-bit thermal image that lies outside of
    ``thermal_range``: one in another unit would be all black or all white.
    """
    thermal, thermal_encoding = read_thermal(paths.thermal)
    if thermal_range is not None and thermal_encoding == "mono16":
        low, high = percentiles(thermal, 0.5, 99.5)
        if high <= thermal_range[0] or low >= thermal_range[1]:
            raise SourceError(
                f"{paths.thermal}: counts span {low:.0f} to {high:.0f}, outside of {thermal_range[0]:g} to "
                f"{thermal_range[1]:g}; give --thermal-range in counts of the file, or leave it out"
            )
    visible, visible_encoding = read_image(paths.visible)
    return Pair(Frame(thermal, 1, "thermal", thermal_encoding), Frame(visible, 1, "visible", visible_encoding))
