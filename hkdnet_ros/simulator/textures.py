"""Noise and patterns in world coordinates, filtered to the pixel footprint so that distant detail fades."""

from __future__ import annotations

import cv2
import numpy as np

from .arrays import Array, f32


def fractal_noise(size: int, exponent: float, seed: int) -> Array:
    """Return tileable (size, size) noise, zero mean and unit variance, amplitude falling as frequency^-exponent."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(spectrum * frequency**-exponent, s=(size, size))
    return f32(noise / noise.std())


class NoiseBank:
    """Tileable noise fields of one scene, looked up at world coordinates."""

    SIZE = 512

    def __init__(self, seed: int) -> None:
        self._fields = {
            "fine": fractal_noise(self.SIZE, 0.35, seed),
            "rough": fractal_noise(self.SIZE, 1.0, seed + 1),
            "cloud": fractal_noise(self.SIZE, 1.75, seed + 2),
        }

    def field(self, name: str) -> Array:
        """Return the (512, 512) field itself."""
        return self._fields[name]

    def sample(self, name: str, u: Array, v: Array, period: float | tuple[float, float]) -> Array:
        """Look the field up bilinearly at (u, v) metres, one tile per ``period`` metres; shape of ``u``."""
        period_u, period_v = (period, period) if isinstance(period, float) else period
        shape = u.shape
        count = u.size
        rows = -(-count // 1024)  # cv2.remap takes images only, so a list of points is folded into one
        map_u = np.zeros((rows, 1024), np.float32)
        map_v = np.zeros((rows, 1024), np.float32)
        map_u.ravel()[:count] = np.mod(u.ravel() / period_u, 1.0) * self.SIZE
        map_v.ravel()[:count] = np.mod(v.ravel() / period_v, 1.0) * self.SIZE
        values = cv2.remap(self._fields[name], map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return np.asarray(values.ravel()[:count].reshape(shape), np.float32)


def cell_hash(i: Array, j: Array, salt: float) -> Array:
    """Return a repeatable value in [0, 1) for every pair of cell numbers."""
    value = np.sin(i.astype(np.float64) * 12.9898 + j.astype(np.float64) * 78.233 + salt * 37.719) * 43758.5453
    return (value - np.floor(value)).astype(np.float32)


def band(distance: Array, half_width: float | Array, footprint: Array) -> Array:
    """Coverage in [0, 1] of a pixel of size ``footprint`` by the band |distance| < half_width."""
    covered = np.clip((half_width - np.abs(distance)) / footprint + 0.5, 0.0, 1.0)
    return np.asarray(covered * np.minimum(1.0, 2.0 * half_width / footprint), np.float32)


def stripes(position: Array, period: float, width: float, footprint: Array) -> Array:
    """Coverage of a pixel by stripes of ``width`` around every multiple of ``period``; fades to the mean far away."""
    offset = position - np.round(position / period) * period
    near = band(offset, width / 2, footprint)
    far = np.clip(footprint / period, 0.0, 1.0)
    return np.asarray(near * (1 - far) + (width / period) * far, np.float32)


def mix(first: Array, second: Array | tuple[float, ...] | float, weight: Array) -> Array:
    """Blend two fields; a trailing colour axis of ``first`` is broadcast over ``weight``."""
    if first.ndim > weight.ndim:
        weight = weight[..., None]
    return np.asarray(first + (np.asarray(second, np.float32) - first) * weight, np.float32)
