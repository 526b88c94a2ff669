"""Losses of fusion and distillation. Images are float (B, 1, H, W) in [0, 1]; every loss is a scalar, 0 at best."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor


@functools.lru_cache(maxsize=64)
def gaussian_band(length: int, size: int, sigma: float, device: torch.device) -> Tensor:
    """Return the (length - size + 1, length) matrix that filters a line with ``size`` Gaussian taps, valid region."""
    position = torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
    window = torch.exp(-position.square() / (2 * sigma * sigma))
    band = torch.zeros(length - size + 1, length, device=device)
    for row in range(length - size + 1):
        band[row, row : row + size] = window / window.sum()
    return band


def gaussian_filter(x: Tensor, size: int, sigma: float, *, step: int = 1) -> Tensor:
    """Filter (B, C, H, W) separably, valid region, and keep every ``step``-th row and column.

    As two matrix products: for crops of a hundred pixels several times faster than one-channel convolutions.
    """
    height, width = x.shape[2:]
    rows = gaussian_band(height, size, sigma, x.device)[::step]
    columns = gaussian_band(width, size, sigma, x.device)[::step]
    return torch.matmul(rows, torch.matmul(x, columns.T))


def signed_gradient(x: Tensor) -> Tensor:
    """Return the horizontal and vertical Sobel derivatives, (B, 1, H, W) to (B, 2, H - 2, W - 2)."""
    # Slices instead of a convolution: one channel gives convolution kernels nothing to chew on.
    across = x[..., 2:] - x[..., :-2]
    along = x[..., 2:, :] - x[..., :-2, :]
    horizontal = (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 8
    vertical = (along[..., :-2] + 2 * along[..., 1:-1] + along[..., 2:]) / 8
    return torch.cat([horizontal, vertical], 1)


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity per pixel of the valid region (Wang et al. 2004): 11x11 Gaussian, sigma 1.5, L = 1."""
    stacked = torch.cat([a, b, a * a, b * b, a * b], 1)
    mean_a, mean_b, aa, bb, ab = gaussian_filter(stacked, 11, 1.5).split(1, 1)
    var_a, var_b, cov = aa - mean_a * mean_a, bb - mean_b * mean_b, ab - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    return luminance * (2 * cov + c2) / (var_a + var_b + c2)


def ssim_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """One minus the mean of SSIM(thermal, fused) and SSIM(visible, fused), see :func:`ssim_map`."""
    return 1 - (ssim_map(thermal, fused).mean() + ssim_map(visible, fused).mean()) / 2


def coarse_ssim_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """One minus the mean structural similarity to both sources, of 2x2 and of 4x4 means of pixels.

    The coarser scales of MS-SSIM (Wang, Simoncelli, Bovik, Asilomar 2003), as a mean instead of a product, which has no
    gradient where one scale is unlike. A scale that would not hold the window is left out.
    """
    losses = [torch.zeros((), device=fused.device)]
    for factor in (2, 4):
        if min(fused.shape[2:]) >= 11 * factor:
            losses.append(ssim_loss(*(F.avg_pool2d(image, factor) for image in (fused, thermal, visible))))
    return torch.stack(losses).sum() / max(len(losses) - 1, 1)


def vif(reference: Tensor, image: Tensor) -> Tensor:
    """Pixel-domain visual information fidelity per image, (B,) (Sheikh and Bovik 2006): 4 scales, noise variance 2.

    Windows are Gaussians of 17, 9, 5, 3 taps, sigma a fifth; images are scaled to 0..255. ``image`` may be anything
    differentiable.
    """
    a, b = 255 * reference, 255 * image
    gained = torch.zeros(a.shape[0], device=a.device)
    available = torch.zeros_like(gained)
    for scale, size in enumerate((17, 9, 5, 3)):
        if scale:
            a, b = gaussian_filter(torch.cat([a, b], 1), size, size / 5, step=2).split(1, 1)
        stacked = torch.cat([a, b, a * a, b * b, a * b], 1)
        mean_a, mean_b, aa, bb, ab = gaussian_filter(stacked, size, size / 5).split(1, 1)
        var_a = (aa - mean_a * mean_a).clamp_min(0)
        var_b = (bb - mean_b * mean_b).clamp_min(0)
        cov = ab - mean_a * mean_b
        gain = (cov / (var_a + 1e-2)).clamp_min(0)
        residual = (var_b - gain * cov).clamp_min(1e-2)
        gained = gained + torch.log1p(gain.square() * var_a / (residual + 2)).sum((1, 2, 3))
        available = available + torch.log1p(var_a / 2).sum((1, 2, 3))
    return gained / available.clamp_min(1e-6)


def vif_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """One minus the mean of VIF(thermal, fused) and VIF(visible, fused), see :func:`vif`."""
    return 1 - (vif(thermal, fused).mean() + vif(visible, fused).mean()) / 2


def local_contrast(x: Tensor) -> Tensor:
    """Return how much brighter each pixel is than its surroundings, a Gaussian mean of sigma 16 px."""
    coarse = F.avg_pool2d(x, 4, ceil_mode=True, count_include_pad=False)
    around = gaussian_filter(F.pad(coarse, (8, 8, 8, 8), "replicate"), 17, 4.0)
    return x - F.interpolate(around, x.shape[2:], mode="bilinear")


def thermal_saliency(thermal: Tensor, *, low: float = 0.06, high: float = 0.25) -> Tensor:
    """Return where thermal is warmer than its surroundings, from 0 at an excess of ``low`` to 1 at one of ``high``."""
    return ((local_contrast(thermal) - low) / (high - low)).clamp(0, 1)


def intensity_target(thermal: Tensor, visible: Tensor) -> Tensor:
    """Return the brightness to aim at: that of the brighter source, less where it is glaring, more where it is warm.

    A maximum alone loses a warm person in front of ground or lamps that are bright in the visible image. So a tenth of
    the way towards the mean of both is gone everywhere, and up to two fifths where the visible image is near white.
    That leaves the top of the range to what is salient in the thermal image: it is drawn a fifth of the way to white.
    """
    glare = ((visible - 0.5) / 0.4).clamp(0, 1)
    target = torch.lerp(torch.maximum(thermal, visible), (thermal + visible) / 2, 0.1 + 0.3 * glare)
    saliency = thermal_saliency(thermal)
    target = torch.lerp(target, torch.maximum(thermal, target), saliency)
    return torch.lerp(target, torch.ones_like(target), 0.2 * saliency)


def tone_target(thermal: Tensor, visible: Tensor, level: Tensor) -> Tensor:
    """Return the brightness to aim at where visible is sharp: visible, brighter where thermal is above ``level``.

    ``level`` (B, 1, 1, 1) is thermal's mean over the whole frame. So both images' contrasts are there everywhere, no
    veil lies over the visible image, and the frame's brightness stays what it was; a maximum shows nothing of thermal
    where visible is brighter, as everywhere by day. Two fifths of thermal's excess count, up to four fifths where the
    visible image is dark. Where thermal is salient the target is as of :func:`intensity_target`.
    """
    dark = (1 - 4 * (visible - local_contrast(visible))).clamp(0, 1)
    excess = thermal - level
    target = visible + torch.where(excess > 0, 0.4 + 0.4 * dark, 0.4) * excess
    saliency = thermal_saliency(thermal)
    target = torch.lerp(target, torch.maximum(thermal, target), saliency)
    return torch.lerp(target, torch.ones_like(target), 0.2 * saliency).clamp(0, 1)


def tone_loss(fused: Tensor, thermal: Tensor, visible: Tensor, level: Tensor, *, block: int = 4) -> Tensor:
    """Mean absolute difference from :func:`tone_target`, of means over blocks: edges are the other losses' matter."""
    return F.avg_pool2d(fused - tone_target(thermal, visible, level), block).abs().mean()


def intensity_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Mean absolute difference from :func:`intensity_target`.

    With the plain maximum as target it is the one of SeAFusion (Tang, Yuan, Ma, Information Fusion 82, 2022).
    """
    return (fused - intensity_target(thermal, visible)).abs().mean()


def contrast_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Mean lack of local contrast where the thermal image is salient, against that of :func:`intensity_target`.

    The mean is over the salient area, not the image: a person fills a hundredth of a picture, and as little of what a
    mean over all pixels sees. A pair where nothing is salient has a loss near 0.
    """
    saliency = thermal_saliency(thermal)
    lack = (local_contrast(intensity_target(thermal, visible)) - local_contrast(fused)).clamp_min(0)
    area = saliency.mean((1, 2, 3))
    return ((lack * saliency).mean((1, 2, 3)) / (area + 2e-3)).mean()


def warmth_loss(fused: Tensor, thermal: Tensor, visible: Tensor, *, block: int = 4) -> Tensor:
    """Mean difference from :func:`intensity_target` where thermal is salient, of means over blocks of ``block`` pixels.

    A coarse thermal image loses to a sharp visible one wherever losses compare pixel by pixel; what it does know is the
    mean over its own pixels. That fused, reduced, agrees with thermal is from DDcGAN (Ma et al., IEEE TIP 2020).
    """
    saliency = F.avg_pool2d(thermal_saliency(thermal), block)
    error = (F.avg_pool2d(fused - intensity_target(thermal, visible), block)).abs()
    return ((error * saliency).mean((1, 2, 3)) / (saliency.mean((1, 2, 3)) + 1e-2)).mean()


def gradient_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Mean absolute difference from the stronger source's gradient, with its sign, so that no edge is inverted.

    SeAFusion (Tang, Yuan, Ma, Information Fusion 82, 2022) compares the strengths alone.
    """
    a, b = signed_gradient(thermal), signed_gradient(visible)
    stronger = a.square().sum(1, keepdim=True) > b.square().sum(1, keepdim=True)
    return (signed_gradient(fused) - torch.where(stronger, a, b)).abs().mean()


def edge_preservation(source: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much of each edge of ``source`` the fused image keeps, in 0..1, and the edge's strength.

    Both (B, 1, H - 2, W - 2). The strength and orientation sigmoids are those of Xydeas and Petrovic (Electronics
    Letters 2000), made differentiable; an inverted edge counts as lost.
    """
    a, f = signed_gradient(source), signed_gradient(fused)
    floor = 1e-6
    strength_a = (a.square().sum(1, keepdim=True) + floor).sqrt()
    strength_f = (f.square().sum(1, keepdim=True) + floor).sqrt()
    ratio = torch.minimum(strength_a, strength_f) / torch.maximum(strength_a, strength_f)
    along = (a * f).sum(1, keepdim=True)
    across = a[:, :1] * f[:, 1:] - a[:, 1:] * f[:, :1]
    turn = torch.atan2((across.square() + floor**2).sqrt(), along)  # in (0, pi)
    kept = torch.sigmoid(15 * (ratio - 0.5)) * torch.sigmoid(22 * (1 - turn / (torch.pi / 2) - 0.8))
    return kept, strength_a


def edge_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """One minus the edge preservation of both sources, weighted by the strength of their edges, per image."""
    kept = weights = torch.zeros((), device=fused.device)
    for source in (thermal, visible):
        share, strength = edge_preservation(source, fused)
        kept = kept + (share * strength).sum((1, 2, 3))
        weights = weights + strength.sum((1, 2, 3))
    return 1 - (kept / weights).mean()


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return Pearson's correlation of each image with its partner, (B,); near 0 where one is flat."""
    a = a - a.mean((1, 2, 3), keepdim=True)
    b = b - b.mean((1, 2, 3), keepdim=True)
    power = a.square().mean((1, 2, 3)) * b.square().mean((1, 2, 3))
    return (a * b).mean((1, 2, 3)) / (power + 1e-8).sqrt()


def difference_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """One minus half the sum of the correlations of differences (Aslantas and Bendes, AEU 2015).

    What the fused image adds to one source should be what the other shows: this asks for the contrast of both.
    """
    return 1 - (correlation(fused - visible, thermal) + correlation(fused - thermal, visible)).mean() / 2


def artefact_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Mean strength of fused gradients beyond that of both sources: halos, ringing, noise.

    What counts as an artefact is from Shreyamsha Kumar (Signal, Image and Video Processing 2013).
    """
    strengths = [(signed_gradient(x).square().sum(1) + 1e-8).sqrt() for x in (fused, thermal, visible)]
    return (strengths[0] - torch.maximum(strengths[1], strengths[2])).clamp_min(0).mean()


def false_edge_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Share of the sources' edges that lie under fused edges stronger than both and unlike either, per image.

    The measure Nabf (Shreyamsha Kumar, Signal, Image and Video Processing 2013) made differentiable: its step from no
    artefact to artefact becomes a sigmoid a few gray levels wide.
    """
    strength = (signed_gradient(fused).square().sum(1, keepdim=True) + 1e-8).sqrt()
    edges = [edge_preservation(source, fused) for source in (thermal, visible)]
    artefact = torch.sigmoid(255 * (strength - torch.maximum(edges[0][1], edges[1][1])))
    lost = weights = torch.zeros((), device=fused.device)
    for kept, strength_of_source in edges:
        weight = strength_of_source**1.5
        lost = lost + (artefact * (1 - (kept + 1e-4).sqrt()) * weight).sum((1, 2, 3))
        weights = weights + weight.sum((1, 2, 3))
    return (lost / weights).mean()


def checkerboard_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Mean amplitude of patterns that alternate from pixel to pixel, by 8x8 pixels, beyond that of both sources.

    Enlarging by pixel shuffle or strides leaves them where the image is flat (Odena, Dumoulin and Olah, Distill 2016).
    The losses that see edges by Sobel gradients are blind to them: those are 0 for every such pattern.
    """
    rows = torch.arange(fused.shape[-2], device=fused.device)[:, None] % 2
    columns = torch.arange(fused.shape[-1], device=fused.device)[None] % 2
    signs = 1.0 - 2.0 * torch.stack(torch.broadcast_tensors(rows, columns, (rows + columns) % 2))  # (3, H, W)
    amplitudes = [F.avg_pool2d(x * signs, 8, 4).abs() for x in (fused, thermal, visible)]
    return (amplitudes[0] - torch.maximum(amplitudes[1], amplitudes[2])).clamp_min(0).sum(1).mean()


def soft_histogram(x: Tensor, bins: int) -> Tensor:
    """Share each pixel of every second row and column between the two gray levels next to it: (B, bins, pixels)."""
    level = x[..., ::2, ::2].flatten(1).clamp(0, 1)[:, None] * (bins - 1)
    return (1 - (level - torch.arange(bins, device=x.device)[None, :, None]).abs()).clamp_min(0)


def information_loss(fused: Tensor, thermal: Tensor, visible: Tensor, *, bins: int = 32) -> Tensor:
    """One minus the share of both sources' entropy that the fused image tells: the mutual informations over it.

    Mutual information as a measure of fusion is from Qu, Zhang and Yan (Electronics Letters 2002).
    """
    shares = soft_histogram(fused, bins)
    told = entropy = torch.zeros((), device=fused.device)
    for source in (thermal, visible):
        of_source = soft_histogram(source, bins)
        joint = of_source @ shares.transpose(1, 2) / shares.shape[2]  # (B, bins of source, bins of fused)
        rows, columns = joint.sum(2, keepdim=True), joint.sum(1, keepdim=True)
        told = told + (joint * (joint.clamp_min(1e-8) / (rows * columns).clamp_min(1e-8)).log()).sum((1, 2))
        entropy = entropy - (rows * rows.clamp_min(1e-8).log()).sum((1, 2))
    return 1 - (told / entropy.clamp_min(1e-2)).mean()
