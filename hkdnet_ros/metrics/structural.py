"""Structural similarity, at one scale and at five."""

from __future__ import annotations

from typing import cast

import cv2

from .images import Image, check_size

WINDOW = 11
WINDOW_SIGMA = 1.5
LUMINANCE_CONSTANT = (0.01 * 255) ** 2
CONTRAST_CONSTANT = (0.03 * 255) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SSIM_LEAST = WINDOW
MS_SSIM_LEAST = WINDOW << (len(SCALE_WEIGHTS) - 1)


def ssim_metrics(thermal: Image, visible: Image, fused: Image) -> dict[str, float]:
    """Return SSIM, the mean over the two sources."""
    return {"SSIM": (ssim(thermal, fused) + ssim(visible, fused)) / 2}


def ms_ssim_metrics(thermal: Image, visible: Image, fused: Image) -> dict[str, float]:
    """Return SSIM and MSSSIM, each the mean over the two sources."""
    first, second = ms_ssim(thermal, fused), ms_ssim(visible, fused)
    return {"SSIM": (first[0] + second[0]) / 2, "MSSSIM": (first[1] + second[1]) / 2}


def ssim(first: Image, second: Image) -> float:
    """Return the mean structural similarity over the valid region.

    11x11 Gaussian window of sigma 1.5, population moments, L = 255 (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004).
    Raises :class:`ImageError` under 11 pixels.
    """
    check_size(first, SSIM_LEAST, "SSIM")
    return _similarity(first, second)[0]


def ms_ssim(first: Image, second: Image) -> tuple[float, float]:
    """Return SSIM and multi-scale SSIM (Wang, Simoncelli, Bovik, Asilomar 2003), sharing the finest scale.

    Five scales, each the 2x2 mean of the last, an odd row or column dropped; a negative mean contrast counts as 0.
    Raises :class:`ImageError` under 176 pixels, where the coarsest scale would not hold a window.
    """
    check_size(first, MS_SSIM_LEAST, "MSSSIM")
    finest = 0.0
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        similarity, contrast = _similarity(first, second)
        if scale == 0:
            finest = similarity
        term = similarity if scale == len(SCALE_WEIGHTS) - 1 else contrast
        product *= max(term, 0.0) ** weight
        first, second = _halve(first), _halve(second)
    return finest, product


def _similarity(first: Image, second: Image) -> tuple[float, float]:
    """Return the means of the SSIM map and of its contrast-structure factor alone."""
    mean_1, mean_2 = _blur(first), _blur(second)
    variances = _blur(first * first) + _blur(second * second) - mean_1 * mean_1 - mean_2 * mean_2
    covariance = _blur(first * second) - mean_1 * mean_2
    contrast = (2 * covariance + CONTRAST_CONSTANT) / (variances + CONTRAST_CONSTANT)
    luminance = (2 * mean_1 * mean_2 + LUMINANCE_CONSTANT) / (mean_1 * mean_1 + mean_2 * mean_2 + LUMINANCE_CONSTANT)
    return float((luminance * contrast).mean()), float(contrast.mean())


def _blur(image: Image) -> Image:
    kernel = cv2.getGaussianKernel(WINDOW, WINDOW_SIGMA)
    margin = WINDOW // 2
    blurred = cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel)[margin:-margin, margin:-margin]
    return cast("Image", blurred)


def _halve(image: Image) -> Image:
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    halved: Image = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
    return halved
