"""Writes frames to a video file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, SourceError

_FOURCC = {"MPEG-4": "mp4v", "H.264": "avc1"}


def check_place(path: Path, fps: float, size: tuple[int, int]) -> None:
    """Create a file and the folders to it; raises :class:`SourceError` where no such video can be written there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("wb").close()  # OpenCV would not say why it cannot
    except OSError as error:
        raise SourceError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    if min(size) < 1 or not fps > 0:
        raise SourceError(f"{path}: a video of {size[0]}x{size[1]} at {fps} Hz cannot be written")


def even(image: NDArray[Any], size: tuple[int, int], path: Path) -> NDArray[Any]:
    """Return an image of ``size`` (width, height) in colour, filled up to even sides.

    Raises :class:`ImageError`, which names the file, for another size or type.
    """
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 and image.dtype == np.uint8 else image
    if colour.dtype != np.uint8 or colour.shape != (size[1], size[0], 3):
        raise ImageError(
            f"{path.name}: frame of {image.dtype} {image.shape} does not fit; expected uint8 of "
            f"{size[0]}x{size[1]} pixels, gray or colour"
        )
    bottom, right = size[1] % 2, size[0] % 2
    return cv2.copyMakeBorder(colour, 0, bottom, 0, right, cv2.BORDER_REPLICATE) if bottom or right else colour


class VideoWriter:
    """A video file that takes gray or blue-green-red 8-bit images of one size; use it as a context.

    It is of MPEG-4, or of H.264 where OpenCV can.

    The format has even sizes only: an odd one is filled up by repeating the last row or column.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int], codec: str = "MPEG-4") -> None:
        """Create the file and the folders to it; ``size`` is (width, height).

        Raises :class:`SourceError` where that is not possible.
        """
        self.path = Path(path)
        self.size = size
        self.codec = codec
        self.frames = 0
        check_place(self.path, fps, size)
        self._writer = cv2.VideoWriter(
            str(self.path), cv2.VideoWriter.fourcc(*_FOURCC[codec]), fps, (size[0] + size[0] % 2, size[1] + size[1] % 2)
        )
        if not self._writer.isOpened():
            raise SourceError(f"{self.path}: OpenCV cannot write {size[0]}x{size[1]} {codec} at {fps} Hz there")

    def write(self, image: NDArray[Any]) -> None:
        """Append an image, uint8, (H, W) or (H, W, 3); raises :class:`ImageError` for another type or size."""
        self._writer.write(np.ascontiguousarray(even(image, self.size, self.path)))
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
