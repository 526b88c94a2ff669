"""Calibrations from and to files: our own YAML, kalibr's camchain, and ROS's camera_info YAML.

Which of the first two a file is follows from what is in it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE
from .calibration import PairCalibration
from .projection import check_lens
from .rigid_transform import RigidTransform, check_baseline
from .yaml_fields import Fields

FORMAT = "hkdnet_ros calibration 1"
"""What the first field of our own files, ``format``, says."""

KALIBR_CAMERAS = ("cam0", "cam1")

_HOMOGRAPHY = "homography_thermal_to_visible"

# kalibr's distortion_model -> that of sensor_msgs, whose coefficients have the same order
_KALIBR_LENSES = {"radtan": "plumb_bob", "equi": "equidistant", "none": "plumb_bob"}


# In a kalibr camera's rostopic, by which it says what it is.
_THERMAL_WORDS = "thermal", "lwir", "infrared", "flir", "boson", "lepton"


def load_calibration(path: str | Path, kalibr_cameras: tuple[str, str] = KALIBR_CAMERAS) -> PairCalibration:
    """Read our own YAML or a kalibr camchain, of which ``kalibr_cameras`` are the thermal and the visible one.

    Raises :class:`ConfigError` with the file, the field, and what was expected.
    """
    fields = Fields.read(path)
    if "format" in fields:
        return _own(fields)
    if "cam0" in fields:
        return _kalibr(fields, kalibr_cameras)
    if "camera_matrix" in fields:
        raise ConfigError(
            f"{path}: is the camera_info of one camera; name it in thermal_camera_info or visible_camera_info"
        )
    raise ConfigError(f"{path}: is no calibration; expected {FORMAT!r} as its format, or kalibr's cam0 and cam1")


def load_camera_info(path: str | Path) -> CameraModel:
    """Read a camera_info YAML, as camera_calibration and camera_info_manager write it.

    Raises :class:`ConfigError` with the file, the field, and what was expected.
    """
    return _camera(Fields.read(path))


def save_calibration(path: str | Path, calibration: PairCalibration, notes: dict[str, Any] | None = None) -> None:
    """Write our own YAML, which :func:`load_calibration` reads; ``notes`` say how it was made, and nothing reads them.

    They are texts, numbers and lists of Python's own types. A camera's ``frame_id`` is written where it has one: it is
    how a calibration of another camera is noticed.

    Raises :class:`ConfigError` where the file cannot be written.
    """
    content: dict[str, Any] = {"format": FORMAT}
    for stream, model in ((THERMAL, calibration.thermal), (VISIBLE, calibration.visible)):
        if model is not None:
            content[stream] = _camera_fields(model)
    if calibration.thermal_to_visible is not None:
        content["thermal_to_visible"] = {
            "rotation": _rows(calibration.thermal_to_visible.rotation),
            "translation": _plain(calibration.thermal_to_visible.translation),
        }
    if calibration.homography is not None:
        content[_HOMOGRAPHY] = _rows(calibration.homography)
    content["thermal_offset"] = float(calibration.thermal_offset)
    if notes:
        content["notes"] = notes
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error}") from error


def _own(fields: Fields) -> PairCalibration:
    if fields.text("format") != FORMAT:
        raise ConfigError(f"{fields.place}: format is {fields.text('format')!r}; expected {FORMAT!r}")
    fields.check_known("format", THERMAL, VISIBLE, "thermal_to_visible", _HOMOGRAPHY, "thermal_offset", "notes")
    transform, homography = None, None
    if "thermal_to_visible" in fields:
        transform = _own_transform(fields.fields("thermal_to_visible"))
    if _HOMOGRAPHY in fields:
        homography = fields.numbers(_HOMOGRAPHY, 9)
    return PairCalibration(
        thermal=_camera(fields.fields(THERMAL)) if THERMAL in fields else None,
        visible=_camera(fields.fields(VISIBLE)) if VISIBLE in fields else None,
        thermal_to_visible=transform,
        homography=homography,
        thermal_offset=fields.number("thermal_offset", 0.0),
    )


def _own_transform(fields: Fields) -> RigidTransform:
    fields.check_known("translation", "rotation", "quaternion")
    translation = fields.numbers("translation", 3)
    if "quaternion" in fields and "rotation" in fields:
        raise ConfigError(f"{fields.place}: has a rotation and a quaternion; expected one of them")
    if "quaternion" in fields:
        quaternion = fields.numbers("quaternion", 4)
        pose = _at(fields.place, lambda: RigidTransform.from_quaternion(quaternion, translation))
    else:
        rotation = fields.numbers("rotation", 9)
        pose = _at(fields.place, lambda: RigidTransform(rotation, translation))
    check_baseline(pose, fields.place)
    return pose


def _kalibr(fields: Fields, cameras: tuple[str, str]) -> PairCalibration:
    thermal, visible = cameras
    chain = [name for name in (f"cam{number}" for number in range(100)) if name in fields]
    for name in cameras:
        if name not in chain:
            raise ConfigError(f"{fields.place}: has no camera {name!r}; expected one of {', '.join(chain)}")
    if thermal == visible:
        raise ConfigError(f"thermal and visible are both {thermal!r}; expected two cameras of {', '.join(chain)}")
    _check_roles(fields, cameras)
    models = [_kalibr_camera(fields.fields(name)) for name in cameras]
    first_to = {name: _first_to(fields, chain, name) for name in cameras}
    pose = first_to[thermal].inverse.then(first_to[visible])
    check_baseline(pose, f"{fields.place}: the chain from {thermal} to {visible}")
    shifts = [fields.fields(name).number("timeshift_cam_imu", 0.0) for name in cameras]
    return PairCalibration(
        thermal=models[0],
        visible=models[1],
        thermal_to_visible=pose,
        # kalibr: time of the IMU = time of the camera + its shift
        thermal_offset=shifts[0] - shifts[1],
    )


def _check_roles(fields: Fields, cameras: tuple[str, str]) -> None:
    """Raise :class:`ConfigError` where the topics in the file say that the thermal camera is the other one."""
    thermal, visible = (fields.fields(name).text("rostopic").lower() for name in cameras)
    if not any(word in thermal for word in _THERMAL_WORDS) and any(word in visible for word in _THERMAL_WORDS):
        raise ConfigError(
            f"{fields.place}: {cameras[1]}, taken as visible, was calibrated from {visible!r}, and {cameras[0]}, taken "
            f"as thermal, from {thermal!r}; expected the roles the other way round: set registration.kalibr_thermal to "
            f"{cameras[1]} and registration.kalibr_visible to {cameras[0]}"
        )


def _first_to(fields: Fields, chain: list[str], name: str) -> RigidTransform:
    """Return what brings points from the axes of the chain's first camera to those of ``name``.

    kalibr's T_cn_cnm1 brings points in the axes of the camera before to those of this camera.
    """
    whole = RigidTransform()
    for link in chain[1 : chain.index(name) + 1]:
        camera = fields.fields(link)
        matrix = camera.numbers("T_cn_cnm1", 16)
        whole = whole.then(_at(camera.place, functools.partial(_of_rows, matrix)))
    return whole


def _of_rows(matrix: tuple[float, ...]) -> RigidTransform:
    """Return the transform of a homogeneous 4x4 matrix, row-major."""
    if matrix[12:] != (0.0, 0.0, 0.0, 1.0):
        raise ConfigError(f"T_cn_cnm1 ends with the row {list(matrix[12:])}; expected [0, 0, 0, 1]")
    return RigidTransform((*matrix[0:3], *matrix[4:7], *matrix[8:11]), (matrix[3], matrix[7], matrix[11]))


def _kalibr_camera(fields: Fields) -> CameraModel:
    if fields.text("camera_model", "pinhole") != "pinhole":
        raise ConfigError(
            f"{fields.place}: camera_model is {fields.text('camera_model')!r}; expected 'pinhole': calibrate with "
            "pinhole-radtan, or pinhole-equi for a fisheye lens"
        )
    lens = fields.text("distortion_model", "none")
    if lens not in _KALIBR_LENSES:
        raise ConfigError(f"{fields.place}: distortion_model is {lens!r}; expected one of {', '.join(_KALIBR_LENSES)}")
    fx, fy, cx, cy = fields.numbers("intrinsics", 4)
    sides = fields.numbers("resolution", 2)
    if min(sides) < 1 or any(side % 1 for side in sides):
        raise ConfigError(f"{fields.place}: resolution is {list(sides)}; expected width and height, whole pixels")
    width, height = map(int, sides)
    d = fields.numbers("distortion_coeffs", 4) if lens != "none" else ()
    model = CameraModel(width, height, "", (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0), d, _KALIBR_LENSES[lens])
    check_lens(model, fields.place)
    return model


def _camera(fields: Fields) -> CameraModel:
    """Return the model of a camera_info YAML, or of a camera of which no more than the size is known."""
    width, height = fields.integer("image_width"), fields.integer("image_height")
    frame_id = fields.text("frame_id")
    if "camera_matrix" not in fields:
        return CameraModel(width, height, frame_id, (0.0,) * 9)
    model = CameraModel(
        width,
        height,
        frame_id,
        k=fields.numbers("camera_matrix", 9),
        d=fields.numbers("distortion_coefficients") if "distortion_coefficients" in fields else (),
        distortion_model=fields.text("distortion_model", "plumb_bob"),
        r=fields.numbers("rectification_matrix", 9)
        if "rectification_matrix" in fields
        else CameraModel(1, 1, "", ()).r,
        p=fields.numbers("projection_matrix", 12) if "projection_matrix" in fields else (0.0,) * 12,
    )
    if any(model.k):
        check_lens(model, fields.place)
    return model


def _camera_fields(model: CameraModel) -> dict[str, Any]:
    """Return the fields of a camera_info YAML of the image sent."""
    sent = model.resized(*model.image_size) if model.is_calibrated else model
    size: dict[str, Any] = {"frame_id": sent.frame_id} if sent.frame_id else {}
    size |= {"image_width": sent.width, "image_height": sent.height}
    if not sent.is_calibrated:
        return size
    return {
        **size,
        "camera_matrix": {"rows": 3, "cols": 3, "data": _plain(sent.k)},
        "distortion_model": sent.distortion_model,
        "distortion_coefficients": {"rows": 1, "cols": len(sent.d), "data": _plain(sent.d)},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": _plain(sent.r)},
        "projection_matrix": {"rows": 3, "cols": 4, "data": _plain(sent.p)},
    }


def _rows(matrix: tuple[float, ...]) -> list[list[float]]:
    return [_plain(matrix[row : row + 3]) for row in (0, 3, 6)]


def _plain(numbers: Sequence[float]) -> list[float]:
    """Return numbers as YAML can write them: what NumPy computed is no float to it."""
    return [float(number) for number in numbers]


def _at(place: str, made: Callable[[], RigidTransform]) -> RigidTransform:
    """Return what ``made`` returns; an error of its begins with ``place``."""
    try:
        return made()
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
