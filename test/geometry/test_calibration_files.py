"""Calibrations from files: ours there and back, kalibr's with its direction, ROS's, and what is wrong in them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import yaml
from lenses import EQUIDISTANT, NARROW, RATIONAL, WIDE, turn

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.geometry.calibration import PairCalibration
from hkdnet_ros.geometry.calibration_files import load_calibration, load_camera_info, save_calibration
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.camera_model import CameraModel

THERMAL_TO_VISIBLE = RigidTransform.of(turn(2, -1, 0.5), (0.1, -0.02, 0.01))


def unnamed(model):
    return dataclasses.replace(model, frame_id="")


@pytest.mark.parametrize(
    "calibration",
    [
        PairCalibration(unnamed(NARROW), unnamed(WIDE), THERMAL_TO_VISIBLE, thermal_offset=0.0125),
        PairCalibration(EQUIDISTANT, RATIONAL, THERMAL_TO_VISIBLE),
        PairCalibration(
            CameraModel(160, 120, "", (0.0,) * 9), CameraModel(640, 480, "", (0.0,) * 9),
            homography=(4.0, 0.1, 3.0, -0.1, 4.1, 5.0, 1e-5, 0.0, 1.0),
        ),
    ],
    ids=["stereo", "other lenses", "homography"],
)  # fmt: skip
def test_what_was_written_is_read(tmp_path, calibration):
    save_calibration(tmp_path / "pair.yaml", calibration, notes={"error_px": 0.21})
    assert load_calibration(tmp_path / "pair.yaml") == calibration
    assert yaml.safe_load((tmp_path / "pair.yaml").read_text())["notes"] == {"error_px": 0.21}


def test_a_window_of_the_sensor_is_written_as_the_image_it_sends(tmp_path):
    window = dataclasses.replace(unnamed(NARROW), roi_x_offset=40, roi_y_offset=20, roi_width=320, roi_height=256)
    save_calibration(tmp_path / "pair.yaml", PairCalibration(thermal=window))
    thermal = load_calibration(tmp_path / "pair.yaml").thermal
    assert (thermal.width, thermal.height) == (320, 256)
    assert thermal.k[2] == pytest.approx(NARROW.k[2] - 40)


CAMCHAIN = """
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.28, 0.11, 0.001, -0.0008]
  distortion_model: radtan
  intrinsics: [770.0, 772.0, 322.5, 250.1]
  resolution: [640, 512]
  rostopic: /thermal/image_raw
  timeshift_cam_imu: 0.020
cam1:
  T_cn_cnm1:
  - [0.0, -1.0, 0.0, 0.1]
  - [1.0, 0.0, 0.0, 0.2]
  - [0.0, 0.0, 1.0, 0.3]
  - [0.0, 0.0, 0.0, 1.0]
  camera_model: pinhole
  distortion_coeffs: [0.02, -0.01, 0.004, -0.001]
  distortion_model: equi
  intrinsics: [330.0, 331.0, 402.0, 297.0]
  resolution: [800, 600]
  timeshift_cam_imu: 0.005
cam2:
  T_cn_cnm1:
  - [1.0, 0.0, 0.0, 1.0]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  camera_model: pinhole
  distortion_model: none
  intrinsics: [500.0, 500.0, 319.5, 239.5]
  resolution: [640, 480]
"""


def test_kalibrs_transform_brings_points_of_the_camera_before_to_this_one(tmp_path):
    """p_cam1 = T_cn_cnm1 p_cam0: kalibr's wiki, "camera chain"."""
    path = tmp_path / "camchain.yaml"
    path.write_text(CAMCHAIN)
    point = np.array([1.0, 2.0, 3.0])
    found = load_calibration(path)
    np.testing.assert_allclose(found.thermal_to_visible.apply(point), [-2 + 0.1, 1 + 0.2, 3 + 0.3])
    assert (found.thermal.width, found.thermal.height) == (640, 512)
    assert found.thermal.k == (770.0, 0.0, 322.5, 0.0, 772.0, 250.1, 0.0, 0.0, 1.0)
    assert (found.thermal.distortion_model, found.thermal.d) == ("plumb_bob", (-0.28, 0.11, 0.001, -0.0008))
    assert (found.visible.distortion_model, found.visible.d) == ("equidistant", (0.02, -0.01, 0.004, -0.001))
    assert found.thermal_offset == pytest.approx(0.015)  # t_imu = t_cam + shift


def test_the_cameras_of_a_chain_are_named_and_their_links_put_together(tmp_path):
    path = tmp_path / "camchain.yaml"
    path.write_text(CAMCHAIN)
    point = np.array([1.0, 2.0, 3.0])
    found = load_calibration(path, ("cam0", "cam2")).thermal_to_visible
    np.testing.assert_allclose(found.apply(point), [-2 + 1.1, 1.2, 3.3])
    with pytest.raises(ConfigError, match=r"cam0, taken as visible, .* set registration.kalibr_thermal to cam0"):
        load_calibration(path, ("cam2", "cam0"))
    path.write_text(CAMCHAIN.replace("rostopic", "topic"))
    back = load_calibration(path, ("cam2", "cam0")).thermal_to_visible
    np.testing.assert_allclose(back.apply(found.apply(point)), point)
    with pytest.raises(ConfigError, match="no camera 'cam7'; expected one of cam0, cam1, cam2"):
        load_calibration(path, ("cam0", "cam7"))
    with pytest.raises(ConfigError, match="both 'cam1'"):
        load_calibration(path, ("cam1", "cam1"))


CAMERA_INFO = """
image_width: 640
image_height: 512
camera_name: boson
camera_matrix: {rows: 3, cols: 3, data: [770.0, 0.0, 322.5, 0.0, 772.0, 250.1, 0.0, 0.0, 1.0]}
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.28, 0.11, 0.001, -0.0008, -0.02]
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [700, 0, 320, 0, 0, 700, 255, 0, 0, 0, 1, 0]}
"""


def test_the_file_of_camera_info_manager_is_read(tmp_path):
    (tmp_path / "boson.yaml").write_text(CAMERA_INFO)
    p = (700.0, 0.0, 320.0, 0.0, 0.0, 700.0, 255.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert load_camera_info(tmp_path / "boson.yaml") == dataclasses.replace(unnamed(NARROW), p=p)


def test_camera_infos_can_be_pasted_into_our_file(tmp_path):
    indented = "\n  ".join(CAMERA_INFO.splitlines())
    (tmp_path / "pair.yaml").write_text(
        f"format: hkdnet_ros calibration 1\nthermal:\n  {indented}\n"
        "thermal_to_visible: {translation: [0.1, 0, 0], quaternion: [0, 0, 0, 1]}\n"
    )
    found = load_calibration(tmp_path / "pair.yaml")
    assert found.thermal.d == NARROW.d
    assert found.thermal_to_visible == RigidTransform(translation=(0.1, 0.0, 0.0))


OWN = "format: hkdnet_ros calibration 1\n"


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "holds no mapping"),
        ("[1, 2", "is no YAML"),
        ("%YAML:1.0\n---\na: 1", "is no YAML"),
        ("\x00", "is no YAML"),
        ("a: 1", "is no calibration; expected 'hkdnet_ros calibration 1'"),
        (CAMERA_INFO, "camera_info of one camera"),
        ("format: hkdnet_ros calibration 2", "format is 'hkdnet_ros calibration 2'"),
        ("format: 1", "format is '1'; expected a text"),
        (f"{OWN}thermal: 3", "thermal is '3'; expected a mapping"),
        (f"{OWN}thermal: {{image_width: 640}}", "thermal: image_height is missing; expected an integer"),
        (f"{OWN}thermal: {{image_width: 640, image_height: -1}}", "image_height is '-1'"),
        (f"{OWN}thermal_offset: soon", "thermal_offset is 'soon'; expected a finite number"),
        (f"{OWN}thermal_offset: .nan", "thermal_offset is 'nan'"),
        (f"{OWN}homography_thermal_to_visible: [1, 2]", r"is '\[1, 2\]'; expected a list of 9 numbers"),
        (f"{OWN}homography_thermal_to_visible: [[1, 2], 3]", "expected finite numbers|list of 9"),
        (f"{OWN}thermal_to_visible: {{translation: [0, 0, 0]}}", "thermal_to_visible: rotation is missing"),
        (
            f"{OWN}thermal_to_visible: {{translation: [0, 0, 0], quaternion: [1, 1, 1, 1]}}",
            "thermal_to_visible: quaternion .* has length 2",
        ),
        (CAMCHAIN.replace("radtan", "fov"), "cam0: distortion_model is 'fov'; expected one of radtan, equi"),
        (CAMCHAIN.replace("camera_model: pinhole", "camera_model: omni", 1), "cam0: camera_model is 'omni'"),
        (CAMCHAIN.replace("[0.0, 0.0, 0.0, 1.0]", "[0.1, 0.2, 0.3, 1.0]", 1), "cam1: T_cn_cnm1 ends with"),
        (CAMCHAIN.replace("[0.0, -1.0, 0.0, 0.1]", "[0.0, 1.0, 0.0, 0.1]", 1), "cam1: rotation .* is none"),
        (CAMCHAIN.replace("T_cn_cnm1", "T_cam_imu"), "cam1: T_cn_cnm1 is missing; expected a list of 16"),
        (CAMERA_INFO.replace("camera_name", "format"), "format is 'boson'"),
        (CAMCHAIN.replace("0.0, 0.1]", "0.0, 100.0]", 1).replace("0.0, 0.2]", "0.0, 20.0]", 1),
         "cam1 puts the cameras 102 m apart; expected 5 m at most: translations are in metres"),
        (f"{OWN}thermal_to_visible: {{translation: [50, 0, 0], quaternion: [0, 0, 0, 1]}}",
         "thermal_to_visible puts the cameras 50 m apart"),
        (f"{OWN}visible_to_thermal: {{translation: [0, 0, 0], quaternion: [0, 0, 0, 1]}}",
         "has a field 'visible_to_thermal'; expected format, thermal, visible, thermal_to_visible"),
        (f"{OWN}thermal_to_visible: {{translation: [0, 0, 0], quaternion: [0, 0, 0, 1], scale: 2}}",
         "thermal_to_visible: has a field 'scale'"),
        (f"{OWN}thermal_to_visible: {{translation: [0, 0, 0], quaternion: [0, 0, 0, 1], rotation: [1, 2]}}",
         "thermal_to_visible: has a rotation and a quaternion"),
        (CAMCHAIN.replace("[640, 512]", "[640, 0]"), "cam0: resolution is .*whole pixels"),
        (CAMCHAIN.replace("[770.0, ", "[0.0, "), "cam0 has a focal length of 0 pixels"),
        (CAMCHAIN.replace("[770.0, ", "[.nan, "), "cam0: intrinsics is 'nan'"),
        (CAMCHAIN.replace("/thermal/", "/rgb/").replace("cam1:\n", "cam1:\n  rostopic: /LWIR/image_raw\n"),
         "cam1, taken as visible, was calibrated from '/lwir/image_raw'.* set registration.kalibr_thermal to cam1"),
        (f"{OWN}thermal_to_visible: {{translation: [0, 0, 0], rotation: [1, 0, 0, 0, 1, 0, 0, 0, -1]}}",
         "thermal_to_visible: rotation .* is none.*determinant is -1"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_said_with_its_place(tmp_path, text, fact):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=fact) as caught:
        load_calibration(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (("plumb_bob", "omni"), "distortion model 'omni'"),
        (("data: [770.0", "data: [.inf"), "camera_matrix is 'inf'"),
        (("-0.0008, -0.02]", "]"), "3 coefficients of plumb_bob; expected 4 or 5"),
        (("image_width: 640", "image_width: 640.5"), "image_width is '640.5'"),
    ],
)
def test_a_wrong_camera_info_is_refused(tmp_path, change, fact):
    (tmp_path / "wrong.yaml").write_text(CAMERA_INFO.replace(*change))
    with pytest.raises(ConfigError, match=fact):
        load_camera_info(tmp_path / "wrong.yaml")


def test_files_that_are_not_there_or_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_calibration(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_calibration(tmp_path)
    with pytest.raises(ConfigError, match="cannot be written"):
        save_calibration(tmp_path / "nowhere" / "pair.yaml", PairCalibration())
