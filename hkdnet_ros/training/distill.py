"""Distils a student, drawn to what a teacher makes of the high-resolution pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..inference.checkpoint import load_student, load_teacher, make_student, save_checkpoint, source_revision
from ..inference.device import choose_device
from ..network.fast import Fast, FastOutput
from ..network.presets import AnyConfig, StudentConfig, differences
from ..network.student import Student, StudentOutput
from ..network.teacher import Teacher, TeacherOutput
from ..options import check_options, option
from .augment import downscale, observe, vary_intensity
from .data import Batch, PairSet
from .loop import LoopConfig, fit, prepare_folder
from .setup import channels_last, use_bf16
from .train import FusionWeights, check_wanted, fusion_losses
from .validation import measure, write_pictures


@dataclass(frozen=True, slots=True)
class DistillationWeights:
    """Weights of what is learnt from the teacher; where all are 0 none is needed."""

    distill_u: float = option(0.1, "Weight of student U towards teacher D1.", low=0.0)
    distill_t: float = option(0.1, "Weight of student T towards teacher D2.", low=0.0)
    distill_output: float = option(2.0, "Weight of the output towards the teacher's fused image.", low=0.0)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def wanted(self) -> bool:
        """Whether anything is learnt from a teacher."""
        return bool(self.distill_u or self.distill_t or self.distill_output)


Teach = Callable[[Tensor, Tensor], TeacherOutput]
"""Fuses a high-resolution pair, as :meth:`Teacher.forward`."""


class Apprentice(nn.Module):
    """A student, what it is asked for, and its adapters to the teacher, which only training needs.

    They are 1x1 convolutions from its U and T, which a fast student does not have, to the teacher's 64 and 16 maps.
    ``teach`` is no part of what is trained and saved; None where nothing is learnt from a teacher.
    """

    def __init__(
        self, student: Student | Fast, weights: FusionWeights, distillation: DistillationWeights, teach: Teach | None
    ) -> None:
        super().__init__()
        self.student = student
        if isinstance(student, Student):
            self.adapt_u = nn.Conv2d(student.config.upscaled_channels, 64, 1)
            self.adapt_t = nn.Conv2d(student.config.tail_channels, 16, 1)
        elif distillation.distill_u or distillation.distill_t:
            raise ConfigError("a fast student has no features U and T; set --distill-u 0 --distill-t 0")
        self.weights = weights
        self.distillation = distillation
        self.teach = teach

    def forward(self, thermal: Tensor, visible: Tensor, low_thermal: Tensor, low_visible: Tensor) -> dict[str, Tensor]:
        """Return the weighted losses: a pair (B, 1, sH, sW) in [0, 1], and the (B, 1, H, W) that the student sees."""
        mine: StudentOutput | FastOutput = self.student(low_thermal, low_visible)
        losses = fusion_losses(mine.fused, thermal, visible, self.weights)
        if self.teach is not None:
            with torch.no_grad():
                taught = self.teach(thermal, visible)
            losses |= self.distillation_losses(mine, taught)
        return losses

    def distillation_losses(self, mine: StudentOutput | FastOutput, teacher: TeacherOutput) -> dict[str, Tensor]:
        """Return the weighted mean absolute differences from the teacher; feature losses in units of its deviation.

        Which features are drawn to which is from HKDnet (Xiao et al., IEEE TIM 2022).
        """
        weights = self.distillation

        def feature_loss(maps: Tensor, target: Tensor) -> Tensor:
            target = target.float()
            return (maps.float() - target).abs().mean() / target.std().clamp_min(1e-3)

        found: dict[str, Tensor] = {}
        if isinstance(mine, StudentOutput):
            if weights.distill_u:
                found["distill_u"] = weights.distill_u * feature_loss(self.adapt_u(mine.u), teacher.d1)
            if weights.distill_t:
                found["distill_t"] = weights.distill_t * feature_loss(self.adapt_t(mine.t), teacher.d2)
        if weights.distill_output:
            difference = mine.fused.float() - teacher.fused.float().clamp(0, 1)
            found["distill_output"] = weights.distill_output * difference.abs().mean()
        return found


def begin_with(student: Student | Fast, path: Path) -> None:
    """Copy the weights at ``path`` into ``student``.

    Those of another scale leave its enlarging layer random; of another depth of the super-resolution part, the blocks
    that one of them lacks.

    Raises :class:`CheckpointError` for weights of another configuration.
    """
    found, _ = load_student(path)
    wanted = student.config
    if isinstance(found, Fast) != isinstance(student, Fast):
        raise CheckpointError(f"{path} is a {type(found).__name__.lower()}, no {type(student).__name__.lower()}")
    alike: AnyConfig = dataclasses.replace(found.config, scale=wanted.scale)
    if isinstance(alike, StudentConfig) and isinstance(wanted, StudentConfig):
        alike = dataclasses.replace(alike, group_blocks=wanted.group_blocks)
    if alike != wanted:
        raise CheckpointError(
            f"{path} is a student of another preset, with {', '.join(differences(wanted, alike))}; "
            "--start needs the settings of this one"
        )
    own = student.state_dict()
    fitting = {
        name: value for name, value in found.state_dict().items() if name in own and value.shape == own[name].shape
    }
    student.load_state_dict(own | fitting)


def distill_student(
    data: Path,
    validation: Path,
    teacher_path: Path | None,
    out: Path,
    student_config: AnyConfig,
    config: LoopConfig,
    weights: FusionWeights,
    distillation: DistillationWeights,
    *,
    name: str = "custom",
    half: bool = False,
    start: Path | None = None,
    progress: bool = True,
) -> None:
    """Distil the teacher of ``teacher_path`` into a student and write ``out/student.safetensors``, log and pictures.

    It begins with the weights of ``start``, see :func:`begin_with`, or with random ones. Where all weights of
    ``distillation`` are 0 the teacher is neither read nor run. :class:`ConfigError` where one is wanted and not given.
    """
    check_wanted(weights.wanted or distillation.wanted)
    weights.check_crop(config.crop * student_config.scale)
    folder = prepare_folder(out)
    device = choose_device(config.device)
    teacher = _teacher(teacher_path, device) if distillation.wanted else None
    scale = student_config.scale
    pairs, held_out = PairSet(data), PairSet(validation)
    pairs.check_size(config.crop * scale)
    torch.manual_seed(config.seed)
    facts = {
        "preset": name, "scale": scale, "data": data.name, "pairs": len(pairs), "seed": config.seed,
        "revision": source_revision(), "teacher": teacher_path.name if teacher and teacher_path else "none",
    }  # fmt: skip
    student = make_student(student_config)
    if start is not None:
        begin_with(student, start)
    apprentice = Apprentice(student, weights, distillation, teacher.forward if teacher else None)
    apprentice = channels_last(apprentice.to(device))

    def draw(generator: torch.Generator) -> tuple[Tensor, ...]:
        truth = vary_intensity(pairs.crops(config.batch, config.crop * scale, generator), generator)
        return (*truth, *observe(truth, scale, generator))

    def validate(model: nn.Module) -> dict[str, float]:
        def fuse(batch: Batch) -> Tensor:
            # The published inputs: antialiased bilinear reduction, rounded to 8 bits.
            low = [downscale(image, scale).mul(255).round().div(255).to(device) for image in batch]
            fused: Tensor = model(*low).fused
            return fused

        write_pictures(fuse, held_out, folder / "pictures", scale=scale)
        return measure(fuse, held_out, scale=scale)

    def save(model: nn.Module, step: int, measured: dict[str, float]) -> None:
        entries = {**facts, "steps": step, "metrics": measured}
        save_checkpoint(folder / "student.safetensors", model, entries, half=half)

    fit(
        network=student, trained=apprentice, draw=draw, validate=validate, config=config, out=folder,
        device=device, autocast=use_bf16(config.precision, device), save=save, progress=progress,
    )  # fmt: skip


def _teacher(path: Path | None, device: torch.device) -> Teacher:
    if path is None:
        raise ConfigError(
            "distillation needs --teacher WEIGHTS; or train without one: --distill-u 0 --distill-t 0 --distill-output 0"
        )
    return channels_last(load_teacher(path)[0].to(device)).requires_grad_(False)
