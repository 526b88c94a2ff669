"""``hkdnet fuse``: two images, or two folders of images with matching names, to fused PNG files."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..errors import ConfigError, ImageError, SourceError
from ..files import write_file
from ..images.files import read_thermal, read_visible
from ..images.frames import Frame, Pair
from ..inference.config import EngineConfig
from ..inference.engine_api import load_engine
from ..network.presets import SCALES
from ..perception.pipeline import FusionPipeline
from ..perception.thermal import ThermalConfig
from ..sources.pairs import PairPaths, match_folders

FULL_RANGE = (0.0, 65535.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet fuse``."""
    default = EngineConfig()
    parser.add_argument("--thermal", type=Path, required=True, metavar="PATH", help="image, or folder of images")
    parser.add_argument(
        "--visible", type=Path, required=True, metavar="PATH", help="image, or folder of the same names"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="PNG file, or folder, to write")
    parser.add_argument(
        "--scale", type=int, choices=SCALES, default=default.scale, help="output size over thermal size"
    )
    parser.add_argument("--model", default=default.model, metavar="PRESET|FILE", help="preset or .safetensors file")
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default=default.precision, help="auto, fp32, fp16 or bf16")
    parser.add_argument(
        "--thermal-range", type=float, nargs=2, default=FULL_RANGE, metavar=("LOW", "HIGH"),
        help="counts of a 16-bit thermal image shown as black and white; nothing is stretched by itself",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Fuse what the command line names and say where the result lies."""
    pairs, outputs = _plan(arguments.thermal, arguments.visible, arguments.out)
    low, high = arguments.thermal_range
    if not low < high:
        raise ConfigError(f"--thermal-range is {low:g} {high:g}; LOW must be below HIGH")
    engine = load_engine(
        EngineConfig(
            model=arguments.model, scale=arguments.scale, device=arguments.device, precision=arguments.precision
        )
    )
    pipeline = FusionPipeline(engine, thermal_config=ThermalConfig(range_low=low, range_high=high))
    for pair, output in zip(tqdm(pairs, desc="fuse", unit="pair", disable=len(pairs) == 1), outputs, strict=True):
        try:
            fused = pipeline.process(read_frames(pair, (low, high)))
        except ImageError as error:
            raise SourceError(f"{pair.name}: {error}") from error
        write_file(output, cv2.imencode(".png", fused.image)[1].tobytes())
    described = f"{engine.model_name}, {engine.precision} on {engine.device}"
    print(f"{len(pairs)} fused image{'s' * (len(pairs) > 1)} in {arguments.out} ({described})")
    return 0


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
    """Return the two files as a pair of frames, thermal mono8 or mono16, visible mono8 or bgr8.

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
    visible, visible_encoding = read_visible(paths.visible)
    return Pair(Frame(thermal, 1, "thermal", thermal_encoding), Frame(visible, 1, "visible", visible_encoding))
