"""Writes frames to a video file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, SourceError


class VideoWriter:
    """An MPEG-4 file that takes gray or blue-green-red 8-bit images of one size; use it as a context.

    The format has even sizes only: an odd one is filled up by repeating the last row or column.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        """Create the file and the folders to it; ``size`` is (width, height).

        Raises :class:`SourceError` where that is not possible.
        """
        self.path = Path(path)
        self.size = size
        self.frames = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("wb").close()  # OpenCV would not say why it cannot
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be written ({error.strerror}); choose another folder") from error
        if min(size) < 1 or not fps > 0:
            raise SourceError(f"{self.path}: a video of {size[0]}x{size[1]} at {fps} Hz cannot be written")
        self._writer = cv2.VideoWriter(
            str(self.path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (size[0] + size[0] % 2, size[1] + size[1] % 2)
        )
        if not self._writer.isOpened():
            raise SourceError(f"{self.path}: OpenCV cannot write {size[0]}x{size[1]} MPEG-4 at {fps} Hz there")

    def write(self, image: NDArray[Any]) -> None:
        """Append an image, uint8, (H, W) or (H, W, 3); raises :class:`ImageError` for another type or size."""
        colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 and image.dtype == np.uint8 else image
        if colour.dtype != np.uint8 or colour.shape != (self.size[1], self.size[0], 3):
            raise ImageError(
                f"{self.path.name}: frame of {image.dtype} {image.shape} does not fit; expected uint8 of "
                f"{self.size[0]}x{self.size[1]} pixels, gray or colour"
            )
        bottom, right = self.size[1] % 2, self.size[0] % 2
        if bottom or right:
            colour = cv2.copyMakeBorder(colour, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        self._writer.write(np.ascontiguousarray(colour))
        self.frames += 1

    def close(self) -> None:
        """Finish the file; raises :class:`SourceError` where nothing of it has reached the disk."""
        if not self._writer.isOpened():
            return
        self._writer.release()
        if self.frames and self.path.stat().st_size == 0:
            raise SourceError(
                f"{self.path}: {self.frames} frames were written but the file is empty; is the disk full?"
            )

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
