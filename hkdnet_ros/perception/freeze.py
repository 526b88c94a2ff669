"""A visible camera that sends the same image again and again, told from one that looks at a still scene."""

from __future__ import annotations

from typing import Any

import numpy as np

from .shutter import FROZEN, LIVE

LEAST_LIVE = 30
"""So many images must have differed from the one before: a camera has noise, a simulation of a still scene has none."""


class FreezeDetector:
    """Compares each image with the one before, byte by byte (0.1 ms per MB).

    A camera that sends each image twice is no frozen one: what differs is live again. Not to be used by two threads
    at a time.
    """

    def __init__(self) -> None:
        self._last: Any = None  # a buffer
        self._lives = 0

    def begin_anew(self) -> None:
        """Compare the next image with none: the stream's clock has jumped back."""
        self._last = None

    def observe(self, data: Any) -> str:
        """Return FROZEN where ``data``, an image's bytes, raw or compressed, are those of the one before, else LIVE."""
        last, self._last = self._last, data
        is_same = last is not None and np.array_equal(np.frombuffer(last, np.uint8), np.frombuffer(data, np.uint8))
        if not is_same:
            self._lives += 1
        return FROZEN if is_same and self._lives >= LEAST_LIVE else LIVE
