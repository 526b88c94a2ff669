"""A recording read and decoded ahead of the one who works on it, in bounded memory."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import ImageError
from ...images.frames import THERMAL, VISIBLE, Frame
from ...perception.incoming import Arrival, Incoming

MOST = 16
"""Images that are ahead at most."""

_SMALL = (64, 48)  # width, height of what is kept to tell motion by

Small: TypeAlias = "NDArray[np.float32]"
"""An image in gray and few pixels, by which motion is told."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    frame: Frame | None
    motion: float | None
    error: Exception | None

    def give(self) -> Frame:
        if self.frame is None:
            assert self.error is not None
            raise self.error
        return self.frame


@contextlib.contextmanager
def decoded_ahead(arrivals: Iterable[Arrival], most: int = MOST) -> Iterator[Iterator[tuple[Arrival, float | None]]]:
    """Yield an iterator of ``arrivals`` whose images are decoded already, each with how much it moved.

    That is its mean change from the camera's image before, in gray levels of its own, at 64x48 pixels; None for the
    first, and where it is not finite. A thread reads, one for each camera decodes, image by image, and at most ``most``
    are held. What decoding raises, ``decode`` raises when it is called, and nothing moved then. What reading raises
    comes in its place. The end of the block waits for what is being read.
    """
    waiting: queue.Queue[_Item | BaseException | None] = queue.Queue(most)
    stopped = threading.Event()
    # In order within a camera: what its images say of their bit depth carries over from one to the next.
    with ThreadPoolExecutor(1, "decode thermal") as thermal, ThreadPoolExecutor(1, "decode visible") as visible:
        eyes = {THERMAL: _Eye(thermal), VISIBLE: _Eye(visible)}

        def read() -> None:
            try:
                for arrival in arrivals:
                    if stopped.is_set():
                        break
                    if isinstance(arrival, Incoming):
                        waiting.put((arrival, eyes[arrival.stream].open(arrival.decode)))
                    else:
                        waiting.put((arrival, None))
            except BaseException as error:
                waiting.put(error)
            finally:
                waiting.put(None)

        reader = threading.Thread(target=read, name="read", daemon=True)
        reader.start()

        def get() -> _Item | BaseException | None:
            item = waiting.get()
            if item is None:
                waiting.put(None)  # the end stays the end
            return item

        given = _given(get)
        try:
            yield given
        finally:
            stopped.set()
            while get() is not None:  # the reader may wait for room
                pass
            reader.join()


_Item: TypeAlias = "tuple[Arrival, Future[_Decoded] | None]"


def _given(get: Callable[[], _Item | BaseException | None]) -> Iterator[tuple[Arrival, float | None]]:
    while (item := get()) is not None:
        if isinstance(item, BaseException):
            raise item
        arrival, future = item
        if future is None:
            yield arrival, None
        else:
            assert isinstance(arrival, Incoming)
            decoded = future.result()
            yield dataclasses.replace(arrival, decode=decoded.give), decoded.motion


class _Eye:
    """Decodes the images of one camera, in their order, and sees what moves."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        """``pool`` has one thread."""
        self._pool = pool
        self._last: Small | None = None

    def open(self, decode: Callable[[], Frame]) -> Future[_Decoded]:
        """Let an image be decoded after those before it."""
        return self._pool.submit(self._decoded, decode)

    def _decoded(self, decode: Callable[[], Frame]) -> _Decoded:
        try:
            frame = decode()
        except ImageError as error:
            return _Decoded(None, None, error)
        last, self._last = self._last, small(frame.image)
        motion = float(np.abs(self._last - last).mean()) if last is not None else None
        return _Decoded(frame, motion if motion is not None and np.isfinite(motion) else None, None)


def small(image: NDArray[np.generic]) -> Small:
    """Return ``image``, (H, W) or (H, W, C) of any type, as 64x48 gray levels, the mean of its channels."""
    shown = image if image.dtype in (np.uint8, np.uint16, np.float32) else image.astype(np.float32)
    reduced = _resize(shown).astype(np.float32)
    return reduced if reduced.ndim == 2 else reduced.mean(axis=2, dtype=np.float32)


_resize = functools.partial(cv2.resize, dsize=_SMALL, interpolation=cv2.INTER_AREA)
