"""Harris corner response in batched, differentiable torch, equal to ``cv2.cornerHarris``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HarrisResponse(nn.Module):
    """Response det(M) - k trace(M)^2 of each map (Harris and Stephens 1988), M summed over 3x3 Sobel gradients.

    Block 3, Sobel 3, mirrored borders and OpenCV's scaling of float images, 1 / (4 * 3) per gradient.
    """

    sobel: Tensor

    def __init__(self, *, k: float = 0.04) -> None:
        super().__init__()
        self.k = k
        horizontal = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 12
        self.register_buffer("sobel", torch.stack([horizontal, horizontal.T]).unsqueeze(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        batch, channels, height, width = x.shape
        # Products of gradients have fourth powers of the signal: float32 whatever the network runs in.
        with torch.autocast(x.device.type, enabled=False):
            maps = x.float().reshape(batch * channels, 1, height, width)
            gradient = F.conv2d(F.pad(maps, (1, 1, 1, 1), "reflect"), self.sobel.float())  # (BC, 2, H, W)
            dx, dy = gradient[:, :1], gradient[:, 1:]
            products = torch.cat([dx * dx, dy * dy, dx * dy], 1)
            box = torch.ones(3, 1, 3, 3, device=x.device)
            sums = F.conv2d(F.pad(products, (1, 1, 1, 1), "reflect"), box, groups=3)
            xx, yy, xy = sums.unbind(1)
            response = xx * yy - xy * xy - self.k * (xx + yy).square()
        return response.reshape(batch, channels, height, width)
