"""Random changes of the scene's brightness, and the low-resolution cameras that a student sees it through."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .data import Batch


def _uniform(generator: torch.Generator, count: int, low: float, high: float, device: torch.device) -> Tensor:
    """Return ``count`` uniform numbers as (count, 1, 1, 1), drawn on the CPU so that every device sees the same."""
    return (low + (high - low) * torch.rand(count, generator=generator)).view(-1, 1, 1, 1).to(device)


def vary_intensity(batch: Batch, generator: torch.Generator) -> Batch:
    """Change gain, offset and gamma of half of the images, each modality by itself, and darken an eighth to night."""
    varied = []
    for image, is_visible in ((batch.thermal, False), (batch.visible, True)):
        count, device = image.shape[0], image.device
        gamma = torch.exp(_uniform(generator, count, -0.35, 0.35, device))
        gain = _uniform(generator, count, 0.75, 1.15, device)
        offset = _uniform(generator, count, -0.08, 0.08, device)
        chosen = _uniform(generator, count, 0, 1, device) < 0.5
        changed = (gain * image.clamp_min(1e-4).pow(gamma) + offset).clamp(0, 1)
        image = torch.where(chosen, changed, image)
        if is_visible:
            night = _uniform(generator, count, 0, 1, device) < 0.125
            image = torch.where(night, image * _uniform(generator, count, 0.15, 0.6, device), image)
        varied.append(image)
    return Batch(*varied)


def downscale(image: Tensor, scale: int, kernel: str = "bilinear") -> Tensor:
    """Reduce (B, 1, H, W) by ``scale`` with antialiasing: ``bilinear`` (as PIL does), ``bicubic`` or ``area``."""
    size = (image.shape[2] // scale, image.shape[3] // scale)
    if kernel == "area":
        return F.avg_pool2d(image, scale)
    return F.interpolate(image, size, mode=kernel, antialias=True, align_corners=False).clamp(0, 1)


def _shift(image: Tensor, offset: Tensor) -> Tensor:
    """Move (B, 1, H, W) by ``offset`` (B, 2) pixels, x first, with mirrored borders."""
    batch, _, height, width = image.shape
    theta = torch.eye(2, 3, device=image.device).repeat(batch, 1, 1)
    theta[:, :, 2] = 2 * offset / torch.tensor([width, height], device=image.device)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def observe(batch: Batch, scale: int, generator: torch.Generator) -> Batch:
    """Return the low-resolution 8-bit pair that two cameras would give.

    One of three downscaling kernels; noise of sigma up to 2.5 of 255 in a third of the images; in a fifth of the pairs
    a thermal image out of place by up to half a low-resolution pixel.
    """
    draw = float(torch.rand(1, generator=generator))
    kernel = "bilinear" if draw < 0.6 else "area" if draw < 0.8 else "bicubic"
    thermal, visible = (downscale(image, scale, kernel) for image in batch)
    count, device = thermal.shape[0], thermal.device
    offset = torch.rand(count, 2, generator=generator) - 0.5
    moved = torch.rand(count, generator=generator) < 0.2
    if bool(moved.any()):
        # Only those pairs are resampled: a shift of zero would soften nothing but costs as much.
        index = moved.nonzero()[:, 0]
        thermal = thermal.clone()
        thermal[index.to(device)] = _shift(thermal[index.to(device)], offset[index].to(device))
    observed = []
    for image in (thermal, visible):
        sigma = _uniform(generator, count, 0, 2.5 / 255, device)
        noisy = _uniform(generator, count, 0, 1, device) < 1 / 3
        noise = torch.randn(image.shape, generator=generator).to(device) * sigma * noisy
        observed.append((image + noise).clamp(0, 1).mul(255).round().div(255))
    return Batch(*observed)
