"""Image files as camera images: PNG, JPEG, TIFF and whatever else OpenCV reads, of 8 or 16 bits or gray floats."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, SourceError
from . import color
from .bit_depth import BitDepth
from .compressed import decode_file

_log = logging.getLogger(__name__)

_SEVERAL = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8")  # TIFF, BigTIFF and GIF may hold several images
_JPEG = b"\xff\xd8\xff"
_FLIR = b"FLIR\0"  # begins the segments that hold raw counts in a radiometric JPEG of FLIR's


def read_image(path: str | Path) -> tuple[NDArray[Any], str]:
    """Return an image file, upright, as (pixels, encoding); see :func:`~.compressed.decode_file`.

    They are (H, W) mono8, mono16 or 32FC1, or (H, W, 3) bgr8. Of a file with several images the first is taken, and
    that is logged once. Raises :class:`SourceError` where it cannot be read, is no whole image or has other pixels.
    """
    return _decode(path, _content(path))


def read_visible(path: str | Path, depth: BitDepth | None = None) -> tuple[NDArray[Any], str]:
    """Return a visible image file as :func:`read_image` does, 16 bits at full scale (:class:`~.bit_depth.BitDepth`).

    ``depth`` is that of its camera; without one the file stands for itself.
    """
    return _decode(path, _content(path), depth or BitDepth())


def read_thermal(path: str | Path) -> tuple[NDArray[Any], str]:
    """Return a thermal image file as :func:`read_image` does, but one in colours without colour as mono8.

    A radiometric JPEG is read as what it shows, and that is logged once: its raw counts are apart from its picture.
    """
    content = _content(path)
    image, encoding = _decode(path, content)
    if content.startswith(_JPEG) and _FLIR in content:
        _warn_once(
            "radiometric",
            f"{path}: a radiometric JPEG of FLIR's, read as the picture that it shows, with palette and overlays; its "
            "counts come out with exiftool -b -RawThermalImage",
        )
    return color.gray_if_colourless(image, encoding)


def _content(path: str | Path) -> bytes:
    try:
        content = Path(path).read_bytes()  # not numpy.fromfile, which reads no pipe
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    if content.startswith(_JPEG) and not _has_end(content):
        raise SourceError(f"{path}: a JPEG that breaks off after {len(content)} bytes; expected a whole one")
    return content


def _has_end(jpeg: bytes) -> bool:
    """Tell whether a JPEG goes on to its end: some versions of OpenCV fill up with gray what is missing."""
    begin = 2
    while jpeg[begin : begin + 1] == b"\xff" and jpeg[begin + 1 : begin + 2] != b"\xda":  # a segment before the scan
        is_fill = jpeg[begin + 1 : begin + 2] == b"\xff"
        begin += 1 if is_fill else 2 + int.from_bytes(jpeg[begin + 2 : begin + 4], "big")
    return b"\xff\xd9" in jpeg[begin:]


def _decode(path: str | Path, content: bytes, depth: BitDepth | None = None) -> tuple[NDArray[Any], str]:
    try:
        decoded = decode_file(np.frombuffer(content, np.uint8), depth)
    except ImageError as error:
        raise SourceError(f"{path}: {error}") from error
    if content.startswith(_SEVERAL) and Path(path).is_file() and (count := cv2.imcount(str(path))) > 1:
        _warn_once("several", f"{path}: holds {count} images, of which the first is taken; save them as files of one")
    return decoded


_said: set[str] = set()


def _warn_once(kind: str, text: str) -> None:
    """Log what holds for a thousand files alike for the first of them."""
    if kind not in _said:
        _said.add(kind)
        _log.warning("%s", text)
