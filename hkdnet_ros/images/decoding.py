"""Raw image bytes to the pixels of a frame: every encoding, row padding and byte order that a camera driver sends.

Encoding names and the meaning of ``step`` are those of sensor_msgs/Image and sensor_msgs/image_encodings.hpp, the
layouts of YUV those of V4L2. A new encoding is a row of :data:`RAW`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .bit_depth import BitDepth
from .frames import ENCODINGS

Buffer: TypeAlias = "bytes | bytearray | memoryview | array[int]"


def to_8_bits(image: NDArray[Any]) -> NDArray[Any]:
    """Return uint16 pixels as uint8: divided by 257, so that full scale stays full scale, and rounded."""
    reduced: NDArray[Any] = cv2.convertScaleAbs(image, alpha=1 / 257)
    return reduced


def _as_they_are(image: NDArray[Any]) -> NDArray[Any]:
    return image


def _without_alpha(image: NDArray[Any]) -> NDArray[Any]:
    return image[..., :3]  # a view


def _deep_without_alpha(image: NDArray[Any]) -> NDArray[Any]:
    return to_8_bits(image)[..., :3]


def _to_float(image: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such later
        return image.astype(np.float32)


def _by_opencv(code: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda image: cv2.cvtColor(image, code)


def _deep_by_opencv(code: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda image: to_8_bits(cv2.cvtColor(image, code))


@dataclass(frozen=True, slots=True)
class _Raw:
    """How pixels of one encoding lie in memory, and what a frame holds of them."""

    scalar: str  # numpy's name of its type
    channels: int
    encoding: str  # of the frame
    convert: Callable[[NDArray[Any]], NDArray[Any]] = _as_they_are
    block: tuple[int, int] = (1, 1)  # width and height of the pixels that share their colour
    is_planar: bool = False  # the colour follows the gray, in half as many rows


# ROS names the first two pixels of the first row, OpenCV the second and third of the second row.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}
_UYVY = _Raw("u1", 2, "bgr8", _by_opencv(cv2.COLOR_YUV2BGR_UYVY), (2, 1))
_YUYV = _Raw("u1", 2, "bgr8", _by_opencv(cv2.COLOR_YUV2BGR_YUY2), (2, 1))

RAW: dict[str, _Raw] = {
    **{name: _Raw(*ENCODINGS[name], name) for name in ("mono8", "8UC1", "mono16", "16UC1", "32FC1", "rgb8", "bgr8")},
    "rgba8": _Raw("u1", 4, "rgb8", _without_alpha),
    "bgra8": _Raw("u1", 4, "bgr8", _without_alpha),
    # OpenCV's order of channels, which these names leave open.
    "8UC3": _Raw("u1", 3, "bgr8"),
    "8UC4": _Raw("u1", 4, "bgr8", _without_alpha),
    "rgb16": _Raw("u2", 3, "rgb8", to_8_bits),
    "bgr16": _Raw("u2", 3, "bgr8", to_8_bits),
    "rgba16": _Raw("u2", 4, "rgb8", _deep_without_alpha),
    "bgra16": _Raw("u2", 4, "bgr8", _deep_without_alpha),
    **{f"bayer_{order}8": _Raw("u1", 1, "bgr8", _by_opencv(code)) for order, code in _BAYER.items()},
    **{f"bayer_{order}16": _Raw("u2", 1, "bgr8", _deep_by_opencv(code)) for order, code in _BAYER.items()},
    "uyvy": _UYVY,
    "yuv422": _UYVY,
    "yuyv": _YUYV,
    "yuv422_yuy2": _YUYV,
    "nv12": _Raw("u1", 1, "bgr8", _by_opencv(cv2.COLOR_YUV2BGR_NV12), (2, 2), is_planar=True),
    "nv21": _Raw("u1", 1, "bgr8", _by_opencv(cv2.COLOR_YUV2BGR_NV21), (2, 2), is_planar=True),
    "16SC1": _Raw("i2", 1, "32FC1", _to_float),
    "32SC1": _Raw("i4", 1, "32FC1", _to_float),
    "64FC1": _Raw("f8", 1, "32FC1", _to_float),
}
"""What :func:`decode_raw` knows: encoding -> its layout."""


def check_raw(height: int, width: int, encoding: str, step: int, size: int) -> None:
    """Raise what :func:`decode_raw` would raise for this header and ``size`` bytes of data; no pixel is looked at.

    Data that is longer than its rows is refused like data that is too short: one of the header fields is then wrong,
    and the picture would be sheared.
    """
    raw = RAW.get(encoding)
    if raw is None:
        raise ImageError(f"encoding {encoding!r} cannot be fused; expected one of {', '.join(RAW)}")
    if height <= 0 or width <= 0:
        raise ImageError(f"{encoding} image of {width}x{height} pixels has no content; expected at least 1x1")
    columns, rows = raw.block
    if width % columns or height % rows:
        raise ImageError(
            f"{encoding} image of {width}x{height} pixels cuts one of the {columns}x{rows} pixels that share their "
            f"colour; expected an even width{' and height' * (rows > 1)}"
        )
    row = width * raw.channels * np.dtype(raw.scalar).itemsize  # Python's integers: no header can overflow these
    if step < row:
        raise ImageError(f"step of {step} bytes is too small for {width} pixels of {encoding}; expected {row} or more")
    expected = step * _rows(height, raw)
    if size != expected:
        extent = "truncated" if size < expected else "too long"
        raise ImageError(
            f"{encoding} image data of {size} bytes is {extent}; expected {expected} "
            f"(step {step} x height {height}{' x 1.5' * raw.is_planar})"
        )


def decode_raw(
    height: int,
    width: int,
    encoding: str,
    is_bigendian: int | bool,
    step: int,
    data: Buffer,
    depth: BitDepth | None = None,
) -> tuple[NDArray[np.generic], str]:
    """Return the pixels in ``data`` and the encoding of a frame of them, a key of :data:`~.frames.ENCODINGS`.

    Gray, counts and 8-bit colour are a view on ``data`` (padding is skipped by its strides, alpha left out), except for
    big-endian or unaligned 16-bit and float pixels, which are copied once. Bayer (bilinear), YUV (BT.601, of limited
    range) and 16-bit colour become 8-bit colour, signed counts and doubles become float32. ``depth`` brings what has 16
    bits to full scale before that.

    Raises :class:`ImageError` for an encoding not in :data:`RAW`, a size of zero or of half a sample of colour, a step
    smaller than a row, and data of another length than the header says.
    """
    check_raw(height, width, encoding, step, memoryview(data).nbytes)
    raw = RAW[encoding]
    pixels: NDArray[Any] = _pixels(_rows(height, raw), width, raw, bool(is_bigendian), step, data)
    return raw.convert(pixels if depth is None else depth.full_scale(pixels)), raw.encoding


def _rows(height: int, raw: _Raw) -> int:
    return height * 3 // 2 if raw.is_planar else height


def _pixels(rows: int, width: int, raw: _Raw, is_bigendian: bool, step: int, data: Buffer) -> NDArray[np.generic]:
    """Return (rows, width) or (rows, width, channels) of native byte order, a view where that can be."""
    dtype = np.dtype(raw.scalar).newbyteorder(">" if is_bigendian else "<")
    pixel, channels = raw.channels * dtype.itemsize, raw.channels
    shape: tuple[int, ...] = (rows, width) if channels == 1 else (rows, width, channels)
    strides: tuple[int, ...] = (step, pixel) if channels == 1 else (step, pixel, dtype.itemsize)
    view: NDArray[np.generic] = np.ndarray(shape, dtype, buffer=data, strides=strides)
    if not view.dtype.isnative:
        return view.astype(view.dtype.newbyteorder("="))
    # An odd step leaves 16-bit rows at odd addresses, which some processors read slowly or not at all.
    return view if view.flags.aligned else view.copy()
