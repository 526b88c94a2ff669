"""A frame is what its encoding says, or it is not made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.frames import ENCODINGS, Frame


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_an_image_of_its_encoding_makes_a_frame(encoding: str) -> None:
    scalar, channels = ENCODINGS[encoding]
    image = np.zeros((5, 7) if channels == 1 else (5, 7, channels), scalar)
    assert Frame(image, 1, "camera", encoding).image is image


@pytest.mark.parametrize(
    ("image", "encoding", "fact"),
    [
        (np.zeros((20, 30), np.uint8), "mono16", "image is uint8 of shape .*; mono16 is uint16 with 1 channel$"),
        (np.zeros((20, 30, 3), np.uint8), "mono8", r"shape \(20, 30, 3\)"),
        (np.zeros((20, 30, 1), np.uint8), "mono8", r"shape \(20, 30, 1\)"),
        (np.zeros((20, 30, 3), np.uint8), "rgba8", "4 channels"),
        (np.zeros((20, 30), np.uint8), "bgr8", "3 channels"),
        (np.zeros((20, 30), np.uint8), "yuv422", "encoding 'yuv422'; expected one of mono8"),
        (np.zeros((20, 30), ">u2"), "mono16", "image is >u2"),
        (np.zeros((0, 30), np.uint16), "mono16", "30x0 pixels; expected at least 1x1"),
        (np.zeros((30, 0, 3), np.uint8), "bgr8", "0x30"),
        (np.zeros(30, np.uint8), "mono8", "shape"),
    ],
)
def test_an_image_that_does_not_fit_its_encoding_is_refused(
    image: NDArray[np.generic], encoding: str, fact: str
) -> None:
    with pytest.raises(ImageError, match=fact):
        Frame(image, 1, "camera", encoding)
    good = Frame(np.zeros((2, 2), np.float32), 1, "camera", "32FC1")
    with pytest.raises(ImageError, match=fact):
        dataclasses.replace(good, image=image, encoding=encoding)
