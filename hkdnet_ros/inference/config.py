"""What an engine is asked for. Apart from the engine, so that whoever only reads settings need not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from ..network.presets import SCALES
from ..options import check_options, option

CPU = "cpu"

PRECISIONS = ("auto", "fp32", "fp16", "bf16")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Which network runs, where and how."""

    model: str = option("realtime", "preset whose weights come with the package, or a .safetensors file")
    scale: int = option(2, "output size over fusion grid size", choices=SCALES)
    device: str = option("auto", "auto, cpu, cuda or cuda:N; auto is CUDA where there is one")
    precision: str = option(
        "auto", "auto: the fastest that stays within 45 dB of fp32; fp16 is for CUDA", choices=PRECISIONS
    )
    threads: int = option(0, "CPU threads of the network; 0: one per core", low=0, high=256)

    def __post_init__(self) -> None:
        check_options(self)
