"""Tables: identical where nothing is to be done, right to a fraction of a pixel, and without aliasing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.geometry.correspondence import homography_trace, largest_window, through_window
from hkdnet_ros.geometry.lookup import LookupTable
from hkdnet_ros.images.resampling import resample


def scene(x, y):
    """A smooth picture in [0, 1] that is known between pixels."""
    return 0.5 + 0.25 * np.sin(x / 9.0) + 0.25 * np.cos(y / 7.0 + x / 31.0)


def image_of(size, dtype=np.float32):
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    picture = scene(x, y)
    return (picture * 255).round().astype(np.uint8) if dtype == np.uint8 else picture.astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_identity_gives_the_image_itself(dtype):
    image = np.random.default_rng(1).integers(0, 255, (48, 64)).astype(dtype)
    table = LookupTable(homography_trace(np.eye(3)), (64, 48), (64, 48))
    assert table.apply(image) is image
    assert table.is_complete
    assert table.coverage == 1


@pytest.mark.parametrize("size", [(64, 48), (320, 240), (128, 40)])
def test_a_stretch_from_edge_to_edge_is_a_resampling(size):
    image = np.random.default_rng(1).integers(0, 255, (96, 128)).astype(np.uint8)
    x, y = 128 / size[0], 96 / size[1]
    stretch = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    table = LookupTable(homography_trace(stretch), size, (128, 96))
    np.testing.assert_array_equal(table.apply(image), resample(image, *size))


TILTED = np.array([[0.9, 0.1, 5.0], [-0.08, 0.92, 8.0], [1e-4, 2e-4, 1.0]])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 0.006), (np.uint8, 2.0)])
def test_pixels_come_from_where_the_table_says(dtype, tolerance):
    size, source = (200, 150), (220, 180)
    table = LookupTable(homography_trace(TILTED), size, source)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    w = TILTED[2] @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    sx, sy = ((TILTED[row] @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1)) / w for row in (0, 1))
    expected = scene(sx, sy).reshape(150, 200) * (255 if dtype == np.uint8 else 1)
    found = table.apply(image_of(source, dtype))
    seen = cv2.erode(table.validity, np.ones((5, 5), np.uint8)) > 0
    assert seen.mean() > 0.8
    assert found.dtype == dtype
    np.testing.assert_allclose(found[seen], expected[seen], atol=tolerance)


def test_what_the_source_does_not_show_is_zero_and_not_valid():
    shifted = np.array([[1.0, 0, -20], [0, 1, 0], [0, 0, 1]])
    table = LookupTable(homography_trace(shifted), (64, 48), (64, 48))
    found = table.apply(np.full((48, 64), 200, np.uint8))
    assert not found[:, :20].any()
    assert not table.validity[:, :20].any()
    assert (found[:, 20:] == 200).all()
    assert (table.validity[:, 20:] == 255).all()
    assert table.coverage == pytest.approx(44 / 64)


def test_nothing_that_is_seen_gives_zeros():
    away = np.array([[1.0, 0, 5000], [0, 1, 0], [0, 0, 1]])
    table = LookupTable(homography_trace(away), (64, 48), (64, 48))
    assert table.coverage == 0
    assert not table.apply(np.full((48, 64), 200, np.uint8)).any()


@pytest.mark.parametrize("angle", [0.0, 3.0, 90.0])
def test_fine_stripes_of_a_large_image_become_gray_and_not_coarse_stripes(angle):
    """1920x1080 on 640x480: what the grid cannot show must not come back as something else."""
    stripes = (127.5 + 127.5 * np.sin(2 * np.pi * np.arange(1920) / 2.4)).astype(np.uint8)
    image = np.broadcast_to(stripes, (1080, 1920))
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[2.2 * cos, -2.2 * sin, 0], [2.2 * sin, 2.2 * cos, 0], [0, 0, 1]])
    turn[:2, 2] = (959.5, 539.5) - turn[:2, :2] @ (319.5, 239.5)
    table = LookupTable(homography_trace(turn), (640, 480), (1920, 1080))
    inner = cv2.erode(table.validity, np.ones((5, 5), np.uint8)) > 0
    low = cv2.GaussianBlur(table.apply(image).astype(np.float32), (0, 0), 1.5)
    naive = cv2.warpPerspective(image, turn, (640, 480), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    naive_low = cv2.GaussianBlur(naive.astype(np.float32), (0, 0), 1.5)
    assert low[inner].std() < 5  # the mean over a pixel leaves 9 % of such stripes
    assert naive_low[inner].std() > 20


def mean_under_each_pixel(image, matrix, size, samples=10):
    """Return the mean of ``image``, whose pixels are squares, over the area of each pixel of a grid."""
    offset = (np.arange(samples) + 0.5) / samples - 0.5
    x, y = ((np.arange(side)[:, None] + offset).ravel() for side in size)
    x, y = np.meshgrid(x, y)
    place = np.rint(matrix[:2] @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])).astype(int)
    values = image[np.clip(place[1], 0, image.shape[0] - 1), np.clip(place[0], 0, image.shape[1] - 1)]
    return values.reshape(size[1], samples, size[0], samples).astype(float).mean(axis=(1, 3))


@pytest.mark.parametrize("scale", [1.3, 1.67, 2.2, 2.9, 3.3, 4.7, 6.5])
def test_a_pixel_of_a_coarser_grid_is_the_mean_of_what_it_covers(scale):
    """Nearer to that than shrinking to the grid's scale before, and than averaging nothing."""
    image = np.random.default_rng(0).integers(0, 256, (200, 240)).astype(np.uint8)
    size = int(140 / scale), int(100 / scale)
    cos, sin = scale * np.cos(np.radians(30)), scale * np.sin(np.radians(30))
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    matrix[:2, 2] = (119.6, 99.3) - matrix[:2, :2] @ ((size[0] - 1) / 2, (size[1] - 1) / 2)
    table = LookupTable(homography_trace(matrix), size, (240, 200))
    assert table.is_complete
    truth = mean_under_each_pixel(image, matrix, size)

    def off(found):
        return np.sqrt(((found - truth) ** 2)[2:-2, 2:-2].mean()) / truth.std()

    shrunk = cv2.resize(image, (round(240 / scale), round(200 / scale)), interpolation=cv2.INTER_AREA)
    stretch = np.diag([shrunk.shape[1] / 240, shrunk.shape[0] / 200, 1])
    stretch[:2, 2] = (stretch[[0, 1], [0, 1]] - 1) / 2
    before = cv2.warpPerspective(shrunk, stretch @ matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    naive = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    found = off(table.apply(image, cv2.INTER_LINEAR))
    assert found < off(before)
    assert found < off(naive)


def test_a_scale_that_changes_over_the_image_aliases_nowhere():
    """Under a strong perspective one side is seen 1:1, the other is four times as fine as the grid."""
    x = np.arange(1600)
    image = np.broadcast_to(np.where(x % 4 < 2, 255, 0).astype(np.uint8), (300, 1600))
    perspective = np.array([[1.0, 0, 0], [0, 1, 0], [-9e-4, 0, 1]])
    table = LookupTable(homography_trace(perspective), (640, 120), (1600, 300))
    found = table.apply(image).astype(np.float32)
    assert table.is_complete
    blurred = cv2.GaussianBlur(found, (0, 0), 2.5)
    assert blurred[20:-20, 350:620].std() < 5  # 2 to 5 pixels of the image to one of the grid
    assert found[20:-20, 20:100].std() > 60  # nothing was averaged where the stripes can be seen


def test_cubics_do_not_leave_the_range_of_the_image():
    image = np.zeros((40, 40), np.float32)
    image[:, 20:] = 1
    table = LookupTable(homography_trace(np.array([[0.5, 0, 3], [0, 0.5, 3], [0, 0, 1]])), (60, 60), (40, 40))
    found = table.apply(image)
    assert found.min() == 0
    assert found.max() == 1


def test_a_window_of_the_grid_shows_its_part():
    size = (64, 48)
    whole = LookupTable(homography_trace(TILTED), size, (220, 180))
    part = LookupTable(through_window(homography_trace(TILTED), (40, 20), (10, 5, 40, 20)), (40, 20), (220, 180))
    image = image_of((220, 180))
    np.testing.assert_allclose(part.apply(image), whole.apply(image)[5:25, 10:50], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_window_is_the_one_that_trying_all_finds(seed):
    validity = (np.random.default_rng(seed).random((7, 9)) < 0.75).astype(np.uint8) * 255
    best = 0
    for top in range(7):
        for bottom in range(top + 1, 8):
            for left in range(9):
                for right in range(left + 1, 10):
                    if validity[top:bottom, left:right].all():
                        best = max(best, (bottom - top) * (right - left))
    left, top, width, height = largest_window(validity)
    assert width * height == best
    assert validity[top : top + height, left : left + width].all()


def test_no_window_is_found_where_nothing_is_valid():
    assert largest_window(np.zeros((4, 5), np.uint8)) == (0, 0, 0, 0)
