"""Transforms between named frames, as /tf_static gives them: each frame in its parent, asked for between any two."""

from __future__ import annotations

from .rigid_transform import RigidTransform


class FrameTree:
    """Frames and where they are in their parents. Names may begin with a slash, as ROS 1 wrote them."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, RigidTransform]] = {}

    def update(self, parent: str, child: str, child_to_parent: RigidTransform) -> None:
        """Take the pose of ``child`` in ``parent``, which is what a geometry_msgs/TransformStamped says.

        Its transform brings points from the child's axes to the parent's.
        """
        self._parents[_plain(child)] = _plain(parent), child_to_parent

    def between(self, source: str, target: str) -> RigidTransform | None:
        """Return what brings points from the axes of ``source`` to those of ``target``; None where none is known."""
        ups = self._to_ancestors(_plain(source))
        downs = self._to_ancestors(_plain(target))
        for frame, source_to_frame in ups.items():
            if frame in downs:
                return source_to_frame.then(downs[frame].inverse)
        return None

    def _to_ancestors(self, frame: str) -> dict[str, RigidTransform]:
        """Return the transforms from ``frame`` to itself and to all frames above it, from near to far."""
        found = {frame: RigidTransform()}
        while frame in self._parents:
            parent, to_parent = self._parents[frame]
            if parent in found:  # a ring, which only a wrong publisher makes
                break
            found[parent] = found[frame].then(to_parent)
            frame = parent
        return found


def _plain(frame: str) -> str:
    return frame.removeprefix("/")
