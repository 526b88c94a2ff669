"""The options by which the kinds of ``hkdnet evaluate`` name the models to measure."""

from __future__ import annotations

import argparse

from ..errors import ConfigError
from ..inference.config import EngineConfig
from ..inference.sizes import Sizes
from ..network.presets import SCALES

GUIDED_SCALES = (1, *SCALES, 8)
"""By how much thermal may be reduced where the visible image keeps its size; 1 is how a teacher is measured."""


def add_guide_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of :func:`read_models` and :func:`read_sizes`; the engine's defaults stay with its own."""
    parser.add_argument("--scale", type=int, choices=GUIDED_SCALES, default=2, help="how much to reduce and enlarge")
    parser.add_argument(
        "--model", nargs="*", metavar="MODEL", default=argparse.SUPPRESS,
        help="presets or .safetensors files; none after --model: baselines alone (default: realtime)",
    )  # fmt: skip
    parser.add_argument("--device", default=argparse.SUPPRESS, help="as for the node: auto, cpu, cuda:0, ...")
    parser.add_argument("--precision", default=argparse.SUPPRESS, help="as for the node: auto, fp32, fp16, ...")
    parser.add_argument(
        "--guide",
        action="store_true",
        help="reduce thermal alone, keep the visible image, the sharper one, at full size; --scale may be 1 or 8 then",
    )


def read_sizes(arguments: argparse.Namespace) -> Sizes:
    """Return by how much each image is to be reduced; :class:`ConfigError` for a scale that goes with --guide alone."""
    scale = arguments.scale
    if scale not in SCALES and not arguments.guide:
        raise ConfigError(f"--scale is {scale}; models enlarge by {', '.join(map(str, SCALES))}, or add --guide")
    return Sizes(thermal=scale, visible=1 if arguments.guide else scale)


def read_models(arguments: argparse.Namespace) -> list[EngineConfig]:
    """Return what each model is to be run by; :class:`~hkdnet_ros.errors.ConfigError` for an unknown precision.

    A scale beyond what models have is left to their nearest: the evaluation enlarges what that leaves.
    """
    given = {name: getattr(arguments, name) for name in ("device", "precision") if name in arguments}
    given["scale"] = min(max(arguments.scale, min(SCALES)), max(SCALES))
    if "model" not in arguments:
        return [EngineConfig(model="realtime", **given)]
    return [EngineConfig(model=model, **given) for model in arguments.model]
