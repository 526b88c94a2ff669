"""The executable ``fusion_node``: the fusion node in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .process import run_node

if TYPE_CHECKING:
    from ..inference.fallback_engine import FallbackEngine
    from .fusion import FusionNode
    from .loading import Loader


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node with ROS arguments ``argv`` (``sys.argv`` by default) until a signal; return the exit status.

    ``--help`` lists the parameters.
    """
    return run_node(make_node, argv, _usage)


def _usage(name: str) -> str:
    from .schema import PARAMETERS
    from .usage import usage

    summary = (
        "Pairs thermal/image_raw with visible/image_raw, fuses each pair and publishes fused/image, until Ctrl-C. A "
        "lifecycle node, which configures and activates itself. The topics are told in docs/topics.md."
    )
    return usage(name, summary, PARAMETERS)


def make_node(loader: Loader[FallbackEngine], **options: Any) -> FusionNode:
    """Return the node of a process that is its own; ``options`` are further ones of :class:`~.fusion.FusionNode`.

    OpenCV computes in the thread that calls it: what it does to a frame takes a millisecond or four in one thread or
    two, but in two each of its calls waits for the other's turn on a busy processor.
    """
    import cv2

    from ..errors import MissingDependencyError

    try:
        from .fusion import FusionNode
    except ModuleNotFoundError as error:
        if error.name != "hkdnet_ros.msg":
            raise
        raise MissingDependencyError("hkdnet_ros.msg is not built; run `colcon build`, or `make setup`") from error
    cv2.setNumThreads(1)
    return FusionNode(loader=loader, **options)


if __name__ == "__main__":
    sys.exit(main())
