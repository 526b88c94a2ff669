"""Contrast of the fused image alone. All rise with noise, sharpening and stretching: to be reported, never pursued."""

from __future__ import annotations

import numpy as np

from .images import Image, check_size


def contrast_metrics(thermal: Image, visible: Image, fused: Image) -> dict[str, float]:
    """Return SD, SF and AG of ``fused``, in gray levels.

    SD: population standard deviation. SF: spatial frequency, root of the summed mean squares of the forward differences
    along rows and columns. AG: mean of sqrt((gx^2 + gy^2) / 2) with central differences, one-sided at the border.
    """
    check_size(fused, 2, "SF")
    along_row, along_column = np.diff(fused, axis=1), np.diff(fused, axis=0)
    gradient_y, gradient_x = np.gradient(fused)
    return {
        "SD": float(fused.std()),
        "SF": float(np.sqrt(np.square(along_row).mean() + np.square(along_column).mean())),
        "AG": float(np.sqrt((gradient_x**2 + gradient_y**2) / 2).mean()),
    }
