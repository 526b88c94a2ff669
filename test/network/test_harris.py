from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from hkdnet_ros.network.corner_embedding import CornerMask
from hkdnet_ros.network.harris import harris_response


def picture(seed: int, height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    noise = random.random((height, width), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    cv2.rectangle(smooth, (width // 4, height // 4), (width // 2, height // 2), 1.0, -1)
    return smooth


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (120, 160)])
def test_response_equals_opencv_up_to_the_borders(size):
    maps = np.stack([picture(seed, *size) for seed in range(6)])
    expected = np.stack([cv2.cornerHarris(image, 3, 3, 0.04) for image in maps])
    got = harris_response(torch.from_numpy(maps).reshape(2, 3, *size)).reshape(6, *size).numpy()
    largest = np.abs(expected).max((1, 2), keepdims=True)
    assert (np.abs(got - expected) / largest).max() < 1e-4


def test_response_leaves_its_input_alone():
    x = torch.rand(1, 2, 20, 20)
    before = x.clone()
    harris_response(x)
    assert torch.equal(x, before)


def test_response_is_computed_in_float32_under_autocast():
    x = torch.rand(1, 2, 20, 20)
    with torch.autocast("cpu", torch.bfloat16):
        got = harris_response(x)
    torch.testing.assert_close(got, harris_response(x))


def test_mask_of_one_frame_does_not_hang_on_another_part_of_it():
    """The published mask's threshold follows the frame's strongest corner; a new one would switch all others off."""
    mask = CornerMask(1).eval()
    mask.running_maximum.fill_(1e-3)
    weak = torch.zeros(1, 1, 40, 40)
    weak[:, :, 8:16, 8:16] = 0.5
    both = weak.clone()
    both[:, :, 28:36, 28:36] = 1.0
    torch.testing.assert_close(mask(weak)[..., :20, :20], mask(both)[..., :20, :20])


def test_training_moves_the_running_maximum_towards_the_batch():
    mask = CornerMask(2, momentum=0.5).train()
    x = torch.rand(3, 2, 24, 24)
    strongest = torch.nn.functional.max_pool2d(harris_response(x), 3, 1, 1).amax((2, 3)).mean(0)
    mask(x)
    torch.testing.assert_close(mask.running_maximum, 0.5 + 0.5 * strongest)
