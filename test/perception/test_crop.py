"""Rows and columns that are no picture: sizes that are known, both ends, what the user says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from rigging import Logger

from hkdnet_ros.errors import ConfigError, ImageError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.crop import Cropper, Margins, parse_crop

TELEMETRY = {
    (80, 63): 3,
    (160, 122): 2,
    (320, 258): 2,
    (640, 514): 2,
    (160, 129): 1,
    (320, 257): 1,
    (324, 257): 1,
    (336, 257): 1,
    (640, 513): 1,
    (256, 196): 4,
    (384, 292): 4,
    (640, 516): 4,
}


def picture(height: int, width: int, encoding: str = "mono16") -> NDArray[np.generic]:
    """A ramp from above to below with noise, in counts, kelvin or levels."""
    rows = np.linspace(0, 1, height)[:, None] + 0 * np.arange(width)
    noise = np.random.default_rng(0).normal(0, 0.01, rows.shape)
    if encoding == "32FC1":
        return (290 + 20 * (rows + noise)).astype(np.float32)
    if encoding == "mono8":
        return np.clip(60 + 150 * (rows + noise), 0, 255).astype(np.uint8)
    return (29000 + 2000 * (rows + noise)).astype(np.uint16)


def with_rows(image: NDArray[np.generic], rows: int, at_top: bool, seed: int = 1) -> NDArray[np.generic]:
    """``image`` with rows of telemetry: counters and flags, mostly zero."""
    telemetry = np.zeros((rows, image.shape[1]), image.dtype)
    telemetry[:, :12] = np.random.default_rng(seed).integers(0, 250, (rows, 12))
    return np.concatenate([telemetry, image] if at_top else [image, telemetry])


@pytest.mark.parametrize("at_top", [True, False])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "mono8", "32FC1"])
@pytest.mark.parametrize(("size", "rows"), TELEMETRY.items())
def test_telemetry_of_known_sizes_is_cut_off_at_either_end_and_said_once(
    size: tuple[int, int], rows: int, encoding: str, at_top: bool
) -> None:
    logger = Logger()
    cropper = Cropper(log=logger)
    image = picture(size[1] - rows, size[0], encoding)
    for seed in range(3):
        cropped = cropper.crop(Frame(with_rows(image, rows, at_top, seed), seed + 1, "thermal", encoding))
        np.testing.assert_array_equal(cropped.image, image)
        assert (cropped.stamp_ns, cropped.frame_id, cropped.encoding) == (seed + 1, "thermal", encoding)
    assert len(logger.lines) == 1
    assert f"{rows} row" in logger.lines[0]
    assert f"at the {'top' if at_top else 'bottom'}" in logger.lines[0]


@pytest.mark.parametrize(
    ("size", "margins"),
    [
        ((208, 156), Margins(1, 1, 0, 1)),
        ((342, 260), Margins(4, 16, 1, 21)),
    ],
)
def test_seek_cameras_have_fixed_margins(size: tuple[int, int], margins: Margins) -> None:
    frame = Frame(picture(size[1], size[0]), 1, "thermal", "mono16")
    assert Cropper(log=Logger()).margins(frame) == margins


@pytest.mark.parametrize(("encoding", "part"), [("mono16", slice(192, 384)), ("bgr8", slice(0, 192))])
def test_of_two_images_below_each_other_counts_are_taken_from_the_lower_and_colours_from_the_upper(
    encoding: str, part: slice
) -> None:
    image = picture(384, 256) if encoding == "mono16" else np.repeat(picture(384, 256, "mono8")[..., None], 3, axis=2)
    cropped = Cropper(log=Logger()).crop(Frame(image, 1, "thermal", encoding))
    np.testing.assert_array_equal(cropped.image, image[part])


@pytest.mark.parametrize("size", [(160, 120), (320, 256), (640, 512), (640, 480), (256, 192), (161, 122), (122, 160)])
def test_no_other_size_is_touched(size: tuple[int, int]) -> None:
    logger = Logger()
    frame = Frame(with_rows(picture(size[1] - 2, size[0]), 2, True), 1, "thermal", "mono16")
    assert Cropper(log=logger).crop(frame) is frame
    assert not logger.lines


@pytest.mark.parametrize("encoding", ["mono16", "mono8", "32FC1"])
def test_a_known_size_that_is_picture_to_its_edges_is_left_as_it_is(encoding: str) -> None:
    frame = Frame(picture(122, 160, encoding), 1, "thermal", encoding)
    assert Cropper(log=Logger()).crop(frame) is frame


def test_what_the_user_says_is_cut_off_any_size_and_none_keeps_all() -> None:
    image = picture(40, 50)
    frame = Frame(image, 1, "thermal", "mono16")
    np.testing.assert_array_equal(Cropper("1,2,3,4", Logger()).crop(frame).image, image[1:38, 3:46])
    lepton = Frame(with_rows(picture(120, 160), 2, False), 1, "thermal", "mono16")
    assert Cropper("none", Logger()).crop(lepton) is lepton


@pytest.mark.parametrize("text", ["", "2", "0,2,0", "0,2,0,-1", "0,2,0,0,0", "a,b,c,d", "Auto"])
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ConfigError, match="expected auto, none, or TOP,BOTTOM,LEFT,RIGHT"):
        parse_crop(text)


@pytest.mark.parametrize("text", ["20,20,0,0", "0,0,30,20", "40,0,0,0"])
def test_margins_that_leave_nothing_are_an_error_of_the_image(text: str) -> None:
    with pytest.raises(ImageError, match="50x40 has nothing left"):
        Cropper(text, Logger()).crop(Frame(picture(40, 50), 1, "thermal", "mono16"))
