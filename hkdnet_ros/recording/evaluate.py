"""``hkdnet evaluate images``: measure models and baselines on high-resolution pairs, side by side."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .. import __version__
from ..errors import ConfigError, SourceError
from ..training.pairs import PairPaths, list_pairs
from .baselines import Method, baselines
from .contact_sheet import contact_sheet
from .evaluation import (
    MeasuredPair,
    Measurement,
    mean_values,
    measure_pair,
    read_peers,
    read_sources,
    write_measurements,
)
from .evaluation_report import report

if TYPE_CHECKING:
    from ..inference.engine import FusionEngine

SHEET_ROWS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``images`` and its options; the engine's defaults stay with its configuration."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    images = kinds.add_parser(
        "images",
        help="high-resolution image pairs, reduced by the scale to make the input",
        description="Reduce each pair by the scale, fuse it back to full size by models and baselines, and measure the "
        "results against the pair: tables, per-image values and a contact sheet.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    images.add_argument("--pairs", type=Path, required=True, metavar="DIR", help="folder with thermal/ and visible/")
    images.add_argument("--scale", type=int, choices=(2, 3, 4), default=2, help="how much to reduce and enlarge")
    images.add_argument(
        "--model", nargs="*", metavar="MODEL", default=argparse.SUPPRESS,
        help="presets or .safetensors files; none after --model: baselines alone (default: the engine's)",
    )  # fmt: skip
    images.add_argument("--device", default=argparse.SUPPRESS, help="as for the node: auto, cpu, cuda:0, ...")
    images.add_argument("--precision", default=argparse.SUPPRESS, help="as for the node: auto, fp32, fp16, ...")
    images.add_argument("--peers", type=Path, metavar="CSV", help="published methods' values on the same pairs")
    images.add_argument("--limit", type=int, metavar="N", help="measure the first N pairs only")
    images.add_argument("--out", type=Path, default=Path("out/evaluate"), metavar="DIR", help="folder for the results")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write values.csv, report.md and contact_sheet.png, print the report; return 0."""
    pairs = list_pairs(arguments.pairs)
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise ConfigError(f"--limit is {arguments.limit}; it must be 1 or more")
        pairs = pairs[: arguments.limit]
    peers = read_peers(arguments.peers, arguments.scale, [pair.name for pair in pairs]) if arguments.peers else []
    _make_folder(arguments.out)
    for pair in tqdm(pairs, desc="check", unit="pair"):
        read_sources(pair, arguments.scale)  # so that a bad file is named now and not after an hour

    facts = {
        "pairs": f"{len(pairs)} of {arguments.pairs}",
        "input": f"reduced by {arguments.scale}, Pillow's antialiased BILINEAR, 8 bits",
        "made by": f"hkdnet_ros {__version__}",
    }
    if peers:
        facts["published values"] = str(arguments.peers)
    with contextlib.ExitStack() as stack:
        methods = baselines(arguments.scale)
        for engine in _open_engines(arguments, stack):
            name = f"hkdnet({engine.model_name})"
            if name in methods:
                raise ConfigError(f"two models are called {engine.model_name}; evaluate one at a time")
            methods[name] = _method(engine)
            facts[name] = f"{engine.precision} on {engine.device}"
        measurements, sheet = _measure(pairs, arguments.scale, methods)

    names = ("thermal", "visible", *methods)
    rows = [(pair.name, (pair.thermal, pair.visible, *pair.fused.values())) for pair in sheet]
    text = report(f"Fusion quality at x{arguments.scale}", facts, mean_values(measurements), mean_values(peers))
    write_measurements(arguments.out / "values.csv", arguments.scale, measurements)
    _write(arguments.out / "report.md", text.encode())
    _write(arguments.out / "contact_sheet.png", cv2.imencode(".png", contact_sheet(names, rows))[1].tobytes())
    print(text)
    print(f"Written to {arguments.out}: report.md, values.csv, contact_sheet.png")
    return 0


def _measure(
    pairs: Sequence[PairPaths], scale: int, methods: dict[str, Method]
) -> tuple[list[Measurement], list[MeasuredPair]]:
    """Return all measurements, and some pairs, evenly spread, with their images."""
    shown = {round(index) for index in np.linspace(0, len(pairs) - 1, SHEET_ROWS)}
    measurements: list[Measurement] = []
    sheet = []
    for index, paths in enumerate(tqdm(pairs, desc="measure", unit="pair")):
        pair = measure_pair(paths, scale, methods)
        measurements += pair.measurements
        if index in shown:
            sheet.append(pair)
    return measurements, sheet


def _open_engines(arguments: argparse.Namespace, stack: contextlib.ExitStack) -> list[FusionEngine]:
    given: dict[str, Any] = {key: value for key, value in vars(arguments).items() if key in ("device", "precision")}
    models: list[dict[str, Any]] = [{"model": model} for model in arguments.model] if "model" in arguments else [{}]
    if not models:
        return []
    from ..inference.engine import EngineConfig, FusionEngine

    engines = []
    for model in models:
        engine = FusionEngine(EngineConfig(scale=arguments.scale, **model, **given))
        stack.callback(engine.close)
        engines.append(engine)
    return engines


def _method(engine: FusionEngine) -> Method:
    def fuse(thermal: NDArray[np.uint8], visible: NDArray[np.uint8]) -> NDArray[np.float32]:
        fused: NDArray[np.float32] = engine.fuse(thermal, visible) * np.float32(255)
        return fused

    return fuse


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise SourceError(f"{folder}: cannot be made a folder for the results ({err.strerror})") from err


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as err:
        raise SourceError(f"{path}: cannot be written ({err.strerror})") from err
