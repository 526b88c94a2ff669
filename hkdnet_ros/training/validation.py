"""Measures of a network on whole validation pairs, and pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..metrics.fusion import fusion_metrics, measurable
from ..metrics.ranking import RANKED_KEYS
from .data import Batch, PairSet


def eight_bit(image: Tensor) -> NDArray[np.uint8]:
    """Return (1, 1, H, W) in [0, 1] as a clipped, rounded uint8 array (H, W)."""
    return image[0, 0].float().clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def crop_to_multiple(batch: Batch, scale: int) -> Batch:
    """Cut right and bottom so that both sides divide by ``scale``."""
    height, width = (side // scale * scale for side in batch.thermal.shape[2:])
    return Batch(*(image[:, :, :height, :width] for image in batch))


@torch.inference_mode()
def measure(fuse: Callable[[Batch], Tensor], pairs: PairSet, *, scale: int = 1) -> dict[str, float]:
    """Return the means of the ranked measures of ``fuse`` over ``pairs``, of those that the smallest pair allows.

    ``fuse`` gets each high-resolution pair on the CPU, cropped to a multiple of ``scale``, and returns a fused image of
    that size on any device.
    """
    jobs = []
    allowed = measurable(pairs.smallest_side // scale * scale)
    keys = [key for key in RANKED_KEYS if key in allowed]
    with ThreadPoolExecutor() as pool:
        for index in range(len(pairs)):
            batch = crop_to_multiple(pairs.pair(index), scale)
            thermal, visible, fused = (eight_bit(image) for image in (*batch, fuse(batch)))
            jobs.append(pool.submit(fusion_metrics, thermal, visible, fused, keys))
        rows = [job.result() for job in jobs]
    return {key: float(np.mean([row[key] for row in rows])) for key in keys}


@torch.inference_mode()
def write_pictures(
    fuse: Callable[[Batch], Tensor], pairs: PairSet, folder: Path, *, scale: int = 1, count: int = 6
) -> None:
    """Write thermal, visible and fused side by side for ``count`` pairs of the set; raises :class:`OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int):
        batch = crop_to_multiple(pairs.pair(int(index)), scale)
        row = [eight_bit(image) for image in (*batch, fuse(batch))]
        picture = cv2.imencode(".png", np.hstack(row))[1]
        (folder / f"{Path(pairs.names[index]).stem}.png").write_bytes(picture.tobytes())
