"""What an engine is asked for. Apart from the engine, so that whoever only reads settings need not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from ..network.presets import SCALES
from ..options import check_options, option

CPU = "cpu"

# What EngineConfig.model may be beside a preset and a file, and EngineConfig.backend beside a back end.
AUTO = "auto"

CHOSEN = "HKDNET_ROS_BACKEND"
"""The environment variable that says which back end ``auto`` is."""

PRECISIONS = ("auto", "fp32", "fp16", "bf16")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Which network runs, where and how."""

    model: str = option(
        AUTO,
        "The network has the weights of this preset, which comes with the package, or of this .safetensors file; auto "
        "takes guided where the visible image is sharper than thermal, and realtime where both are of about one size.",
    )
    scale: int = option(
        2,
        "The output of a network that takes both images at one size is this many times as wide and as high as they "
        "are; guided gives the size of the visible image instead.",
        choices=SCALES,
    )
    device: str = option(
        "auto", "The network runs on auto, cpu, cuda or cuda:N; auto is CUDA where there is one, else the CPU."
    )
    precision: str = option(
        "auto",
        "The network computes in this format; auto is the fastest whose picture agrees with that of "
        "fp32 to 55 dB PSNR, and fp16 needs CUDA.",
        choices=PRECISIONS,
    )
    backend: str = option(
        AUTO,
        "This library runs the network: torch, openvino (CPU only), tensorrt (CUDA only, where the system has it), or "
        "onnxruntime, where model is a file of hkdnet export; auto is the fastest of the others, measured once and "
        "remembered.",
    )
    threads: int = option(0, "The network uses this many CPU threads; 0 means one per core.", low=0, high=256)

    def __post_init__(self) -> None:
        check_options(self)
