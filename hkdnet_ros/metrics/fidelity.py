"""Fidelity of a super-resolved fused image to the one fused from high-resolution sources."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .correlation import mean_squared_error, psnr
from .images import eight_bit
from .structural import ssim

FIDELITY_KEYS = ("SR_PSNR", "SR_SSIM")


def fidelity_metrics(output: NDArray[Any], teacher: NDArray[Any]) -> dict[str, float]:
    """Return SR_PSNR (dB, infinity for equality) and SR_SSIM of the student's ``output`` against the ``teacher``'s.

    Gray (H, W) of one size, 11 pixels or more, uint8 or float 0..255, rounded and clipped to 8 bits here. Raises
    :class:`ImageError` for images that do not fit together or are too small.
    """
    first, second = eight_bit(output=output, teacher=teacher)
    return {"SR_PSNR": psnr(mean_squared_error(first, second)), "SR_SSIM": ssim(first, second)}
