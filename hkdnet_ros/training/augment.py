"""Random changes of the scene's brightness, and the low-resolution cameras a student sees it through; on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .data import Batch


def _uniform(generator: torch.Generator, count: int, low: float, high: float) -> Tensor:
    """Return ``count`` uniform numbers as (count, 1, 1, 1)."""
    return (low + (high - low) * torch.rand(count, generator=generator)).view(-1, 1, 1, 1)


def vary_brightness(batch: Batch, generator: torch.Generator) -> Batch:
    """Change gain, offset and gamma of half of the images, each modality by itself."""
    varied = []
    for image in batch:
        count = image.shape[0]
        gamma = torch.exp(_uniform(generator, count, -0.35, 0.35))
        gain = _uniform(generator, count, 0.75, 1.15)
        offset = _uniform(generator, count, -0.08, 0.08)
        chosen = _uniform(generator, count, 0, 1) < 0.5
        changed = (gain * image.clamp_min(1e-4).pow(gamma) + offset).clamp(0, 1)
        varied.append(torch.where(chosen, changed, image))
    return Batch(*varied)


def darken(visible: Tensor, generator: torch.Generator) -> Tensor:
    """Darken an eighth of the visible images, (B, 1, H, W), to night."""
    night = _uniform(generator, len(visible), 0, 1) < 0.125
    return torch.where(night, visible * _uniform(generator, len(visible), 0.15, 0.6), visible)


def vary_intensity(batch: Batch, generator: torch.Generator) -> Batch:
    """Vary the brightness of both modalities and darken visible, see :func:`vary_brightness`, :func:`darken`."""
    thermal, visible = vary_brightness(batch, generator)
    return Batch(thermal, darken(visible, generator))


def downscale(image: Tensor, scale: int, kernel: str = "bilinear") -> Tensor:
    """Reduce (B, 1, H, W) by ``scale`` with antialiasing: ``bilinear`` (as PIL does), ``bicubic`` or ``area``."""
    if kernel == "area":
        return F.avg_pool2d(image, scale)
    return downscale_to(image, image.shape[2] // scale, image.shape[3] // scale, kernel)


def downscale_to(image: Tensor, height: int, width: int, kernel: str) -> Tensor:
    """Reduce (B, 1, H, W) to any smaller size with antialiasing, by a kernel as of :func:`downscale`."""
    if kernel == "area":
        return F.interpolate(image, (height, width), mode="area")
    return F.interpolate(image, (height, width), mode=kernel, antialias=True, align_corners=False).clamp(0, 1)


def move(image: Tensor, offset: Tensor, enlargement: float = 1.0) -> Tensor:
    """Move (B, 1, H, W) by ``offset`` (B, 2) pixels, x first, and enlarge it, with mirrored borders."""
    batch, _, height, width = image.shape
    theta = torch.eye(2, 3).div(enlargement).repeat(batch, 1, 1)
    theta[:, :, 2] = 2 * offset / torch.tensor([width, height])
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image of (B, 1, H, W) by its own Gaussian, ``sigma`` (B,) pixels up to 1.2, with mirrored borders."""
    position = torch.arange(-3, 4)
    window = torch.exp(-position.square() / (2 * sigma[:, None].square()))  # (B, 7)
    window = window / window.sum(1, keepdim=True)
    padded = F.pad(image, (3, 3, 3, 3), "reflect").transpose(0, 1)  # (1, B, H + 6, W + 6)
    count = image.shape[0]
    rows = F.conv2d(padded, window.view(count, 1, 7, 1), groups=count)
    return F.conv2d(rows, window.view(count, 1, 1, 7), groups=count).transpose(0, 1)


def _compress(image: Tensor, quality: Sequence[int]) -> Tensor:
    """Return (B, 1, H, W) as it comes back from JPEG, each image at its own ``quality``."""
    eight_bit = image.mul(255).round().to(torch.uint8).numpy()
    decoded: list[Any] = []
    for plane, level in zip(eight_bit[:, 0], quality, strict=True):
        _, data = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, level])
        decoded.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    return torch.from_numpy(np.stack(decoded))[:, None].float().div(255)


def spoil(image: Tensor, generator: torch.Generator) -> Tensor:
    """Blur, add noise to and compress a share of (B, 1, H, W) each, in the order a camera does."""
    count = image.shape[0]

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    blurred = draw(0, 1) < 0.3
    sigma = draw(0.3, 0.9)
    if bool(blurred.any()):
        image[blurred] = _blur(image[blurred], sigma[blurred])
    deviation = draw(0, 4 / 255) * (draw(0, 1) < 0.5)
    noise = torch.randn(image.shape, generator=generator) * deviation.view(-1, 1, 1, 1)
    image = (image + noise).clamp(0, 1)
    compressed = draw(0, 1) < 0.3
    quality = draw(50, 95)
    if bool(compressed.any()):
        image[compressed] = _compress(image[compressed], quality[compressed].int().tolist())
    return image


def observe(batch: Batch, scale: int, generator: torch.Generator) -> Batch:
    """Return the low-resolution 8-bit pair that two cameras would give.

    Reduced by one of three kernels. Of half of the pairs that is all. In the others, two fifths have a thermal image
    out of place by up to half a low-resolution pixel, and of the images three tenths are blurred (sigma 0.3 to 0.9 px),
    half have noise (sigma up to 4 of 255) and three tenths went through JPEG (quality 50 to 95).
    """
    kernel = ("bilinear", "bilinear", "bilinear", "area", "bicubic")[int(torch.randint(5, (), generator=generator))]
    thermal, visible = (downscale(image, scale, kernel) for image in batch)
    count = thermal.shape[0]
    spoilt = torch.rand(count, generator=generator) < 0.5
    moved = spoilt & (torch.rand(count, generator=generator) < 0.4)
    offset = torch.rand(count, 2, generator=generator) - 0.5
    if bool(moved.any()):
        thermal[moved] = move(thermal[moved], offset[moved])
    if bool(spoilt.any()):
        for image in (thermal, visible):
            image[spoilt] = spoil(image[spoilt], generator)
    return Batch(*(image.mul(255).round().div(255) for image in (thermal, visible)))
