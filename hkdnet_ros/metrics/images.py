"""What every measure starts from: gray images of one size, rounded and clipped to 8 bits, held as float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

Image = NDArray[np.float64]
"""(H, W), whole numbers 0..255: what :func:`eight_bit` returns and the measures take."""


def eight_bit(**images: NDArray[Any]) -> list[Image]:
    """Return the named (H, W) images, uint8 or float 0..255, rounded and clipped to 8 bits, as float64.

    Published figures come from saved 8-bit files, so that measures of unrounded images would not compare. Raises
    :class:`ImageError` for another shape or type, NaN, and images that differ in size.
    """
    for name, image in images.items():
        if image.ndim != 2 or not image.size:
            raise ImageError(f"{name} has shape {image.shape}; expected one gray image (H, W)")
        if image.dtype != np.uint8 and not np.issubdtype(image.dtype, np.floating):
            raise ImageError(f"{name} is {image.dtype}; expected uint8, or float in 0..255")
        if not np.isfinite(image).all():
            raise ImageError(f"{name} holds NaN or infinity; expected finite values in 0..255")
    sizes = {name: f"{image.shape[1]}x{image.shape[0]}" for name, image in images.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ImageError(f"images differ in size ({listed}); bring them to one grid before measuring")
    return [np.clip(np.rint(image), 0, 255).astype(np.float64) for image in images.values()]


def check_size(image: Image, least: int, measure: str) -> None:
    """Raise :class:`ImageError` where ``image`` is smaller than ``least`` pixels on a side."""
    if min(image.shape) < least:
        raise ImageError(
            f"image is {image.shape[1]}x{image.shape[0]}; {measure} needs {least}x{least} pixels or more, "
            "use larger images or leave it out"
        )


def min_max_stretch(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return ``image`` stretched linearly, its least value to 0 and its largest to 255; a flat image as it is.

    Most published methods do this on saving and gain by it in most measures; comparisons apply it to all or none.
    """
    values = image.astype(np.float32)
    low, high = values.min(), values.max()
    stretched: NDArray[np.float32] = (values - low) / (high - low) * np.float32(255) if high > low else values
    return stretched
