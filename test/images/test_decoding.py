"""decode_raw: every encoding against rules worked out anew, any fields at all, and every malformed header."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from raw_images import FRAME_ENCODINGS, LAYOUTS, assert_pixels, packed, row_bytes, rows_of, samples, unpacked

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.decoding import RAW, check_raw, decode_raw, to_8_bits
from hkdnet_ros.images.frames import Frame

VIEWED = ["mono8", "8UC1", "mono16", "16UC1", "32FC1", "rgb8", "bgr8", "rgba8", "bgra8", "8UC3", "8UC4"]
IN_BLOCKS = {"yuv422": (2, 1), "yuv422_yuy2": (2, 1), "uyvy": (2, 1), "yuyv": (2, 1), "nv12": (2, 2), "nv21": (2, 2)}
NAMES = st.sampled_from([*LAYOUTS, "nv24", "8UC2", "MONO8", ""]) | st.text(max_size=12)
ANY_UINT32 = st.integers(0, 9) | st.integers(0, 2**32 - 1) | st.sampled_from([2**31 - 1, 2**31, 2**32 - 1])


def test_all_that_is_known_is_tested_here():
    assert set(RAW) == set(LAYOUTS)


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", LAYOUTS)
def test_pixels_are_what_the_encoding_says(encoding, padding, big):
    scalars = samples(encoding, 12, 16)
    data, step = packed(scalars, bool(big), padding)
    image, frame_encoding = decode_raw(12, 16, encoding, big, step, data)
    assert frame_encoding == FRAME_ENCODINGS.get(encoding, "bgr8")
    Frame(image, 0, "", frame_encoding)  # which checks its layout
    assert image.dtype.isnative
    assert image.flags.aligned
    assert_pixels(image, encoding, scalars)


@pytest.mark.parametrize("encoding", [name for name in LAYOUTS if name.startswith("bayer")])
def test_a_mosaic_of_one_colour_shows_that_colour_everywhere(encoding):
    blue, green, red = 200, 90, 20
    levels = {"b": blue, "g": green, "r": red}
    tile = np.array([levels[letter] for letter in encoding[6:10]]).reshape(2, 2)
    scale = 257 if encoding.endswith("16") else 1
    scalars = np.tile(tile * scale, (6, 8)).astype(LAYOUTS[encoding][0])[..., None]
    data, step = packed(scalars)
    image, _ = decode_raw(12, 16, encoding, 0, step, data)
    np.testing.assert_array_equal(image, np.broadcast_to([blue, green, red], (12, 16, 3)))


def test_16_bits_are_reduced_to_the_nearest_of_8():
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(to_8_bits(deep), np.rint(deep / 257.0))


def test_signed_counts_and_doubles_keep_their_values():
    counts, step = packed(np.array([[[-32768], [-1], [0], [32767]]], np.int16))
    assert decode_raw(1, 4, "16SC1", 0, step, counts)[0].tolist() == [[-32768, -1, 0, 32767]]
    kelvin, step = packed(np.array([[[293.15], [np.nan], [1e300]]]), big=True)
    np.testing.assert_array_equal(
        decode_raw(1, 3, "64FC1", 1, step, kelvin)[0], np.array([[293.15, np.nan, np.inf]], np.float32)
    )


@pytest.mark.parametrize("encoding", VIEWED)
def test_native_pixels_are_a_view_on_the_data(encoding):
    step = row_bytes(encoding, 4) + 8
    data = array("B", bytes(3 * step))
    image, _ = decode_raw(3, 4, encoding, 0, step, data)
    assert np.shares_memory(image, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("encoding", LAYOUTS)
def test_data_that_may_not_be_written_to_is_decoded_and_left_as_it_is(encoding):
    scalars = samples(encoding)
    data, step = packed(scalars)
    before = np.frombuffer(data, np.uint8)  # bytes are read-only, as those of a bag
    image, _ = decode_raw(12, 16, encoding, 0, step, before)
    assert_pixels(image, encoding, scalars)
    assert before.tobytes() == packed(scalars)[0]


@pytest.mark.parametrize(
    ("header", "fact"),
    [
        ((2, 2, "mono9", 0, 2), "encoding 'mono9' cannot be fused; expected one of mono8"),
        ((2, 2, "nv24", 0, 2), "encoding 'nv24' cannot be fused"),
        ((2, 2, "", 0, 2), "encoding '' cannot be fused"),
        ((0, 2, "mono8", 0, 2), "2x0 pixels"),
        ((2, 0, "mono8", 0, 2), "0x2 pixels"),
        ((2, 2, "bgr8", 0, 5), "step of 5 bytes is too small for 2 pixels of bgr8; expected 6 or more"),
        ((2, 2, "mono8", 0, 0), "step of 0 bytes is too small"),
        ((2, 2, "mono8", 0, 3), "4 bytes is truncated; expected 6 (step 3 x height 2)"),
        ((2, 1, "mono8", 0, 1), "4 bytes is too long; expected 2"),
        ((2, 2, "nv12", 0, 2), "4 bytes is truncated; expected 6 (step 2 x height 2 x 1.5)"),
        ((1, 3, "uyvy", 0, 6), "uyvy image of 3x1 pixels cuts one of the 2x1 pixels that share their colour"),
        ((3, 2, "nv21", 0, 2), "expected an even width and height"),
        ((2**32 - 1, 2**32 - 1, "mono8", 0, 2**32 - 1), "truncated; expected 18446744065119617025"),
        ((2**31, 2**31, "rgba8", 0, 0), "step of 0 bytes is too small for 2147483648 pixels"),
        ((2**32 // 2, 1, "mono8", 0, 2), "truncated; expected 4294967296"),
    ],
)
def test_malformed_header_is_refused_with_the_fact(header, fact):
    with pytest.raises(ImageError) as caught:
        decode_raw(*header, data=bytes(4))
    assert fact in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_data_at_all_is_truncated():
    with pytest.raises(ImageError, match="0 bytes is truncated; expected 4"):
        decode_raw(2, 2, "mono8", 0, 2, b"")


def outcome(function, *fields):
    try:
        return function(*fields), None
    except ImageError as error:
        return None, str(error)


def judge(encoding, height, width, step, big, data):
    """Check what comes of any fields: the pixels, or one line, the same from the header's check as from decoding."""
    _, refused = outcome(check_raw, height, width, encoding, step, len(data))
    decoded, error = outcome(decode_raw, height, width, encoding, big, step, data)
    assert refused == error
    columns, rows = IN_BLOCKS.get(encoding, (1, 1))
    is_sound = (
        encoding in LAYOUTS
        and 0 < row_bytes(encoding, width) <= step
        and height > 0
        and not (width % columns or height % rows)
        and len(data) == step * rows_of(encoding, height)
    )
    if not is_sound:
        assert error is not None
        assert "expected" in error
        assert "\n" not in error
        assert len(error) < 500
        return
    image, _ = decoded
    if encoding.startswith("bayer") and min(height, width) < 3:  # too small to have an inside
        assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
    else:
        assert_pixels(image, encoding, unpacked(encoding, height, width, big, step, data))


@given(
    encoding=st.sampled_from(sorted(LAYOUTS)),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    padding=st.integers(0, 9),
    big=st.integers(0, 255),
    seed=st.integers(0, 2**16),
)
def test_sound_fields_give_the_pixels(encoding, height, width, padding, big, seed):
    step = row_bytes(encoding, width) + padding
    data = np.random.default_rng(seed).integers(0, 256, rows_of(encoding, height) * step, np.uint8).tobytes()
    judge(encoding, height, width, step, big, data)


@given(
    encoding=NAMES,
    height=ANY_UINT32,
    width=ANY_UINT32,
    step=ANY_UINT32,
    big=st.integers(0, 255),
    data=st.binary(max_size=120),
)
@example("mono8", 2**32 - 1, 2**32 - 1, 2**32 - 1, 0, b"")
@example("bgra8", 2**31, 2**30, 0, 0, bytes(4))  # products that would wrap to 0 in 32 bits
@example("mono16", 1, 2**31, 0, 1, b"")
@example("mono8", 0, 0, 0, 0, b"")
@example("yuv422", 2**16, 2**15, 2**16, 0, bytes(8))
@example("nv12", 2**32 - 2, 2**32 - 2, 2**32 - 1, 0, bytes(8))
def test_any_fields_give_the_pixels_or_one_clear_line(encoding, height, width, step, big, data):
    judge(encoding, height, width, step, big, data)


@given(
    encoding=st.sampled_from(sorted(LAYOUTS)),
    height=st.integers(0, 4),
    width=st.integers(0, 4),
    padding=st.integers(-9, 9),
    big=st.booleans(),
    surplus=st.integers(-20, 20),
)
def test_a_step_or_data_that_are_short_or_long_give_one_clear_line(encoding, height, width, padding, big, surplus):
    step = max(0, row_bytes(encoding, width) + padding)
    judge(encoding, height, width, step, int(big), bytes(max(0, step * rows_of(encoding, height) + surplus)))
