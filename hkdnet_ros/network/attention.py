"""Self-attention over pixels and over maps, with memory that grows linearly with the image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .common import conv3x3


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None) -> Tensor:
    """Softmax attention, (..., Q, D), (..., K, D), (..., K, C) to (..., Q, C), with D <= C.

    Torch's fused kernels never hold the (Q, K) matrix, but want equal depths and the depth last in memory; else torch
    falls back to holding it without a word. Zeros up to C change no product. ``scale`` multiplies the products,
    1 / sqrt(D) by default.
    """
    depth, width = query.shape[-1], value.shape[-1]
    query, key = F.pad(query, (0, width - depth)), F.pad(key, (0, width - depth))
    query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    return F.scaled_dot_product_attention(query, key, value, scale=depth**-0.5 if scale is None else scale)


def pooling_stride(height: int, width: int, limit: int) -> int:
    """Return the smallest stride with at most ``limit`` cells in the grid of ceil(H / stride) x ceil(W / stride)."""
    stride = max(1, math.isqrt(max(height * width // limit, 1)))
    while math.ceil(height / stride) * math.ceil(width / stride) > limit:
        stride += 1
    return stride


def pool_keys(x: Tensor, limit: int) -> Tensor:
    """Average ``x`` over square cells so that at most ``limit`` remain; ``x`` itself where it already fits."""
    stride = pooling_stride(x.shape[2], x.shape[3], limit)
    if stride == 1:
        return x
    return F.avg_pool2d(x, stride, ceil_mode=True, count_include_pad=False)


class PositionAttention(nn.Module):
    """Every pixel attends to every pixel (DANet, Fu et al., CVPR 2019); query and key have 1/8 of the maps.

    The published code builds the (HW, HW) matrix, 23 GB at 320x240. Here keys and values are averaged over square
    cells when the image has more than ``keys`` pixels: exact up to that size, linear in memory and time beyond it.
    The result is gated by a learnt scalar that starts at 0 and added to the input.
    """

    def __init__(self, channels: int, *, keys: int) -> None:
        super().__init__()
        reduced = max(channels // 8, 2)
        self.keys = keys
        self.query = nn.Conv2d(channels, reduced, 1)
        self.key = nn.Conv2d(channels, reduced, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        pooled = pool_keys(x, self.keys)
        query = self.query(x).flatten(2).transpose(1, 2)  # (B, HW, C/8)
        key = self.key(pooled).flatten(2).transpose(1, 2)  # (B, K, C/8)
        value = self.value(pooled).flatten(2).transpose(1, 2)  # (B, K, C)
        # The similarity is the plain inner product of the paper, hence scale 1.
        attended = attend(query[:, None], key[:, None], value[:, None], scale=1.0)[:, 0]  # (B, HW, C)
        return x + self.gate * attended.transpose(1, 2).reshape_as(x)


class MapAttention(nn.Module):
    """Every map attends to every map (DANet's channel attention), gated by a learnt scalar, plus identity.

    The similarities are subtracted from their row's maximum before the softmax, so that a map takes from the maps it
    resembles least. They are divided by the number of pixels, so that the image's size does not sharpen the softmax.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        maps = x.flatten(2)  # (B, C, HW)
        wide = maps.float()  # products summed over an image's pixels go beyond fp16
        similarity = torch.bmm(wide, wide.transpose(1, 2)) / maps.shape[2]  # (B, C, C)
        weight = torch.softmax(similarity.amax(-1, keepdim=True) - similarity, -1).to(x.dtype)
        return x + self.gate * torch.bmm(weight, maps).reshape_as(x)


class LineAttention(nn.Module):
    """Pixels attend along their own row (``axis`` 3) or column (``axis`` 2); keys of long lines are averaged in runs.

    Query, key and value come from different tensors of one shape (B, C, H, W). At most ``keys`` keys are kept a line.
    """

    def __init__(self, channels: int, *, axis: int, keys: int) -> None:
        super().__init__()
        reduced = max(channels // 8, 4)
        self.axis = axis
        self.keys = keys
        self.query = nn.Conv2d(channels, reduced, 1)
        self.key = nn.Conv2d(channels, reduced, 1)
        self.value = conv3x3(channels, channels)

    def _lines(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, lines, length, C)
        return x.permute(0, 2, 3, 1) if self.axis == 3 else x.permute(0, 3, 2, 1)

    def _pool(self, x: Tensor) -> Tensor:
        run = math.ceil(x.shape[self.axis] / self.keys)
        if run == 1:
            return x
        kernel = (1, run) if self.axis == 3 else (run, 1)
        return F.avg_pool2d(x, kernel, ceil_mode=True, count_include_pad=False)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        attended = attend(
            self._lines(self.query(query)),
            self._lines(self._pool(self.key(key))),
            self._lines(self._pool(self.value(value))),
        )  # (B, lines, length, C)
        return attended.permute(0, 3, 1, 2) if self.axis == 3 else attended.permute(0, 3, 2, 1)
