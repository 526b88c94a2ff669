"""Visual information fidelity in the pixel domain, over four scales."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from .images import Image, check_size

WINDOWS = (17, 9, 5, 3)
NOISE_VARIANCE = 2.0
VIF_LEAST = 41  # below, the coarsest scale would not hold its window
TINY = 1e-10


def visual_metrics(thermal: Image, visible: Image, fused: Image) -> dict[str, float]:
    """Return VIFp = VIF(thermal, fused) + VIF(visible, fused)."""
    first, second = vif((thermal, visible), fused)
    return {"VIFp": first + second}


def vif(references: tuple[Image, ...], distorted: Image) -> list[float]:
    """Return the visual information fidelity of ``distorted`` to each reference, from 0; 1 is equality.

    Pixel-domain form of Sheikh, Bovik, "Image information and visual quality", IEEE TIP 2006: the share of the
    information in the reference's local variance that passes a local gain with additive noise, visual noise of variance
    2, Gaussian windows of 17, 9, 5, 3 pixels with sigma a fifth of them. Each further scale is the valid region of the
    last one under its own window, every second pixel. 0 for a flat reference. Raises
    :class:`ImageError` under 41 pixels.
    """
    check_size(distorted, VIF_LEAST, "VIFp")
    passed = [0.0] * len(references)
    present = [0.0] * len(references)
    levels = list(references)
    for scale, window in enumerate(WINDOWS):
        if scale > 0:
            distorted = _blur(distorted, window)[::2, ::2]
            levels = [_blur(level, window)[::2, ::2] for level in levels]
        mean_d = _blur(distorted, window)
        variance_d = np.maximum(_blur(distorted * distorted, window) - mean_d * mean_d, 0)
        for index, reference in enumerate(levels):
            mean_r = _blur(reference, window)
            variance_r = np.maximum(_blur(reference * reference, window) - mean_r * mean_r, 0)
            covariance = _blur(reference * distorted, window) - mean_r * mean_d
            textured = (variance_r >= TINY) & (variance_d >= TINY) & (covariance > 0)
            gain = np.where(textured, covariance / np.maximum(variance_r, TINY), 0)
            noise = np.maximum(variance_d - gain * covariance, TINY)
            passed[index] += float(np.log1p(gain * gain * variance_r / (noise + NOISE_VARIANCE)).sum())
            present[index] += float(np.log1p(variance_r / NOISE_VARIANCE).sum())
    return [out / into if into > TINY else 0.0 for out, into in zip(passed, present, strict=True)]


def _blur(image: Image, window: int) -> Image:
    """Return the Gaussian mean over ``window`` pixels where the window lies inside the image."""
    kernel = cv2.getGaussianKernel(window, window / 5)
    margin = window // 2
    blurred = cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel)[margin:-margin, margin:-margin]
    return cast("Image", blurred)
