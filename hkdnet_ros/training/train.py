"""Trains the teacher, which fuses at high resolution."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..inference.checkpoint import load_teacher, save_checkpoint, source_revision
from ..inference.device import choose_device
from ..metrics.visual import VIF_LEAST
from ..network.teacher import Teacher
from ..options import check_options, option
from .augment import vary_intensity
from .data import Batch, PairSet
from .loop import LoopConfig, fit, prepare_folder
from .losses import (
    artefact_loss,
    checkerboard_loss,
    coarse_ssim_loss,
    contrast_loss,
    difference_loss,
    edge_loss,
    false_edge_loss,
    gradient_loss,
    information_loss,
    intensity_loss,
    ssim_loss,
    vif_loss,
    warmth_loss,
)
from .setup import channels_last, use_bf16
from .validation import measure, write_pictures


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Weights of the fusion losses against the high-resolution sources."""

    intensity: float = option(5.0, "Weight of the intensity loss.", low=0.0)
    contrast: float = option(8.0, "Weight of the salient contrast loss.", low=0.0)
    gradient: float = option(5.0, "Weight of the gradient loss.", low=0.0)
    ssim: float = option(5.0, "Weight of the SSIM loss.", low=0.0)
    vif: float = option(2.0, "Weight of the visual information fidelity loss.", low=0.0)
    edge: float = option(6.0, "Weight of the edge preservation loss.", low=0.0)
    difference: float = option(0.15, "Weight of the correlation of differences loss.", low=0.0)
    artefact: float = option(30.0, "Weight of the artefact loss.", low=0.0)
    false_edge: float = option(3.0, "Weight of the false edge loss.", low=0.0)
    checkerboard: float = option(50.0, "Weight of the checkerboard loss.", low=0.0)
    information: float = option(5.0, "Weight of the mutual information loss.", low=0.0)
    coarse_ssim: float = option(0.0, "Weight of the SSIM loss on means over 2x2 and 4x4 pixels.", low=0.0)
    warmth: float = option(0.0, "Weight of the agreement with thermal where it is warm, by blocks of pixels.", low=0.0)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def wanted(self) -> bool:
        """Whether anything is learnt from the sources."""
        return any(dataclasses.astuple(self))

    def check_crop(self, side: int) -> None:
        """Raise :class:`ConfigError` where full-size crops of ``side`` pixels are too small for the losses."""
        if side < VIF_LEAST:
            raise ConfigError(f"crops are {side} px at full size, the losses need {VIF_LEAST}; choose a larger --crop")


def check_wanted(wanted: bool) -> None:
    """Raise :class:`ConfigError` where no loss is wanted."""
    if not wanted:
        raise ConfigError("the weight of every loss is 0: nothing would be learnt; give one of them a weight")


def fusion_losses(fused: Tensor, thermal: Tensor, visible: Tensor, weights: FusionWeights) -> dict[str, Tensor]:
    """Return the weighted fusion losses of ``fused``, computed in float32."""
    with torch.autocast(fused.device.type, enabled=False):
        images = (fused.float(), thermal, visible)
        named = (
            ("intensity", weights.intensity, intensity_loss),
            ("contrast", weights.contrast, contrast_loss),
            ("gradient", weights.gradient, gradient_loss),
            ("ssim", weights.ssim, ssim_loss),
            ("vif", weights.vif, vif_loss),
            ("edge", weights.edge, edge_loss),
            ("difference", weights.difference, difference_loss),
            ("artefact", weights.artefact, artefact_loss),
            ("false_edge", weights.false_edge, false_edge_loss),
            ("checkerboard", weights.checkerboard, checkerboard_loss),
            ("information", weights.information, information_loss),
            ("coarse_ssim", weights.coarse_ssim, coarse_ssim_loss),
            ("warmth", weights.warmth, warmth_loss),
        )
        return {name: weight * loss(*images) for name, weight, loss in named if weight}


class TeacherLesson(nn.Module):
    """A teacher and what it is asked for."""

    def __init__(self, teacher: Teacher, weights: FusionWeights) -> None:
        super().__init__()
        self.teacher = teacher
        self.weights = weights

    def forward(self, thermal: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """Return the weighted losses of a pair, each (B, 1, H, W) in [0, 1]."""
        return fusion_losses(self.teacher(thermal, visible).fused, thermal, visible, self.weights)


def train_teacher(
    data: Path,
    validation: Path,
    out: Path,
    config: LoopConfig,
    weights: FusionWeights,
    *,
    start: Path | None = None,
    progress: bool = True,
) -> None:
    """Train a teacher on the pairs of ``data`` and write ``out/teacher.safetensors``, a log and pictures.

    It begins with the weights of ``start``, or with random ones.
    """
    check_wanted(weights.wanted)
    weights.check_crop(config.crop)
    folder = prepare_folder(out)
    device = choose_device(config.device)
    pairs, held_out = PairSet(data), PairSet(validation)
    pairs.check_size(config.crop)
    torch.manual_seed(config.seed)
    facts = {"data": data.name, "pairs": len(pairs), "seed": config.seed, "revision": source_revision()}
    network = Teacher() if start is None else load_teacher(start)[0]
    network = channels_last(network.to(device))

    def draw(generator: torch.Generator) -> Batch:
        return vary_intensity(pairs.crops(config.batch, config.crop, generator), generator)

    def validate(model: nn.Module) -> dict[str, float]:
        def fuse(batch: Batch) -> Tensor:
            fused: Tensor = model(*(image.to(device) for image in batch)).fused
            return fused

        write_pictures(fuse, held_out, folder / "pictures")
        return measure(fuse, held_out)

    def save(model: nn.Module, step: int, measured: dict[str, float]) -> None:
        save_checkpoint(folder / "teacher.safetensors", model, {**facts, "steps": step, "metrics": measured})

    fit(
        network=network, trained=TeacherLesson(network, weights), draw=draw, validate=validate, config=config,
        out=folder, device=device, autocast=use_bf16(config.precision, device), save=save, progress=progress,
    )  # fmt: skip
