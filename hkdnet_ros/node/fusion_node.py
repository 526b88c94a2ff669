"""The executable ``fusion_node``: the fusion node in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .process import run_node

if TYPE_CHECKING:
    from .fusion import FusionNode


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node with ROS arguments ``argv`` (``sys.argv`` by default) until a signal; return the exit status."""
    return run_node(_make_node, argv)


def _make_node() -> FusionNode:
    from .fusion import FusionNode

    return FusionNode()


if __name__ == "__main__":
    sys.exit(main())
