"""Images that show nothing, and those that show little."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.images.blank import is_blank


@pytest.mark.parametrize("noise", [0, 1, 4])
@pytest.mark.parametrize("level", [0, 5, 128, 250, 255])
@pytest.mark.parametrize("size", [(480, 640), (121, 163)])
def test_one_gray_level_shows_nothing_noisy_or_not(level, noise, size):
    random = np.random.default_rng(0)
    image = np.clip(level + random.normal(0, noise, size), 0, 255).round().astype(np.uint8)
    assert is_blank(image)
    assert is_blank(image.astype(np.float32) / 255)


def test_a_scene_shows_something_however_dark():
    random = np.random.default_rng(0)
    lamps = np.zeros((480, 640), np.uint8)
    for y, x in random.integers(0, 400, (5, 2)):
        lamps[y : y + 10, x : x + 10] = 200
    shade = np.repeat(np.linspace(100, 106, 640).astype(np.uint8)[None], 480, 0)
    for image in (lamps, shade):
        assert not is_blank(image)
        assert not is_blank(image.astype(np.float32) / 255)


@pytest.mark.parametrize("shape", [(16, 16), (1, 3), (7, 40)])
def test_small_images_are_judged_too(shape):
    assert is_blank(np.full(shape, 9, np.uint8))
    half = np.zeros(shape, np.uint8)
    half[:, shape[1] // 2 :] = 255
    assert is_blank(half) == (shape[1] < 16)  # one block of pixels has one mean
