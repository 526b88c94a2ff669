"""What torch does to images on a device is what OpenCV does to them on the CPU: here both run on the CPU."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from hkdnet_ros.geometry.correspondence import homography_trace
from hkdnet_ros.geometry.lookup import LookupTable
from hkdnet_ros.images import color
from hkdnet_ros.images.blank import BLANK, is_blank
from hkdnet_ros.images.resampling import resample
from hkdnet_ros.inference.device_images import Resize, Spread, TableSampling, gray, join, split, to_levels

CPU = torch.device("cpu")


def picture(height, width, seed=0):
    """Return levels (H, W) with smooth parts, edges and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = 120 + 80 * np.sin(x / 5) * np.cos(y / 7) + 60 * (x > y) + random.normal(0, 5, (height, width))
    return np.clip(image, 0, 255).astype(np.uint8)


SIZES = [((40, 30), (80, 60)), ((40, 30), (97, 61)), ((81, 63), (40, 30)), ((80, 60), (40, 30)), ((60, 60), (40, 90))]


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_an_image_is_resized_as_opencv_does_it(source, target):
    image = picture(*source[::-1])
    resize = Resize(source, target, CPU)
    levels = resize.levels(torch.from_numpy(image).float()).numpy()
    off = np.abs(levels - resample(image, *target))
    assert off.max() <= 1
    assert off.mean() < 0.02
    unit = image / np.float32(255)
    np.testing.assert_allclose(resize.units(torch.from_numpy(unit)).numpy(), resample(unit, *target), atol=2e-5)


def test_colour_channels_are_resized_together():
    image = np.dstack([picture(60, 80, seed) for seed in range(3)])
    planes = Resize((80, 60), (50, 40), CPU).levels(torch.from_numpy(image).permute(2, 0, 1).float())
    assert np.abs(planes.permute(1, 2, 0).numpy() - resample(image, 50, 40)).max() <= 1


def through(matrix, size, source_size):
    return LookupTable(homography_trace(np.asarray(matrix, np.float64)), size, source_size)


TURNED = [[0.62, 0.05, 3.1], [-0.04, 0.6, 4.7], [1e-5, 0, 1]]
SLANTED = [[2, 0, 2], [0, 2, 3], [-0.013, 0, 1]]


@pytest.mark.parametrize(
    ("matrix", "size", "source_size"),
    [
        (TURNED, (100, 70), (64, 48)),  # turned, partly outside, enlarged
        ([[2.3, 0.2, 5], [-0.2, 2.4, 9], [0, 0, 1]], (60, 40), (160, 120)),  # shrunk first
        (SLANTED, (60, 40), (160, 120)),  # several samples to a pixel
        ([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]], (80, 60), (40, 30)),  # no more than a resize
    ],
)
def test_a_table_leads_to_the_same_pixels(matrix, size, source_size):
    table = through(matrix, size, source_size)
    unit = picture(*source_size[::-1]) / np.float32(255)
    found = TableSampling(table, CPU).units(torch.from_numpy(unit)).numpy()
    np.testing.assert_allclose(found, table.apply(unit), atol=1e-3)
    assert (found[table.validity == 0] == 0).all()


def test_a_table_of_several_samples_to_a_pixel_is_among_these():
    assert through(SLANTED, (60, 40), (160, 120)).places().shape[:2] == (120, 180)


def test_luma_and_chroma_are_opencvs_to_the_last_level():
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    channels = torch.from_numpy(image).permute(2, 0, 1).float()
    y, (cr, cb) = color.split(image, "bgr8")
    np.testing.assert_array_equal(split(channels).numpy(), np.stack([y, cr, cb]))
    np.testing.assert_array_equal(gray(channels).numpy(), color.luma(image, "bgr8"))


def test_colour_comes_back_as_opencv_brings_it_to_the_last_level():
    planes = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    found = join(*torch.from_numpy(planes).permute(2, 0, 1).float()).numpy()
    np.testing.assert_array_equal(found, cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR))


def test_units_become_levels_as_opencv_rounds_them():
    unit = np.append(np.random.default_rng(0).random((64, 64), np.float32).ravel(), [0, 1])
    unit = unit.astype(np.float32)[:, None]
    np.testing.assert_array_equal(to_levels(torch.from_numpy(unit)).numpy(), color.to_uint8(unit))


@pytest.mark.parametrize("noise", [0, 2, 6, 8, 12, 60])
def test_what_shows_nothing_is_known_by_its_spread(noise):
    random = np.random.default_rng(0)
    image = np.clip(100 + random.normal(0, noise, (61, 83)), 0, 255).astype(np.uint8)
    spread = Spread((83, 61), CPU)
    assert (float(spread.of_levels(torch.from_numpy(image).float())) < BLANK) == is_blank(image)
    unit = image / np.float32(255)
    assert (float(spread.of_units(torch.from_numpy(unit))) < BLANK) == is_blank(unit)
