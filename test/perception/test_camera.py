"""Camera model of a resized image: points projected both ways land on the same place of the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.errors import ImageError
from hkdnet_ros.perception.camera import CameraModel

FULL = CameraModel(
    width=640,
    height=480,
    frame_id="rgb_optical",
    k=(500.0, 0.0, 318.2, 0.0, 510.0, 244.7, 0.0, 0.0, 1.0),
    d=(-0.2, 0.05, 0.001, -0.002, 0.01),
    r=(0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    p=(480.0, 0.0, 320.1, -57.6, 0.0, 490.0, 239.3, 3.0, 0.0, 0.0, 1.0, 0.002),
)
WINDOW = CameraModel(
    640, 480, "rgb_optical", FULL.k, FULL.d, p=FULL.p, binning_x=2, binning_y=4, roi_x_offset=100, roi_y_offset=60,
    roi_width=400, roi_height=320, roi_do_rectify=True,
)  # fmt: skip

points = np.random.default_rng(5).uniform((-0.5, -0.4, 1.0), (0.5, 0.4, 3.0), (50, 3))


def project_raw(model: CameraModel) -> NDArray[np.float64]:
    pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.reshape(model.k, (3, 3)), np.array(model.d))
    return np.asarray(pixels).reshape(-1, 2)


def project_rectified(model: CameraModel) -> NDArray[np.float64]:
    homogeneous = np.c_[points, np.ones(len(points))] @ np.reshape(model.p, (3, 4)).T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def fraction_of_image(
    pixels: NDArray[np.float64], origin: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Where a pixel lies in the picture: 0 at its left and upper edge, 1 at the others."""
    return np.asarray((pixels + 0.5 - origin) / size)


@pytest.mark.parametrize("size", [(1280, 960), (320, 240), (641, 333), (640, 480)])
@pytest.mark.parametrize("project", [project_raw, project_rectified])
@pytest.mark.parametrize(
    ("model", "origin", "covered"),
    [(FULL, (0, 0), (640, 480)), (WINDOW, (100, 60), (400, 320))],
    ids=["full", "window"],
)
def test_points_project_to_the_same_place_of_the_resized_image(project, model, origin, covered, size) -> None:  # type: ignore[no-untyped-def]
    resized = model.resized(*size)
    assert (resized.width, resized.height) == size
    np.testing.assert_allclose(
        fraction_of_image(project(resized), (0, 0), size), fraction_of_image(project(model), origin, covered), atol=1e-9
    )


def test_window_and_binning_go_into_the_matrices() -> None:
    assert FULL.image_size == (640, 480)
    assert WINDOW.image_size == (200, 80)
    resized = WINDOW.resized(*WINDOW.image_size)
    assert (resized.binning_x, resized.binning_y, resized.roi_width, resized.roi_height) == (0, 0, 0, 0)
    assert not resized.roi_do_rectify
    # Binned pixel 0 covers sensor pixels 100 and 101: its centre is at 100.5.
    assert resized.k[2] == pytest.approx((FULL.k[2] - 100.5) / 2)
    assert resized.k[5] == pytest.approx((FULL.k[5] - 61.5) / 4)


def test_principal_point_has_the_half_pixel_and_the_stereo_baseline_is_kept() -> None:
    resized = FULL.resized(1280, 960)
    assert resized.k[2] == pytest.approx(2 * FULL.k[2] + 0.5)
    assert resized.k[0] == 2 * FULL.k[0]
    stereo = CameraModel(640, 480, "", FULL.k, p=(480.0, 0.0, 320.0, -57.6, 0.0, 480.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    resized = stereo.resized(320, 240)
    assert resized.p[3] / resized.p[0] == pytest.approx(stereo.p[3] / stereo.p[0])


def test_there_and_back_is_the_same_model() -> None:
    back = FULL.resized(1280, 720).resized(640, 480)
    assert back.k == pytest.approx(FULL.k)
    assert back.p == pytest.approx(FULL.p)
    assert (back.d, back.r, back.distortion_model, back.frame_id) == (
        FULL.d,
        FULL.r,
        FULL.distortion_model,
        FULL.frame_id,
    )


def test_uncalibrated_camera_stays_uncalibrated() -> None:
    resized = CameraModel(320, 240, "thermal", (0.0,) * 9).resized(640, 480)
    assert resized.k == (0.0,) * 9
    assert resized.p == (0.0,) * 12


@pytest.mark.parametrize("size", [(0, 480), (640, -1)])
def test_no_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"{size[0]}x{size[1]}"):
        FULL.resized(*size)
    with pytest.raises(ImageError, match="0x0"):
        CameraModel(0, 0, "", FULL.k).resized(640, 480)
