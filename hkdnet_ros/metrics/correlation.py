"""Linear likeness of the fused image to its sources: CC, SCD and PSNR."""

from __future__ import annotations

import math

import numpy as np

from .images import Image


def correlation_metrics(thermal: Image, visible: Image, fused: Image) -> dict[str, float]:
    """Return CC, SCD and PSNR (dB).

    CC: mean of corr(A, F) and corr(B, F). SCD: corr(F - B, A) + corr(F - A, B), what of each source is in the fused
    image beyond the other (Aslantas, Bendes, "A new image quality metric for image fusion: the sum of the
    correlations of differences", AEU 2015). PSNR: over the mean of the two mean squared errors.
    """
    error = (mean_squared_error(thermal, fused) + mean_squared_error(visible, fused)) / 2
    return {
        "CC": (correlation(thermal, fused) + correlation(visible, fused)) / 2,
        "SCD": correlation(fused - visible, thermal) + correlation(fused - thermal, visible),
        "PSNR": psnr(error),
    }


def correlation(first: Image, second: Image) -> float:
    """Return Pearson's correlation; 0 where an image is flat."""
    first, second = first - first.mean(), second - second.mean()
    power = float(np.vdot(first, first) * np.vdot(second, second))
    return float(np.vdot(first, second)) / math.sqrt(power) if power > 0 else 0.0


def mean_squared_error(first: Image, second: Image) -> float:
    """Return the mean squared difference, in squared gray levels."""
    return float(np.square(first - second).mean())


def psnr(error: float) -> float:
    """Return 10 log10(255^2 / error) in dB for a mean squared error; infinity for 0."""
    return 10 * math.log10(255**2 / error) if error > 0 else math.inf
