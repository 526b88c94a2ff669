"""What a guided student is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...network.guided import Guided, GuidedOutput
from ...options import check_options, option
from ..losses import tone_loss
from ..train import FusionWeights, fusion_losses
from .detector import Detector, detection_loss

Teach = Callable[[Tensor, Tensor, Tensor], GuidedOutput]
"""Fuses a full-resolution pair, each (B, 1, S, S), with the statistics of its frames, (B, 4)."""


@dataclass(frozen=True, slots=True)
class GuidedWeights:
    """Weights of what is asked for besides the fusion losses."""

    tone: float = option(4.0, "Weight of the difference from visible with thermal's excess added.", low=0.0)
    consistency: float = option(100.0, "Weight of the difference between two spoilt views of one pair.", low=0.0)
    alone: float = option(20.0, "Weight of the difference from one modality where the other is missing.", low=0.0)
    detection: float = option(0.0, "Weight of what the given detector finds in either source.", low=0.0)
    distill_u: float = option(0.0, "Weight of the features U towards the teacher's.", low=0.0)
    distill_t: float = option(0.0, "Weight of the features T towards the teacher's.", low=0.0)
    distill_output: float = option(0.0, "Weight of the output towards the teacher's fused image.", low=0.0)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def taught(self) -> bool:
        """Whether anything is learnt from a teacher."""
        return bool(self.distill_u or self.distill_t or self.distill_output)


class GuidedLesson(nn.Module):
    """A guided student, what it is asked for, and its adapters to a teacher, which only training needs.

    The adapters are 1x1 convolutions from its U and T to ``teacher_channels`` maps of a teacher. ``teach`` and
    ``detector`` are no part of what is trained and saved; None where nothing is learnt from them.
    """

    def __init__(
        self,
        student: Guided,
        fusion: FusionWeights,
        weights: GuidedWeights,
        *,
        teach: Teach | None = None,
        teacher_channels: tuple[int, int] = (64, 16),
        detector: Detector | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.fusion = fusion
        self.weights = weights
        self.teach = teach
        self.find = detector.forward if detector is not None else None
        if weights.distill_u:
            self.adapt_u = nn.Conv2d(student.config.detail_channels, teacher_channels[0], 1)
        if weights.distill_t:
            self.adapt_t = nn.Conv2d(student.config.detail_channels, teacher_channels[1], 1)

    def forward(
        self,
        thermal: Tensor,
        visible: Tensor,
        level: Tensor,
        alone: Tensor,
        seen_thermal: Tensor,
        seen_visible: Tensor,
        frame: Tensor,
        clean_thermal: Tensor,
        clean_visible: Tensor,
        clean_frame: Tensor,
    ) -> dict[str, Tensor]:
        """Return the weighted losses of a batch as :class:`~hkdnet_ros.training.guided.observe.Observed` has it."""
        mine: GuidedOutput = self.student(seen_thermal, seen_visible, frame)
        count, lone = len(thermal), len(alone)
        fused = mine.fused[:count].float()
        again = mine.fused[count : len(seen_visible) - lone].float()
        losses = fusion_losses(fused, thermal, visible, self.fusion)
        if self.weights.tone:
            losses["tone"] = self.weights.tone * tone_loss(fused, thermal, visible, level)
        if self.weights.consistency and len(again):
            losses["consistency"] = self.weights.consistency * (fused[: len(again)] - again).abs().mean()
        if self.weights.alone and lone:
            losses["alone"] = self.weights.alone * (mine.fused[-lone:].float() - alone).abs().mean()
        if self.find is not None and self.weights.detection:
            half = slice(count // 2, None)  # the detector takes as long as the student
            shown = (fused[half], thermal[half], visible[half])
            losses["detection"] = self.weights.detection * detection_loss(self.find, *shown)
        if self.teach is not None and self.weights.taught:
            with torch.no_grad():
                taught = self.teach(clean_thermal, clean_visible, clean_frame)
            losses |= self._taught(mine, taught)
        return losses

    def _taught(self, mine: GuidedOutput, taught: GuidedOutput) -> dict[str, Tensor]:
        """Return the mean absolute differences from the teacher, of features in units of the teacher's deviation."""
        weights, count = self.weights, len(taught.fused)
        found: dict[str, Tensor] = {}
        if weights.distill_u:
            found["distill_u"] = weights.distill_u * _feature_loss(self.adapt_u(mine.u[:count]), taught.u)
        if weights.distill_t:
            found["distill_t"] = weights.distill_t * _feature_loss(self.adapt_t(mine.t[:count]), taught.t)
        if weights.distill_output:
            difference = mine.fused[:count].float() - taught.fused.float().clamp(0, 1)
            found["distill_output"] = weights.distill_output * difference.abs().mean()
        return found


def _feature_loss(maps: Tensor, target: Tensor) -> Tensor:
    """Compare maps with a teacher's, which are averaged over the blocks of pixels that the student's maps are of."""
    target = F.adaptive_avg_pool2d(target.float(), (maps.shape[2], maps.shape[3]))
    return (maps.float() - target).abs().mean() / target.std().clamp_min(1e-3)
