"""What a robot's two cameras would show of a scene: visible sharp, thermal coarse, both spoilt; on the CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...network.guided import frame_statistics, thermal_side
from ..augment import downscale_to, move, spoil
from ..data import Batch

COARSEST_THERMAL = 8.0
"""Output pixels along one of thermal's own, at most."""

COARSEST_VISIBLE = 4.0
"""Output pixels along one of visible's own, at most."""

_KERNELS = ("bilinear", "bilinear", "area", "bicubic")
_LEAST_SIDE = 16  # px of an image that is reduced


class Observed(NamedTuple):
    """A batch of one training step.

    ``thermal`` and ``visible`` (B, 1, S, S) are the truth, ``level`` (B, 1, 1, 1) is the mean of the thermal frame that
    each is a crop of. ``alone`` (A, 1, S, S) is the truth of one modality where
    the other is missing. What the network sees, in this order, are B views of the pairs, second views of the first V of
    them with other noise, and A with one modality missing: ``seen_thermal`` (B + V + A, 1, S / 2, S / 2) and
    ``seen_visible`` (B + V + A, 1, S, S), and the statistics of their ``frame`` (B + V + A, 4). ``clean_thermal`` and
    ``clean_visible`` (N, 1, S, S) are what a teacher sees of the first N of these views, ``clean_frame`` (N, 4) the
    statistics of its frames.
    """

    thermal: Tensor
    visible: Tensor
    level: Tensor
    alone: Tensor
    seen_thermal: Tensor
    seen_visible: Tensor
    frame: Tensor
    clean_thermal: Tensor
    clean_visible: Tensor
    clean_frame: Tensor


def to_grid(image: Tensor, height: int, width: int) -> Tensor:
    """Bring (B, 1, H, W) in [0, 1] to another size as the pipeline does, the corners of both images on one another.

    Enlarged by bicubic interpolation (a = -0.75, as OpenCV's INTER_CUBIC) and clipped, reduced by the mean over the
    pixels that it covers (INTER_AREA).
    """
    if (height, width) == tuple(image.shape[2:]):
        return image
    if height <= image.shape[2] and width <= image.shape[3]:
        return F.interpolate(image, (height, width), mode="area")
    return F.interpolate(image, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class _Cameras:
    """How one pair is seen: output pixels along one own pixel, kernel, and where thermal is put, in output pixels."""

    thermal_ratio: float
    visible_ratio: float
    kernel: str
    offset: tuple[float, float]
    enlargement: float
    spoilt: bool
    noise: float  # standard deviation that every photograph has, 1 is white


def _draw_cameras(generator: torch.Generator, *, misplaced: float, spoilt: float, twice: bool) -> _Cameras:
    draw = torch.rand(10, generator=generator, dtype=torch.float64).tolist()
    integer = (2.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0, 8.0, 8.0, 1.0)[int(10 * draw[0])]
    thermal_ratio = integer if draw[1] < 0.6 else math.exp(draw[0] * math.log(COARSEST_THERMAL))
    visible_ratio = 1.0
    if draw[2] > 0.8:
        visible_ratio = math.exp(draw[3] * math.log(COARSEST_VISIBLE))
    elif draw[2] > 0.6:  # one camera's size for both is common
        visible_ratio = 2.0
        thermal_ratio = 2.0 if draw[3] < 0.6 else thermal_ratio
    is_spoilt = twice or draw[4] < spoilt
    reach = misplaced * min(thermal_ratio, 4.0) * (is_spoilt and draw[5] < 0.4)
    return _Cameras(
        thermal_ratio,
        visible_ratio,
        _KERNELS[int(draw[6] * len(_KERNELS))],
        (reach * (2 * draw[7] - 1), reach * (2 * draw[8] - 1)),
        1 + 0.01 * (2 * draw[5] / 0.4 - 1) * bool(reach),
        is_spoilt,
        (0.5 + 1.5 * draw[9]) / 255 * twice,
    )


def _photograph(scene: Tensor, ratio: float, cameras: _Cameras, generator: torch.Generator) -> Tensor:
    """Return (1, 1, H, W) as a camera gives it, 8 bit, with ``ratio`` output pixels along each of its own."""
    sides = [max(_LEAST_SIDE, round(side / ratio)) for side in scene.shape[2:]]
    image = downscale_to(scene, sides[0], sides[1], cameras.kernel)
    if cameras.spoilt:
        image = spoil(image.clone(), generator)
    if cameras.noise:
        image = (image + cameras.noise * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    return image.mul(255).round().div(255)


def _see(thermal: Tensor, visible: Tensor, cameras: _Cameras, generator: torch.Generator) -> Batch:
    """Return a pair (1, 1, H, W) as the network sees it."""
    height, width = visible.shape[2:]
    if any(cameras.offset):
        thermal = move(thermal, torch.tensor([cameras.offset]), cameras.enlargement)
    seen_thermal = _photograph(thermal, cameras.thermal_ratio, cameras, generator)
    seen_visible = _photograph(visible, cameras.visible_ratio, cameras, generator)
    return Batch(to_grid(seen_thermal, thermal_side(height), thermal_side(width)), to_grid(seen_visible, height, width))


def _flat(image: Tensor, generator: torch.Generator) -> Tensor:
    """Return what comes from a camera that sees nothing: black, white or one gray level, with noise or without."""
    draw, noise = torch.rand(2, generator=generator).tolist()
    level = 0.0 if draw < 0.4 else 1.0 if draw < 0.65 else (draw - 0.65) / 0.35
    flat = torch.full_like(image, level)
    return (flat + max(0.0, 2 * noise - 1) * 4 / 255 * torch.randn(image.shape, generator=generator)).clamp(0, 1)


def observe(
    truth: Batch,
    frames: Batch,
    generator: torch.Generator,
    *,
    views: int,
    alone: int,
    misplaced: float = 0.5,
    spoilt: float = 0.5,
    by_day: tuple[Batch, Batch] | None = None,
) -> Observed:
    """Return what two cameras would show of ``truth`` (B + alone pairs), crops of ``frames``, see :class:`Observed`.

    Each pair has cameras of its own. Thermal has 1 to 8 output pixels along each of its own, visible 1 (of 60 % of
    pairs) to 4; both are reduced by one of three kernels. A share of the pairs, ``spoilt``, are spoilt besides
    (:func:`~hkdnet_ros.training.augment.spoil`), and thermal is out of place in two fifths of those, by up to
    ``misplaced`` of its own pixels (counted as 4 output pixels at most) and 1 % in scale. Of the last ``alone`` pairs
    one modality is missing. The first ``views`` pairs are always spoilt, noisy at least, and twice, differently.

    A teacher sees the truth of the first views. Or it sees ``by_day``, crops and frames before some of them were
    darkened to night, for all views, also where the student sees one modality alone.
    """
    count = len(truth.thermal) - alone
    seen: list[Batch] = []
    second: list[Batch] = []
    for index in range(count + alone):
        cameras = _draw_cameras(generator, misplaced=misplaced, spoilt=spoilt, twice=index < views)
        pair = [image[index : index + 1] for image in truth]
        seen.append(_see(pair[0], pair[1], cameras, generator))
        if index < views:
            second.append(_see(pair[0], pair[1], cameras, generator))
    frame = frame_statistics(*frames)
    if by_day is None:
        clean, clean_frame = Batch(*(image[:count] for image in truth)), frame[:count].clone()
    else:
        pairs = [*range(count), *range(views), *range(count, count + alone)]
        clean, clean_frame = Batch(*(image[pairs] for image in by_day[0])), frame_statistics(*by_day[1])[pairs]
    missing = torch.rand(alone, generator=generator) < 0.5
    lone = []
    for index in range(alone):
        thermal, visible = seen[count + index]
        if bool(missing[index]):
            seen[count + index] = Batch(_flat(thermal, generator), visible)
            frame[count + index, :2] = frame_statistics(*seen[count + index])[0, :2]
        else:
            seen[count + index] = Batch(thermal, _flat(visible, generator))
            frame[count + index, 2:] = frame_statistics(*seen[count + index])[0, 2:]
        lone.append((truth.visible if bool(missing[index]) else truth.thermal)[count + index])
    ordered = seen[:count] + second + seen[count:]
    return Observed(
        truth.thermal[:count],
        truth.visible[:count],
        frames.thermal[:count].mean((1, 2, 3), keepdim=True),
        torch.stack(lone) if lone else truth.thermal[:0],
        torch.cat([pair.thermal for pair in ordered]),
        torch.cat([pair.visible for pair in ordered]),
        torch.cat([frame[:count], frame[:views], frame[count:]]),
        *clean,
        clean_frame,
    )
