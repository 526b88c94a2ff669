from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hkdnet_ros.errors import ImageError
from hkdnet_ros.evaluation.resampling import crop_to_multiple, enlarge_bicubic, reduce_bilinear

RANDOM = np.random.default_rng(5)
IMAGES = (
    RANDOM.integers(0, 256, (108, 156), np.uint8),
    RANDOM.choice(np.array([0, 255], np.uint8), (48, 60)),
    RANDOM.integers(0, 256, (12, 12), np.uint8),
)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("image", IMAGES)
def test_reducing_equals_pillow_bit_for_bit(image: np.ndarray, scale: int) -> None:
    height, width = image.shape
    pillow = Image.fromarray(image).resize((width // scale, height // scale), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(reduce_bilinear(image, scale), np.asarray(pillow))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("image", IMAGES)
def test_enlarging_equals_pillow(image: np.ndarray, scale: int) -> None:
    size = image.shape[1] * scale, image.shape[0] * scale
    pillow = Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    enlarged = enlarge_bicubic(image, scale)
    assert enlarged.dtype == np.float32
    np.testing.assert_allclose(enlarged, np.clip(np.asarray(pillow), 0, 255), atol=1e-4)


def test_cropping_drops_the_last_rows_and_columns() -> None:
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    np.testing.assert_array_equal(crop_to_multiple(image, 3), image[:3, :6])
    with pytest.raises(ImageError, match="image is 7x5; it cannot be reduced by 6"):
        crop_to_multiple(image, 6)
