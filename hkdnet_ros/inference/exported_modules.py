"""Networks as other libraries than torch take them: lumas in, the fused luma out and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..network.guided import Guided, frame_statistics
from .backend import copy_unit
from .checkpoint import FusingNetwork
from .compute_thread import compute


class WholeNetwork(nn.Module):
    """A network whose output is the fused luma alone."""

    def __init__(self, network: FusingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, thermal: Tensor, visible: Tensor) -> Tensor:
        """Fuse two lumas to one of the output's size."""
        return self.network(thermal, visible).fused


class PartOfFrame(nn.Module):
    """A guided network that is told the statistics of the frame that its images are parts of."""

    def __init__(self, network: Guided) -> None:
        super().__init__()
        self.network = network

    def forward(self, thermal: Tensor, visible: Tensor, frame: Tensor) -> Tensor:
        """Fuse two lumas to one of the output's size; ``frame`` is (1, 4)."""
        return self.network(thermal, visible, frame).fused


def describe(thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
    """Return the statistics of two whole images, (1, 4), which say to their parts how bright the frame is."""
    images = []
    for image in (thermal, visible):
        images.append(np.empty((1, 1, *image.shape), np.float32))
        copy_unit(image, images[-1][0, 0])
    found: NDArray[np.float32] = compute(frame_statistics, *map(torch.from_numpy, images)).numpy()
    return found
