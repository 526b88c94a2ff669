"""What a session is fed with: the images of both cameras as they arrive, and what else the cameras say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..geometry.rigid_transform import RigidTransform
from ..images.camera_model import CameraModel
from ..images.frames import Frame

DEPTH = "depth"
"""The stream of a depth image, as an :class:`Incoming` names it."""


def unchecked() -> None:
    """Let an image pass unseen until it is decoded."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One image of a camera as it arrived, not decoded yet.

    ``stamp_ns`` is its time of exposure by the camera's clock, ``arrived_ns`` when it came by the receiver's.
    ``decode`` gives the pixels, or raises :class:`ImageError`; ``check`` raises what can be told without touching one.
    ``content`` are the bytes as they came, a buffer, by which an image that repeats itself is told; None where that is
    not to be looked for.
    """

    stream: str
    stamp_ns: int
    arrived_ns: int
    frame_id: str
    decode: Callable[[], Frame]
    check: Callable[[], None] = unchecked
    content: Any = None

    @property
    def nbytes(self) -> int:
        """The memory that the image takes while it waits; 0 where it is read only when it is decoded."""
        return 0 if self.content is None else memoryview(self.content).nbytes


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of a camera as it arrived; a ``stamp_ns`` of 0 is that of one without a time."""

    stream: str
    model: CameraModel
    stamp_ns: int
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class ShutterFlag:
    """The thermal camera's word that its shutter is closed or open, as it arrived."""

    is_closed: bool
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class Transform:
    """The pose of a frame in its parent, as /tf_static gives it."""

    parent: str
    child: str
    child_to_parent: RigidTransform
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class Depth:
    """A depth image of the visible camera's view, of the stream DEPTH, as it arrived."""

    image: Incoming

    @property
    def arrived_ns(self) -> int:
        """When it came, by the receiver's clock."""
        return self.image.arrived_ns


Arrival: TypeAlias = "Incoming | Calibration | ShutterFlag | Transform | Depth"
"""All that comes from the cameras."""
