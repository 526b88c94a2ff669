"""The executable ``fusion_node``: the fusion node in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError
from .process import run_node

if TYPE_CHECKING:
    from .fusion import FusionNode


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node with ROS arguments ``argv`` (``sys.argv`` by default) until a signal; return the exit status."""
    return run_node(_make_node, argv)


def _make_node() -> FusionNode:
    try:
        from .fusion import FusionNode
    except ModuleNotFoundError as error:
        if error.name != "hkdnet_ros.msg":
            raise
        raise MissingDependencyError("hkdnet_ros.msg is not built; run `colcon build`, or `make setup`") from error
    return FusionNode()


if __name__ == "__main__":
    sys.exit(main())
