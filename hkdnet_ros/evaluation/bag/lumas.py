"""A fused frame and its two sources as gray images of one size: what everything is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.color import luma
from ...images.frames import THERMAL, VISIBLE
from ...images.resampling import resample
from ...perception.sink import Output

FUSED = "fused"
IMAGES = (THERMAL, VISIBLE, FUSED)

Gray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lumas:
    """Gray images (H, W) of the output's size, uint8; thermal is the conditioned image."""

    thermal: Gray
    visible: Gray
    fused: Gray

    def named(self) -> dict[str, Gray]:
        """Return them by name, in the order of :data:`IMAGES`."""
        return {THERMAL: self.thermal, VISIBLE: self.visible, FUSED: self.fused}


def lumas_of(output: Output) -> Lumas | None:
    """Return the gray images of ``output``; None where it was not made of both cameras."""
    fused = output.fused
    if fused.thermal is None or output.visible is None:
        return None
    image = fused.image if fused.image.ndim == 2 else luma(fused.image, "bgr8")
    height, width = image.shape
    visible = luma(output.visible.image, output.visible.encoding)
    if visible.dtype != np.uint8:
        visible = visible * np.float32(255)
    thermal = resample(fused.thermal * np.float32(255), width, height)
    return Lumas(_rounded(thermal), _rounded(resample(visible, width, height)), _rounded(image))


def _rounded(image: NDArray[Any]) -> Gray:
    return image if image.dtype == np.uint8 else np.clip(np.rint(image), 0, 255).astype(np.uint8)
