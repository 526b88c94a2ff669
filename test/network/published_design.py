"""The attentions as the paper publishes them, plain: what the networks here are faster and smaller than.

``python test/network/published_design.py [WxH]`` (from the checkout, as ``PYTHONPATH=. python ...``) times ``paper`` at
x2 with them and without, in turn.
"""

from __future__ import annotations

import copy
import resource
import sys
import time

import cv2
import numpy as np
import torch
from torch import nn

from hkdnet_ros.network.attention import LineAttention, PositionAttention
from hkdnet_ros.network.corner_embedding import CornerMask


class FullPositionAttention(nn.Module):
    """Position attention that builds the whole (HW, HW) matrix; with the weights of ``ours``."""

    def __init__(self, ours: PositionAttention) -> None:
        super().__init__()
        self.query, self.key, self.value, self.gate = ours.query, ours.key, ours.value, ours.gate

    def forward(self, x):
        query = self.query(x).flatten(2).transpose(1, 2)
        weight = torch.softmax(torch.bmm(query, self.key(x).flatten(2)), -1)  # (B, HW, HW)
        return x + self.gate * torch.bmm(self.value(x).flatten(2), weight.transpose(1, 2)).reshape_as(x)


class HardCornerMask(nn.Module):
    """The dilated Harris response of each map, one after the other by OpenCV, cut at a share of its own maximum."""

    def __init__(self, ours: CornerMask) -> None:
        super().__init__()
        self.threshold = ours.threshold

    def forward(self, x):
        mask = np.empty(x.shape, np.float32)
        for index in np.ndindex(*x.shape[:2]):
            response = cv2.dilate(cv2.cornerHarris(x[index].float().numpy(), 3, 3, 0.04), np.ones((3, 3), np.uint8))
            mask[index] = response > self.threshold * response.max()
        return torch.from_numpy(mask).to(x.dtype)


def as_published(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` with these attentions, and with lines that attend to every pixel."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, PositionAttention):
                setattr(module, name, FullPositionAttention(child))
            elif isinstance(child, CornerMask):
                setattr(module, name, HardCornerMask(child))
            elif isinstance(child, LineAttention):
                child.keys = sys.maxsize
    return network


def main(width: int, height: int) -> None:
    """Print the processor time of a frame of both on one thread, and the process's peak memory so far."""
    from hkdnet_ros.inference.checkpoint import load_student, weights_path
    from hkdnet_ros.inference.config import EngineConfig
    from hkdnet_ros.inference.engine_api import load_engine

    torch.set_num_threads(1)
    engine = load_engine(EngineConfig(model="paper", backend="torch", device="cpu", threads=1))
    published = as_published(load_student(weights_path("paper", 2), scale=2)[0].eval())
    images = np.random.default_rng(0).random((2, height, width), dtype=np.float32)
    ways = {
        f"the engine in {engine.precision}": lambda: engine.fuse(*images),
        "as published, fp32": lambda: published(*torch.from_numpy(images)[:, None, None]),
    }
    spent = {}
    with torch.inference_mode():
        for name, way in ways.items():
            times = []
            for _ in range(3):
                began = time.process_time()
                way()
                times.append(time.process_time() - began)
            spent[name] = min(times)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"paper x2 at {width}x{height}, {name}: {spent[name]:.2f} s, {peak} MB at most so far", flush=True)
    ours, theirs = spent.values()
    print(f"{theirs / ours:.1f} times as fast")


if __name__ == "__main__":
    main(*map(int, (sys.argv[1] if len(sys.argv) > 1 else "160x120").split("x")))
