"""The fusion node without its network: what all the rest of it costs, beside :mod:`.pass_through`.

Run as ``python -m hkdnet_ros.trials.benchmark.bare_node --ros-args -r __ns:=...``. It takes, pairs, conditions, colours
and publishes as the node does; the place of the fused luma is taken by that of the visible image.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...inference.config import EngineConfig
from ...inference.sizes import Sizes
from ...node.fusion_node import make_node
from ...node.process import run_node

if TYPE_CHECKING:
    from ...inference.fallback_engine import FallbackEngine
    from ...node.fusion import FusionNode
    from ...node.loading import Loader


class NoNetwork:
    """An engine of guided's sizes that returns the visible luma and computes nothing."""

    model_name = "none"
    sizes = Sizes(thermal=2, visible=1)
    scale = 2
    backend = "none"
    device = "cpu"
    precision = "fp32"
    memory = None

    def __init__(self, config: EngineConfig) -> None:
        """Take any configuration."""
        self.timings: Mapping[str, float] = {}

    def choose(self, thermal: Sequence[int], visible: Sequence[int]) -> NoNetwork:
        """Return this."""
        return self

    def fuse(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Return ``visible``, uint8 or float32, as float32 in [0, 1]."""
        if visible.dtype == np.uint8:
            visible = np.multiply(visible, np.float32(1 / 255), dtype=np.float32)
        return np.array(visible, np.float32)

    def warm_up(self, height: int, width: int) -> float:
        """Do nothing, in no time."""
        return 0.0

    def close(self) -> None:
        """Do nothing."""


def _make_bare_node(loader: Loader[FallbackEngine]) -> FusionNode:
    return make_node(loader, engine_factory=NoNetwork)


if __name__ == "__main__":
    sys.exit(run_node(_make_bare_node))
