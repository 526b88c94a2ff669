"""Smoke: two drifting sheets of fractal noise across the street, opaque to the eye, nearly clear to thermal."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .arrays import Array, f32
from .geometry import View
from .lighting import Lighting
from .props import BIN
from .textures import NoiseBank

THERMAL_OPACITY = 0.10  # of smoke that is opaque to the eye


class SmokeSheet:
    """Smoke in a plane at ``distance`` metres, thinning out over what stands just behind it."""

    def __init__(
        self, view: View, light: Lighting, noise: NoiseBank, depth: Array, distance: float, density: float
    ) -> None:
        """``view`` is that of the truth; ``depth`` its static depth map in metres, of the same size."""
        self.distance = distance
        self._noise = noise.field("cloud"), noise.field("rough")
        self._size = (view.width, view.height)
        self._behind = np.clip((depth - distance) / 3.0, 0.0, 1.0)
        self._warmth = light.air + 1.0
        self._half = (max(view.width // 2, 1), max(view.height // 2, 1))
        source = view.image_points(view.camera_points(f32([[BIN[0], 0.8, BIN[1]]])))[0] / 2
        rows, columns = np.mgrid[0 : self._half[1], 0 : self._half[0]].astype(np.float32)
        metre = view.focal / 2 / distance
        x, y = (columns - source[0]) / metre, (source[1] - rows) / metre
        # A plume that rises from the bin and leans with the wind, and a bank that the wind lays over the street.
        lean = x - 0.55 * np.maximum(y, 0.0) ** 1.15
        plume = np.exp(-((lean / (0.35 + 0.42 * np.maximum(y, 0.0))) ** 2)) * np.clip(1 + 3 * y, 0, 1) * 1.3
        bank = (
            0.85
            * np.exp(-(((y - 1.6 - 0.12 * x) / 1.9) ** 2))
            * np.clip((x + 0.5) / 2.0, 0, 1)
            * np.clip((11.0 - x) / 4, 0, 1)
        )
        self._envelope = (density * np.maximum(plume, bank)).astype(np.float32)
        shade = 188.0 - 46.0 * np.exp(-((lean / 2.5) ** 2)) * np.exp(-np.maximum(y, 0) / 5.0)  # darker by the fire
        self._tone = cv2.merge([np.asarray(cv2.resize(shade, self._size), np.uint8)] * 3)
        self._tiles = 512 / (11.0 * metre), 512 / (4.6 * metre)  # noise pixels per half-size pixel
        self._speed = 1.1 * metre, 0.55 * metre  # half-size pixels a second, with the wind and up

    def opacity(self, time: float) -> Array:
        """Return the share (H, W) of the light that the sheet takes, at ``time`` seconds."""
        billow = np.zeros(self._half[::-1], np.float32)
        for field, zoom, weight, hurry in zip(self._noise, self._tiles, (0.58, 0.22), (1.0, 1.5), strict=True):
            across, up = -self._speed[0] * hurry * time * zoom % 512, self._speed[1] * hurry * time * zoom % 512
            warp = f32([[zoom, 0, across], [0, zoom, up]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            billow += weight * cv2.warpAffine(field, warp, self._half, flags=flags, borderMode=cv2.BORDER_WRAP)
        thick = np.clip(self._envelope * (1.15 + billow) - 0.12, 0.0, 0.97)
        return np.asarray(cv2.resize(thick, self._size, interpolation=cv2.INTER_LINEAR) * self._behind, np.float32)

    def lay_over(self, colour: NDArray[np.uint8], temperature: Array, time: float) -> None:
        """Veil truth images (H, W, 3) and (H, W) in place."""
        opacity = self.opacity(time)
        cv2.blendLinear(colour, self._tone, 1.0 - opacity, opacity, dst=colour)
        temperature += (self._warmth - temperature) * (THERMAL_OPACITY * opacity)
