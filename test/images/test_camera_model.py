"""Camera model of a resized image: points projected both ways land on the same place of the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.camera_model import CameraModel

FULL = CameraModel(
    width=640,
    height=480,
    frame_id="visible_optical",
    k=(500.0, 0.0, 318.2, 0.0, 510.0, 244.7, 0.0, 0.0, 1.0),
    d=(-0.2, 0.05, 0.001, -0.002, 0.01),
    r=(0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    p=(480.0, 0.0, 320.1, -57.6, 0.0, 490.0, 239.3, 3.0, 0.0, 0.0, 1.0, 0.002),
)
WINDOW = CameraModel(
    640, 480, "visible_optical", FULL.k, FULL.d, p=FULL.p, binning_x=2, binning_y=4, roi_x_offset=100, roi_y_offset=60,
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


@pytest.mark.parametrize("model", [FULL, WINDOW])
def test_points_project_to_the_same_place_of_a_part_of_the_image(model: CameraModel) -> None:
    columns, rows = model.image_size
    part = model.cropped(3, 5, columns - 10, rows - 7)
    assert part.image_size == (columns - 10, rows - 7)
    for project in (project_raw, project_rectified):
        whole = project(model.resized(columns, rows))
        np.testing.assert_allclose(project(part.resized(columns - 10, rows - 7)), whole - (3, 5), atol=1e-6)


def test_uncalibrated_camera_stays_uncalibrated() -> None:
    resized = CameraModel(320, 240, "thermal", (0.0,) * 9).resized(640, 480)
    assert resized.k == (0.0,) * 9
    assert resized.p == (0.0,) * 12


@pytest.mark.parametrize("third_row", [(0.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
def test_a_camera_that_gives_p_alone_has_it_scaled_and_one_that_gives_k_alone_has_that(
    third_row: tuple[float, ...],
) -> None:
    nothing = (0.0,) * 6 + third_row
    rectified = CameraModel(640, 480, "visible", nothing, p=FULL.p)
    assert rectified.is_calibrated
    assert rectified.defect == ""
    resized = rectified.resized(1280, 960)
    np.testing.assert_allclose(project_rectified(resized), 2 * project_rectified(rectified) + 0.5)
    assert resized.k == nothing
    raw = CameraModel(640, 480, "visible", FULL.k).resized(1280, 960)
    assert raw.k == FULL.resized(1280, 960).k
    assert raw.p == (0.0,) * 12


@pytest.mark.parametrize(
    ("p", "defect"),
    [
        ((-480.0, *FULL.p[1:]), "focal lengths of -480 and 490"),
        ((*FULL.p[:5], 0.0, *FULL.p[6:]), "focal lengths of 480 and 0"),
        ((480.0, float("nan"), *FULL.p[2:]), "NaN"),
    ],
)
def test_a_p_that_cannot_be_right_is_a_defect_with_or_without_k(p: tuple[float, ...], defect: str) -> None:
    for k in (FULL.k, (0.0,) * 9):
        assert defect in CameraModel(640, 480, "visible", k, p=p).defect


@pytest.mark.parametrize("size", [(0, 480), (640, -1)])
def test_no_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"{size[0]}x{size[1]}"):
        FULL.resized(*size)
    with pytest.raises(ImageError, match="0x0"):
        CameraModel(0, 0, "", FULL.k).resized(640, 480)


@st.composite
def models(draw: st.DrawFn) -> CameraModel:
    """A calibrated camera with any region of interest and binning, also such that do not divide one another."""
    width, height = draw(st.integers(64, 2000)), draw(st.integers(64, 2000))
    windows = []
    for size in (width, height):
        offset = draw(st.integers(0, size - 32))
        windows.append((offset, draw(st.sampled_from([0, size - offset, draw(st.integers(16, size - offset))]))))
    (x_offset, roi_width), (y_offset, roi_height) = windows if draw(st.booleans()) else ((0, 0), (0, 0))
    if not (roi_width and roi_height):  # a region has both, or is none
        x_offset = y_offset = roi_width = roi_height = 0
    fx, fy = (draw(st.floats(50, 3000)) for _ in range(2))
    cx, cy = draw(st.floats(0, width)), draw(st.floats(0, height))
    skew, tx, ty = (draw(st.floats(-100, 100)) for _ in range(3))
    rotation, _ = cv2.Rodrigues(np.array([draw(st.floats(-0.2, 0.2)) for _ in range(3)]))
    return CameraModel(
        width, height, "camera",
        k=(fx, skew, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
        d=tuple(draw(st.floats(-0.05, 0.05)) for _ in range(draw(st.sampled_from([0, 4, 5, 8])))),
        r=tuple(float(number) for number in rotation.flat),
        p=(0.9 * fx, 0.0, cx + 3, tx, 0.0, 1.1 * fy, cy - 2, ty, 0.0, 0.0, 1.0, 0.0),
        binning_x=draw(st.integers(0, 4)), binning_y=draw(st.integers(0, 4)),
        roi_x_offset=x_offset, roi_y_offset=y_offset, roi_width=roi_width, roi_height=roi_height,
    )  # fmt: skip


def sensor_to_resized(model: CameraModel, pixels: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Where pixels of the sensor lie in the resized image, in words of the message's definition and of pixel edges."""
    offset = np.array([model.roi_x_offset, model.roi_y_offset])
    binning = np.maximum([model.binning_x, model.binning_y], 1)
    edges = (pixels + 0.5 - offset) / binning  # in the image sent, its left and upper edge being 0
    return np.asarray(edges * size / model.image_size - 0.5)


def close(pixels: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(pixels, expected, rtol=1e-9, atol=1e-5)


@given(model=models(), width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_raw_pixels_of_any_camera_are_found_in_the_resized_image_and_back(
    model: CameraModel, width: int, height: int
) -> None:
    resized = model.resized(width, height)

    def project(camera: CameraModel, rays: NDArray[np.float64]) -> NDArray[np.float64]:
        # Distortion apart from K: OpenCV's own takes no skew.
        distorted, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), np.array(camera.d))
        homogeneous = np.c_[distorted.reshape(-1, 2), np.ones(len(rays))] @ np.reshape(camera.k, (3, 3)).T
        return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])

    close(project(resized, points), sensor_to_resized(model, project(model, points), (width, height)))
    pixels = np.random.default_rng(0).uniform(0, (width, height), (20, 2))
    seen = np.c_[pixels, np.ones(20)] @ np.linalg.inv(np.reshape(resized.k, (3, 3))).T
    sensor = seen @ np.reshape(model.k, (3, 3)).T
    close(sensor_to_resized(model, sensor[:, :2] / sensor[:, 2:], (width, height)), pixels)


@given(model=models(), width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_rectified_pixels_of_any_camera_are_found_in_the_resized_image(
    model: CameraModel, width: int, height: int
) -> None:
    resized = model.resized(width, height)

    def project(camera: CameraModel) -> NDArray[np.float64]:
        rectified = points @ np.reshape(camera.r, (3, 3)).T
        homogeneous = np.c_[rectified, np.ones(len(points))] @ np.reshape(camera.p, (3, 4)).T
        return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])

    close(project(resized), sensor_to_resized(model, project(model), (width, height)))
    assert (resized.d, resized.r, resized.distortion_model) == (model.d, model.r, model.distortion_model)
    assert resized.image_size == (width, height)


def test_what_a_window_has_beyond_its_binning_is_in_no_pixel() -> None:
    model = CameraModel(641, 481, "", FULL.k, binning_x=2, binning_y=2)
    assert model.image_size == (320, 240)
    assert model.resized(320, 240).k[0] == pytest.approx(FULL.k[0] / 2)


def test_a_sound_camera_has_no_fault_and_an_uncalibrated_one_neither() -> None:
    assert FULL.is_calibrated
    assert (FULL.defect, WINDOW.defect) == ("", "")
    nothing = CameraModel(0, 0, "", (0.0,) * 9)
    assert not nothing.is_calibrated
    assert nothing.defect == ""
    assert nothing.resized(640, 480).image_size == (640, 480)
