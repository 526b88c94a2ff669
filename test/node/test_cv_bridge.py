"""Encodings that go through cv_bridge, with the real one: runs where it is installed."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("cv_bridge", reason="needs cv_bridge")

from sensor_msgs.msg import Image

from hkdnet_ros.node.image_messages import decode

HEIGHT, WIDTH = 12, 16

# encoding -> channels and OpenCV's name of the way to BGR; what ROS calls RGGB is BG to OpenCV, by the second row
CONVERSIONS = {
    "bayer_rggb": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg": (1, cv2.COLOR_BayerGB2BGR),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
    "rgb": (3, cv2.COLOR_RGB2BGR),
    "bgr": (3, None),
    "rgba": (4, cv2.COLOR_RGBA2BGR),
    "bgra": (4, cv2.COLOR_BGRA2BGR),
}
ENCODINGS = [
    *(f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)),
    *("yuv422", "uyvy", "yuv422_yuy2", "yuyv", "rgb16", "bgr16", "rgba16", "bgra16"),
]


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pixels_equal_those_of_opencv(encoding, padding, big):
    name = encoding if encoding in CONVERSIONS else encoding.rstrip("0123456789")
    channels, code = CONVERSIONS[name]
    kind = np.uint16 if encoding.endswith("16") else np.uint8
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    pixels = np.random.default_rng(3).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    rows = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).view(np.uint8).reshape(HEIGHT, -1)
    rows = np.hstack([rows, np.full((HEIGHT, padding), 77, np.uint8)])
    message = Image(height=HEIGHT, width=WIDTH, encoding=encoding, is_bigendian=big, step=rows.shape[1])
    message.data = array("B", rows.tobytes())
    expected = pixels if code is None else cv2.cvtColor(pixels, code)
    if kind == np.uint16:
        expected = np.round(expected / 257)
    frame = decode(message)
    assert frame.encoding == "bgr8"
    np.testing.assert_allclose(frame.image, expected, atol=1 if kind == np.uint16 else 0)
