"""The options by which the kinds of ``hkdnet evaluate`` name the models to measure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..inference.config import EngineConfig
from ..network.presets import SCALES


def add_model_options(parser: argparse.ArgumentParser, scales: Sequence[int] = SCALES) -> None:
    """Declare the options that :func:`read_models` reads; the engine's defaults stay with its configuration."""
    parser.add_argument("--scale", type=int, choices=scales, default=2, help="how much to reduce and enlarge")
    parser.add_argument(
        "--model", nargs="*", metavar="MODEL", default=argparse.SUPPRESS,
        help="presets or .safetensors files; none after --model: baselines alone (default: the engine's)",
    )  # fmt: skip
    parser.add_argument("--device", default=argparse.SUPPRESS, help="as for the node: auto, cpu, cuda:0, ...")
    parser.add_argument("--precision", default=argparse.SUPPRESS, help="as for the node: auto, fp32, fp16, ...")


def read_models(arguments: argparse.Namespace) -> list[EngineConfig]:
    """Return what each model is to be run by; :class:`~hkdnet_ros.errors.ConfigError` for an unknown precision.

    A scale beyond what models have is left to their largest: the evaluation enlarges what that leaves.
    """
    given = {name: getattr(arguments, name) for name in ("device", "precision") if name in arguments}
    given["scale"] = min(arguments.scale, max(SCALES))
    if "model" not in arguments:
        return [EngineConfig(**given)]
    return [EngineConfig(model=model, **given) for model in arguments.model]
