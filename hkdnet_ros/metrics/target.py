"""How well a target, as a warm person, stands out from what is around it in a gray image.

- ``contrast``: the target's mean level minus that of its surroundings, in gray levels; below 0 where it is darker.
- ``SCR``: the signal-to-clutter ratio of infrared target detection, |contrast| over the standard deviation of the
  surroundings (Gao et al., IEEE TIP 2013), which are held to have one gray level at least.
- ``distinct``: 1 where that ratio is 1 or more, else 0; its mean over targets is the share that stands out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

TARGET_KEYS = ("contrast", "SCR", "distinct")
"""Every measure, in table order."""

LEAST_PIXELS = 40
"""A smaller target is one whose shape nobody sees; surroundings need as many."""

_MARGIN = 2.0  # px beside the outline that belong to neither: both images are blurred there by being enlarged


@dataclass(frozen=True, slots=True)
class Target:
    """Where one target is and what is around it, both bool (H, W)."""

    inside: NDArray[np.bool_]
    around: NDArray[np.bool_]


def find_targets(mask: NDArray[np.bool_]) -> Iterator[Target]:
    """Yield the connected regions of ``mask`` (H, W), each with a surround as far as its own half size reaches.

    Regions that touch are one target. No surround holds pixels of another target. Those too small are left out.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    free = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) > _MARGIN
    for label in range(1, count):
        inside: NDArray[np.bool_] = labels == label
        distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
        reach = _MARGIN + max(4.0, np.sqrt(np.count_nonzero(inside)) / 2)
        around: NDArray[np.bool_] = free & (distance <= reach)
        if min(np.count_nonzero(inside), np.count_nonzero(around)) >= LEAST_PIXELS:
            yield Target(inside, around)


def target_metrics(image: NDArray[Any], target: Target) -> dict[str, float]:
    """Return :data:`TARGET_KEYS` of ``target`` in ``image``, gray (H, W), uint8 or float 0..255.

    Raises :class:`ImageError` where the image does not have the target's size.
    """
    if image.shape != target.inside.shape:
        raise ImageError(f"image has shape {image.shape}, the target {target.inside.shape}; bring them to one grid")
    surround = image[target.around].astype(np.float64)
    contrast = float(image[target.inside].mean(dtype=np.float64) - surround.mean())
    ratio = abs(contrast) / max(float(surround.std()), 1.0)
    return {"contrast": contrast, "SCR": ratio, "distinct": float(ratio >= 1)}
