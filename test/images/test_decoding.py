"""decode_image: every encoding against a pixel-by-pixel reference, and every malformed header."""

from __future__ import annotations

import struct
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.decoding import decode_image
from hkdnet_ros.images.frames import ENCODINGS

STRUCT_CODES = {"u1": "B", "u2": "H", "f4": "f"}


def pixels_by_hand(height, width, encoding, big, step, data):
    """Unpack one scalar after the other with the struct module, an independent reading of the message definition."""
    scalar, channels = ENCODINGS[encoding]
    code = (">" if big else "<") + STRUCT_CODES[scalar]
    size = struct.calcsize(code)
    image = np.zeros((height, width, channels), scalar)
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                offset = row * step + (column * channels + channel) * size
                image[row, column, channel] = struct.unpack_from(code, data, offset)[0]
    return image[..., 0] if channels == 1 else image


def pixel_bytes(encoding):
    scalar, channels = ENCODINGS[encoding]
    return np.dtype(scalar).itemsize * channels


@given(
    encoding=st.sampled_from(sorted(ENCODINGS)),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    padding=st.integers(0, 9),
    big=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pixels_equal_those_unpacked_one_by_one(encoding, height, width, padding, big, seed):
    step = width * pixel_bytes(encoding) + padding
    data = np.random.default_rng(seed).integers(0, 256, height * step, np.uint8).tobytes()
    image = decode_image(height, width, encoding, big, step, data)
    expected = pixels_by_hand(height, width, encoding, big, step, data)
    assert image.shape == expected.shape
    assert image.dtype == expected.dtype
    assert image.dtype.isnative
    assert image.flags.aligned
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_native_pixels_are_a_view_on_the_data(encoding):
    step = 4 * pixel_bytes(encoding) + 8
    data = array("B", bytes(3 * step))
    image = decode_image(3, 4, encoding, 0, step, data)
    assert np.shares_memory(image, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize(
    ("header", "fact"),
    [
        ((2, 2, "mono9", 0, 2), "encoding 'mono9' is not known; expected one of mono8"),
        ((2, 2, "", 0, 2), "encoding '' is not known"),
        ((0, 2, "mono8", 0, 2), "2x0 pixels"),
        ((2, 0, "mono8", 0, 2), "0x2 pixels"),
        ((2, 2, "bgr8", 0, 5), "step of 5 bytes is too small for 2 pixels of bgr8; expected 6 or more"),
        ((2, 2, "mono8", 0, 0), "step of 0 bytes is too small"),
        ((2, 2, "mono8", 0, 3), "4 bytes is truncated; expected 6"),
        ((2, 1, "mono8", 0, 1), "4 bytes is too long; expected 2"),
        ((2**32 - 1, 2**32 - 1, "mono8", 0, 2**32 - 1), "truncated; expected 18446744065119617025"),
        ((2**31, 2**31, "rgba8", 0, 0), "step of 0 bytes is too small for 2147483648 pixels"),
        ((2**32 // 2, 1, "mono8", 0, 2), "truncated; expected 4294967296"),
    ],
)
def test_malformed_header_is_refused_with_the_fact(header, fact):
    with pytest.raises(ImageError) as caught:
        decode_image(*header, data=bytes(4))
    assert fact in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_data_at_all_is_truncated():
    with pytest.raises(ImageError, match="0 bytes is truncated; expected 4"):
        decode_image(2, 2, "mono8", 0, 2, b"")


@given(
    encoding=st.one_of(st.sampled_from(sorted(ENCODINGS)), st.text(max_size=8)),
    numbers=st.tuples(*[st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))] * 3),
    big=st.integers(0, 255),
    data=st.binary(max_size=200),
)
def test_any_header_gives_an_image_or_an_image_error(encoding, numbers, big, data):
    height, width, step = numbers
    try:
        image = decode_image(height, width, encoding, big, step, data)
    except ImageError:
        return
    assert image.shape[:2] == (height, width)
    assert step * height == len(data)
