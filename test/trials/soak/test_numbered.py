"""Numbers in the pixels: legible at every size, after changes of range, and after fusion by the network itself."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hkdnet_ros.images.frames import Frame, Pair
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.trials.soak.numbered import NUMBERS, SMALLEST, numbered_image, read_number, read_numbers

OTHER = {"thermal": "visible", "visible": "thermal"}


@settings(max_examples=40)
@given(
    st.sampled_from(["thermal", "visible"]),
    st.integers(0, NUMBERS - 1),
    st.integers(SMALLEST, 200),
    st.integers(SMALLEST, 200),
)
def test_a_number_is_read_from_its_own_image_and_none_from_the_other_half(stream, number, width, height):
    image = numbered_image(stream, number, width, height)
    assert (image.shape, image.dtype) == ((height, width), np.uint8)
    assert read_number(image, stream) == number
    assert read_number(image, OTHER[stream]) is None
    assert read_number(image * 0.5 + 60, stream) == number


def test_images_are_repeatable_and_each_changes_all_over():
    first, again, second = (numbered_image("thermal", number, 80, 60) for number in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != second).mean() > 0.8


def test_a_number_with_a_bit_turned_round_is_not_read():
    image = numbered_image("visible", 1234, 100, 60)
    image[30:40, :20] = image[30:40, 19::-1]
    assert read_number(image, "visible") is None


@pytest.mark.parametrize("size", [(80, 60), (60, 80)])
def test_both_numbers_survive_the_network_and_each_stream_alone_shows_its_own(size):
    pipeline = FusionPipeline(load_engine(EngineConfig(device="cpu")))
    for thermal, visible in ((0, NUMBERS - 1), (2741, 1354), (1, 1)):
        gray = numbered_image("visible", visible, 80, 60)
        frames = Pair(
            Frame(numbered_image("thermal", thermal, *size), 1, "thermal", "mono8"),
            Frame(np.repeat(gray[..., None], 3, axis=2), 1, "visible", "rgb8"),
        )
        fused = pipeline.process(frames).image
        assert read_numbers(cv2.cvtColor(fused, cv2.COLOR_BGR2GRAY)) == {"thermal": thermal, "visible": visible}
        alone = pipeline.process_alone("thermal", frames.thermal).image
        assert read_numbers(alone) == {"thermal": thermal, "visible": None}
        alone = cv2.cvtColor(pipeline.process_alone("visible", frames.visible).image, cv2.COLOR_BGR2GRAY)
        assert read_numbers(alone) == {"thermal": None, "visible": visible}
