"""The training of the guided student, or of a teacher of its kind, against the full-resolution pair."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...inference.checkpoint import load_guided, save_checkpoint, source_revision
from ...inference.device import choose_device
from ...network.guided import Guided, GuidedConfig, frame_statistics
from ..augment import darken, downscale, vary_brightness
from ..data import FRAME_ROWS, Batch, PairSet
from ..loop import LoopConfig, fit, prepare_folder
from ..setup import channels_last, use_bf16
from ..train import FusionWeights
from ..validation import measure, write_pictures
from .detector import Detector
from .lesson import GuidedLesson, GuidedWeights, Teach
from .observe import Observed, observe, to_grid

VALIDATION_RATIO = 4
"""Output pixels along one of thermal's own in the measures that a training writes down."""


def train_guided(
    data: Path,
    validation: Path,
    out: Path,
    network_config: GuidedConfig,
    config: LoopConfig,
    fusion: FusionWeights,
    weights: GuidedWeights,
    *,
    name: str = "custom",
    start: Path | None = None,
    teacher: Path | None = None,
    detector: Path | None = None,
    misplaced: float = 0.5,
    spoilt: float = 0.5,
    clean_teacher: bool = False,
    half: bool = False,
    progress: bool = True,
) -> None:
    """Train a guided network on the pairs of ``data`` and write ``out/guided.safetensors``, a log and pictures.

    It begins with the weights of ``start``, or with random ones. A network with ``thermal_full`` is a teacher: it sees
    the pairs as they are. Of each batch a quarter is seen twice, and for eight pairs one more is seen by one camera
    alone. ``misplaced`` and ``spoilt`` say how far and how often what is seen differs from the truth; a
    ``clean_teacher`` says of each view what it makes of the pair unspoilt, by day
    (:func:`~hkdnet_ros.training.guided.observe.observe`).

    Raises :class:`ConfigError` for crops whose side is no multiple of 8 and for a teacher or detector that is
    asked for and not given.
    """
    fusion.check_crop(config.crop)
    if config.crop % 8:
        raise ConfigError(f"crops are {config.crop} px; a guided network is trained on multiples of 8, set --crop")
    if weights.detection and detector is None:
        raise ConfigError("a weight of --detection needs --detector FILE.onnx")
    if weights.taught and teacher is None:
        raise ConfigError("a weight of --distill-* needs --teacher WEIGHTS, of a guided network with thermal_full")
    folder = prepare_folder(out)
    device = choose_device(config.device)
    pairs, held_out = PairSet(data), PairSet(validation)
    pairs.check_size(config.crop)
    torch.manual_seed(config.seed)
    facts = {
        "preset": name, "data": data.name, "pairs": len(pairs), "seed": config.seed, "revision": source_revision(),
        "teacher": teacher.name if teacher and weights.taught else "none",
        "detector": detector.name if detector and weights.detection else "none",
    }  # fmt: skip
    network = Guided(network_config) if start is None else load_guided(start)[0]
    if network.config != network_config:
        raise ConfigError(f"{start} is a guided network of another configuration: {network.config}")
    teach, teacher_channels = _teacher(teacher if weights.taught else None, device)
    lesson = GuidedLesson(
        network, fusion, weights, teach=teach, teacher_channels=teacher_channels,
        detector=Detector(detector) if detector and weights.detection else None,
    )  # fmt: skip
    lesson = channels_last(lesson.to(device))
    alone, views = max(1, config.batch // 8), max(1, config.batch // 4)

    rows = [config.crop, FRAME_ROWS]

    def split(images: Batch) -> tuple[Batch, Batch]:  # crops and the frames below them
        crops, frames = zip(*(image.split(rows, 2) for image in images), strict=True)
        return Batch(*crops), Batch(*frames)

    def draw(generator: torch.Generator) -> tuple[Tensor, ...]:
        crops, frames = pairs.crops_of_frames(config.batch + alone, config.crop, generator)
        # A crop and its frame are varied alike.
        pictures = Batch(*(torch.cat(images, 2) for images in zip(crops, frames, strict=True)))
        by_day = vary_brightness(pictures, generator)
        truth, frames = split(Batch(by_day.thermal, darken(by_day.visible, generator)))
        if network_config.thermal_full:
            level, statistics = frames.thermal.mean((1, 2, 3), keepdim=True), frame_statistics(*frames)
            return Observed(*truth, level, truth.thermal[:0], *truth, statistics, *truth, statistics)
        return observe(
            truth, frames, generator, views=views, alone=alone, misplaced=misplaced, spoilt=spoilt,
            by_day=split(by_day) if clean_teacher else None,
        )  # fmt: skip

    def validate(model: nn.Module) -> dict[str, float]:
        def fuse(batch: Batch) -> Tensor:
            thermal, visible = batch
            if not network_config.thermal_full:
                low = downscale(thermal, VALIDATION_RATIO).mul(255).round().div(255)
                thermal = to_grid(low, visible.shape[2] // 2, visible.shape[3] // 2)
            fused: Tensor = model(thermal.to(device), visible.to(device)).fused
            return fused

        write_pictures(fuse, held_out, folder / "pictures", scale=VALIDATION_RATIO)
        return measure(fuse, held_out, scale=VALIDATION_RATIO)

    def save(model: nn.Module, step: int, measured: dict[str, float]) -> None:
        entries = {**facts, "steps": step, "metrics": measured}
        save_checkpoint(folder / "guided.safetensors", model, entries, half=half)

    fit(
        network=network, trained=lesson, draw=draw, validate=validate, config=config, out=folder, device=device,
        autocast=use_bf16(config.precision, device), save=save, progress=progress,
    )  # fmt: skip


def _teacher(path: Path | None, device: torch.device) -> tuple[Teach | None, tuple[int, int]]:
    """Return the teacher's fusion and how many maps its features have."""
    if path is None:
        return None, (1, 1)
    network = load_guided(path)[0]
    if not network.config.thermal_full:
        raise ConfigError(f"{path} is a guided student; a teacher sees thermal at full size (thermal_full)")
    channels = network.config.detail_channels
    return channels_last(network.to(device)).requires_grad_(False), (channels, channels)
