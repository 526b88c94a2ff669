"""What the two cameras make of the scene: thermal counts with noise, fixed pattern and drift; a noisy colour image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .arrays import Array, f32
from .config import SceneConfig

COUNTS_PER_KELVIN = 80.0
COUNTS_AT_ZERO = 4000.0  # at 0 deg C
MAX_COUNT = 16383  # 14 bits


def counts_of(temperature: float) -> float:
    """Return the noise-free count of a temperature in deg C (before rounding and the 14-bit limits)."""
    return COUNTS_AT_ZERO + COUNTS_PER_KELVIN * temperature


class ThermalSensor:
    """A microbolometer: linear 14-bit counts, column and pixel offsets left over after correction, slow drift."""

    def __init__(self, config: SceneConfig) -> None:
        self._config = config
        width, height = config.thermal_size
        rng = np.random.default_rng([config.seed, 41])
        columns = rng.standard_normal((1, width)) * 0.7
        pixels = rng.standard_normal((height, width)) * 0.7
        self._pattern = (config.fixed_pattern * (columns + pixels)).astype(np.float32)
        rows, cols = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        self._bowl = (rows * rows + cols * cols - 0.7).astype(np.float32)  # warm housing seen at the corners
        self._phases = rng.uniform(0, 2 * np.pi, 3)

    def drift(self, index: int) -> float:
        """Return the offset in K common to all pixels of a frame: two slow waves, 0 on average."""
        time = index / self._config.fps
        slow, quick, _ = self._phases
        wave = 0.75 * np.sin(2 * np.pi * time / 47.0 + slow) + 0.25 * np.sin(2 * np.pi * time / 11.0 + quick)
        return float(self._config.drift * wave)

    def read(self, temperature: Array, index: int) -> NDArray[np.uint16]:
        """Return the counts (H, W) of an image of temperatures in deg C."""
        config = self._config
        rng = np.random.default_rng([config.seed, 43, index])
        bowl = 0.3 * config.drift * np.sin(2 * np.pi * index / config.fps / 71.0 + self._phases[2])
        kelvin = temperature + self._pattern
        kelvin += config.netd * rng.standard_normal(temperature.shape, dtype=np.float32)
        kelvin += f32(self.drift(index)) + f32(bowl) * self._bowl
        counts = np.rint(COUNTS_AT_ZERO + COUNTS_PER_KELVIN * kelvin)
        return np.asarray(np.clip(counts, 0, MAX_COUNT), np.uint16)


class ColourSensor:
    """A colour camera: read noise, and shot noise that grows with the root of the light."""

    def __init__(self, config: SceneConfig, noise: float) -> None:
        self._seed = config.seed
        level = np.arange(256, dtype=np.float32)
        self._sigma = noise * np.sqrt(0.35 + 0.65 * level / 128.0).astype(np.float32)

    def read(self, colour: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """Return a noisy copy of an image (H, W, 3)."""
        rng = np.random.default_rng([self._seed, 47, index])
        noise = rng.standard_normal(colour.shape, dtype=np.float32)
        noise *= cv2.LUT(colour, self._sigma)
        noise += colour
        return np.asarray(np.clip(np.rint(noise), 0, 255), np.uint8)
