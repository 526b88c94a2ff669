"""What a viewer shows of each frame: thermal, visible and fused as JPEG, some hundred frames to a zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...files import sync
from ...images import color
from ...images.frames import THERMAL, VISIBLE, Frame
from ...perception.sink import Output
from .lumas import FUSED, IMAGES

MOST_WIDTH = 1280
QUALITY = 88

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the time of each entry, so that every run gives the same file

Image = NDArray[np.uint8]


def panes_of(output: Output) -> dict[str, Image]:
    """Return what is seen of a frame, 8 bit, gray or blue-green-red, at most MOST_WIDTH wide; no pane where no image.

    Thermal is the conditioned image.
    """
    images: dict[str, Image] = {FUSED: output.fused.image}
    if output.fused.thermal is not None:
        images[THERMAL] = color.to_uint8(output.fused.thermal)
    if output.visible is not None:
        images[VISIBLE] = _shown(output.visible)
    return {name: narrowed(images[name], MOST_WIDTH) for name in IMAGES if name in images}


_TO_BGR = {"rgb8": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGBA2BGR, "bgra8": cv2.COLOR_BGRA2BGR}


def _shown(frame: Frame) -> Image:
    if color.is_color(frame.encoding):
        image = frame.image.astype(np.uint8, copy=False)
        code = _TO_BGR.get(frame.encoding)
        return image if code is None else cv2.cvtColor(image, code).astype(np.uint8, copy=False)
    gray = color.luma(frame.image, frame.encoding)
    return gray if gray.dtype == np.uint8 else color.to_uint8(gray)


def narrowed(image: Image, width: int) -> Image:
    """Return ``image``, reduced by area where it is wider than ``width``."""
    if image.shape[1] <= width:
        return image
    size = width, max(1, round(image.shape[0] * width / image.shape[1]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def jpeg(image: Image, quality: int = QUALITY) -> bytes:
    """Return an image as JPEG."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def entry(number: int, name: str) -> str:
    """Return what a pane of frame ``number`` is called in its zip file."""
    return f"{number:06d}_{name}.jpg"


def part_file(folder: Path, part: int) -> Path:
    """Return the zip file of a part."""
    return folder / f"{part:05d}.zip"


class PanesPart:
    """Writes the panes of one part; they count once :meth:`finish` has returned."""

    def __init__(self, folder: Path, part: int) -> None:
        self._file = part_file(folder, part)
        self._partial = self._file.with_suffix(".zip.partial")
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_STORED)

    def write(self, number: int, panes: Mapping[str, bytes]) -> None:
        """Append the panes of one frame, by name."""
        for name, data in panes.items():
            self._zip.writestr(zipfile.ZipInfo(entry(number, name), _LONG_AGO), data)

    def finish(self) -> Path:
        """Complete the file and return its path."""
        self._zip.close()
        sync(self._partial)
        self._partial.replace(self._file)
        return self._file

    def abandon(self) -> None:
        """Leave nothing of the part."""
        if self._zip.fp is not None:
            self._zip.fp.close()
            self._zip.fp = None  # else closing would write its table, on a full disk perhaps
        self._partial.unlink(missing_ok=True)
