"""Harris corner response in batched, differentiable torch, equal to ``cv2.cornerHarris``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def harris_response(x: Tensor, *, k: float = 0.04) -> Tensor:
    """Return det(M) - k trace(M)^2 of each map, (B, C, H, W), float32 (Harris and Stephens 1988).

    M is summed over blocks of 3x3 from 3x3 Sobel gradients, with mirrored borders and OpenCV's scaling of float
    images, 1 / (4 * 3) per gradient. Computed in float32 whatever the network runs in, as the response has fourth
    powers of the maps, and by slices: a convolution of single maps takes ten times the memory.
    """
    with torch.autocast(x.device.type, enabled=False):
        padded = _mirror(x.float())
        across = padded[..., 2:] - padded[..., :-2]
        dx = (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 12
        along = padded[..., 2:, :] - padded[..., :-2, :]
        dy = (along[..., :-2] + 2 * along[..., 1:-1] + along[..., 2:]) / 12
        xx, yy, xy = _block_sum(dx * dx), _block_sum(dy * dy), _block_sum(dx * dy)
        return xx * yy - xy * xy - k * (xx + yy).square()


def _mirror(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), "reflect")


def _block_sum(x: Tensor) -> Tensor:
    """Return the sums over 3x3 blocks, (B, C, H, W) to the same size."""
    x = _mirror(x)
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return x[..., :-2] + x[..., 1:-1] + x[..., 2:]
