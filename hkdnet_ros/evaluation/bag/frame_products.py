"""What is written of one fused frame: made in any thread, taken in order."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...perception.sink import Figures, Output
from ..detection import Search
from .downstream.objects import find_in
from .downstream.tracks import object_rows
from .fused_messages import FusedMessages
from .lumas import lumas_of
from .measures import InARow, Look, is_looked_at, look_at
from .panes import jpeg, panes_of
from .parts import Parts, Written

BASE = (
    "frame", "stamp_ns", "recorded_ns", "mode", "live", "thermal_stamp_ns", "visible_stamp_ns", "skew_ns", "width",
    "height", "level", "crc32", "model", "runs_on",
)  # fmt: skip
"""What is known of every frame; ``level`` is the mean of the fused image, ``crc32`` is of its pixels."""

_LEAST = 6 << 20  # counted for a frame: 32 are under way at most, for a loss of power costs them


@dataclass(frozen=True, slots=True)
class Job:
    """A fused frame of which there is something to write: the ``number``-th, with its status and what it ran on."""

    number: int
    output: Output
    figures: Figures
    status: Mapping[str, Any]
    runs_on: str
    is_followed: bool


@dataclass(frozen=True, slots=True)
class Product:
    """What :meth:`Products.make` made of a frame."""

    number: int
    written: Written | None  # None for a frame that is there already and others are measured against
    look: Look | None
    is_looked_at: bool


class Products:
    """Makes what is written of a frame, in any thread, and writes it, in order."""

    def __init__(self, every: int, search: Search | None, parts: Parts, messages: FusedMessages) -> None:
        self._every, self._search = every, search
        self._parts = parts
        self._messages = messages
        self._begun_at = parts.frames
        self._in_a_row = InARow(every, search)

    def make(self, job: Job) -> Product:
        """Return what is to be written of a frame but for what the frames before it tell. Any thread may call this."""
        number, output, search = job.number, job.output, self._search
        looked_at = is_looked_at(number, self._every)
        is_new = number >= self._begun_at
        lumas = lumas_of(output) if looked_at or (job.is_followed and is_new) else None
        found = find_in(lumas, search) if lumas is not None and search is not None else None
        look = None
        if looked_at and lumas is not None:
            look = look_at(number, lumas, output.camera_model, found, self._every, search)
        if not is_new:
            return Product(number, None, look, looked_at)
        written = Written(
            _row(job),
            {stage: seconds * 1e3 for stage, seconds in job.figures.latencies.items()},
            self._messages.of(output, job.figures, job.status),
            {name: jpeg(image) for name, image in panes_of(output).items()},
            object_rows(number, output.fused.stamp_ns, found) if job.is_followed and found is not None else (),
        )
        return Product(number, written, look, looked_at)

    def take(self, product: Product) -> None:
        """Write it; to be called in the order of the frames."""
        values = self._in_a_row.add(product.look) if product.is_looked_at else {}
        if product.written is not None:
            self._parts.write(dataclasses.replace(product.written, row={**product.written.row, **values}))


def bytes_of(output: Output) -> int:
    """Return the bytes that a fused frame and its sources hold in memory."""
    fused = output.fused
    images: list[NDArray[Any] | None] = [fused.image, fused.thermal, fused.validity, fused.temperature]
    images += [frame.image for frame in (output.thermal, output.visible) if frame is not None]
    return max(_LEAST, sum(image.nbytes for image in images if image is not None))


def _row(job: Job) -> dict[str, object]:
    output, fused = job.output, job.output.fused
    height, width = fused.image.shape[:2]
    return {
        "frame": job.number,
        "stamp_ns": fused.stamp_ns,
        "recorded_ns": fused.stamp_ns + job.figures.age_ns,
        "mode": fused.mode,
        "live": output.is_live,
        "thermal_stamp_ns": output.thermal.stamp_ns if output.thermal else None,
        "visible_stamp_ns": output.visible.stamp_ns if output.visible else None,
        "skew_ns": output.skew_ns if output.thermal and output.visible else None,
        "width": width,
        "height": height,
        "level": float(fused.image.mean()),
        "crc32": f"{zlib.crc32(np.ascontiguousarray(fused.image).data):08x}",
        "model": job.status["model"],
        "runs_on": job.runs_on,
    }
