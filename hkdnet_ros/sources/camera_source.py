"""Recordings and the simulator behind one interface: two camera streams as stamped frames."""

from __future__ import annotations

import dataclasses
import functools
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from ..errors import SourceError
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE, Frame
from ..images.resampling import resample
from ..perception.incoming import Arrival, Calibration, Incoming
from ..perception.pairing import Match, PairingConfig
from ..perception.synchronizer import StreamSynchronizer

FRAME_IDS = {THERMAL: "thermal_camera", VISIBLE: "visible_camera"}  # where a recording has none of its own
NOMINAL_FPS = 30.0  # of a folder of images, which knows no time
_START_NS = 1_000_000_000  # of a recording that knows no date: a stamp of 0 is one that was not set


class CameraSource(Protocol):
    """Two camera streams that can be read from their start any number of times, one reader at a time."""

    name: str

    @property
    def skipped(self) -> Mapping[str, int]:
        """Frames of the last reading that could not be used, by reason."""
        ...

    @property
    def lateness(self) -> Mapping[str, float]:
        """How many seconds later than stamped the images of a stream were recorded at the least, where it is known."""
        ...

    def events(self) -> Iterator[tuple[str, Frame]]:
        """Yield (``"thermal"`` or ``"visible"``, frame) in stamp order; stamps count from 0, the first frame's.

        Raises :class:`SourceError` where the recording cannot be read on.
        """
        ...

    def arrivals(self) -> Iterator[Arrival]:
        """Yield images, and what else was recorded of the cameras, as a robot would have received them.

        What is wrong with them is left for a session to find.

        Raises :class:`SourceError` where the recording cannot be read on.
        """
        ...

    def __len__(self) -> int:
        """Frame pairs; raises :class:`SourceError` where the source has no end."""
        ...

    def camera_model(self, stream: str) -> CameraModel | None:
        """Return the intrinsics of a stream's images, None where they are not known."""
        ...

    def close(self) -> None:
        """Close files; the source cannot be read after that."""
        ...


class Resized:
    """Another source with its images brought to other sizes, and its camera models with them.

    Sizes are (width, height); None leaves the images of that stream as they are.
    """

    def __init__(
        self, source: CameraSource, thermal_size: tuple[int, int] | None, visible_size: tuple[int, int] | None
    ) -> None:
        self.source = source
        self._sizes = {THERMAL: thermal_size, VISIBLE: visible_size}
        self.name = source.name

    @property
    def skipped(self) -> Mapping[str, int]:
        """See :class:`CameraSource`."""
        return self.source.skipped

    @property
    def lateness(self) -> Mapping[str, float]:
        """See :class:`CameraSource`."""
        return self.source.lateness

    def events(self) -> Iterator[tuple[str, Frame]]:
        """See :class:`CameraSource`."""
        for stream, frame in self.source.events():
            yield stream, self._resized(stream, frame)

    def arrivals(self) -> Iterator[Arrival]:
        """See :class:`CameraSource`."""
        for arrival in self.source.arrivals():
            if isinstance(arrival, Incoming):
                yield dataclasses.replace(arrival, decode=functools.partial(self._decoded, arrival))
            elif isinstance(arrival, Calibration) and (size := self._sizes[arrival.stream]):
                yield dataclasses.replace(arrival, model=arrival.model.resized(*size))
            else:
                yield arrival

    def _decoded(self, incoming: Incoming) -> Frame:
        return self._resized(incoming.stream, incoming.decode())

    def _resized(self, stream: str, frame: Frame) -> Frame:
        size = self._sizes[stream]
        return dataclasses.replace(frame, image=resample(frame.image, *size)) if size else frame

    def __len__(self) -> int:
        return len(self.source)

    def camera_model(self, stream: str) -> CameraModel | None:
        """See :class:`CameraSource`."""
        model = self.source.camera_model(stream)
        size = self._sizes[stream]
        return model.resized(*size) if model and size else model

    def close(self) -> None:
        """See :class:`CameraSource`."""
        self.source.close()


def repeated(source: CameraSource, loop: bool) -> Iterator[tuple[str, Frame]]:
    """Yield the events of ``source`` once, or for ever where ``loop`` says so, the stamps running on.

    The gap between the passes is the last frame interval of the stream that ends last. Raises :class:`SourceError`
    where a pass yields nothing.
    """
    start_ns = 0
    while True:
        last: dict[str, tuple[int, int]] = {}  # stream -> its last stamp and the interval before it
        for stream, frame in source.events():
            before, interval = last.get(stream, (frame.stamp_ns, 0))
            last[stream] = frame.stamp_ns, max(frame.stamp_ns - before, 0) or interval
            yield stream, shifted(frame, start_ns)
        if not last:
            raise SourceError(f"{source.name}: holds no frames that can be used{_reasons(source.skipped)}")
        if not loop:
            return
        end, interval = max(last.values())
        start_ns += end + (interval or round(1e9 / NOMINAL_FPS))


def as_taken(events: Iterable[tuple[str, Frame]]) -> Iterator[Incoming]:
    """Yield the frames of :meth:`CameraSource.events` as images that arrive at the moment they were taken."""
    for stream, frame in events:
        taken = shifted(frame, _START_NS)
        content = np.ascontiguousarray(frame.image).reshape(-1).view(np.uint8) if stream == VISIBLE else None
        yield Incoming(
            stream, taken.stamp_ns, taken.stamp_ns, taken.frame_id, functools.partial(_itself, taken), content=content
        )


def _itself(frame: Frame) -> Frame:
    return frame


def matches(
    source: CameraSource, config: PairingConfig | None = None, watch: Callable[[str, int], object] | None = None
) -> Iterator[Match[Frame]]:
    """Yield the pairs of ``source`` once, as the node would pair them; ``watch`` hears of every stream and stamp."""
    synchronizer: StreamSynchronizer[Frame] = StreamSynchronizer(config)
    for stream, frame in source.events():
        if watch is not None:
            watch(stream, frame.stamp_ns)
        yield from synchronizer.add(stream, frame.stamp_ns + 1, frame)  # a stamp of 0 is one that was not set
    yield from synchronizer.flush()


def shifted(frame: Frame, by_ns: int) -> Frame:
    """Return ``frame`` stamped ``by_ns`` later."""
    return frame if by_ns == 0 else Frame(frame.image, frame.stamp_ns + by_ns, frame.frame_id, frame.encoding)


def _reasons(skipped: Mapping[str, int]) -> str:
    return "".join(f"; {count} {reason}" for reason, count in skipped.items())


def in_stamp_order(frames: Iterable[tuple[str, Frame]], window: int) -> Iterator[tuple[str, Frame]]:
    """Yield frames by stamp, looking ``window`` frames ahead; what is later than that comes out of order."""
    waiting: list[tuple[int, int, str, Frame]] = []
    for number, (stream, frame) in enumerate(frames):
        heapq.heappush(waiting, (frame.stamp_ns, number, stream, frame))
        if len(waiting) > window:
            _, _, stream, frame = heapq.heappop(waiting)
            yield stream, frame
    while waiting:
        _, _, stream, frame = heapq.heappop(waiting)
        yield stream, frame
