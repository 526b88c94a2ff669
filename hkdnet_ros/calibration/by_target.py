"""Lenses and pose of two cameras from views of a target that both saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError
from ..geometry.calibration import PairCalibration
from ..geometry.projection import project, rays
from ..geometry.rigid_transform import RigidTransform
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE
from ..options import check_options, option
from .targets import Sighting

AUTO, PLUMB_BOB, EQUIDISTANT = "auto", "plumb_bob", "equidistant"

FEWEST_VIEWS = 8
"""Views in which both cameras have to see the target."""

_LEAST_TILT = 12.0  # degrees, between target and image in some views; without, focal length and distance are one
_LEAST_COVER = 0.3  # of each side of the image, that points have to span
_LARGEST_ERROR = 1.0  # px
_WIDE = 40.0  # degrees from the axis to the corner of the image, from which on a lens may be a fisheye
_PLAINLY_LESS = 0.95  # of the error by plumb_bob: over thousands of points a twentieth is no chance
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-9)
_Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class LensConfig:
    """Which model a lens that is estimated has."""

    thermal_lens: str = option(
        AUTO,
        "The thermal lens has this model; auto takes equidistant, that of fisheyes, for a wide lens whose views it "
        "explains plainly better.",
        choices=(AUTO, PLUMB_BOB, EQUIDISTANT),
    )
    visible_lens: str = option(
        AUTO, "The visible lens has this model; auto as for the thermal one.", choices=(AUTO, PLUMB_BOB, EQUIDISTANT)
    )

    def __post_init__(self) -> None:
        check_options(self)

    def of(self, stream: str) -> str:
        """Return the model of the lens of one stream."""
        return self.thermal_lens if stream == THERMAL else self.visible_lens


@dataclass(frozen=True, slots=True)
class TargetView:
    """What both cameras saw of the target at one moment; None for one that did not find it."""

    thermal: Sighting | None
    visible: Sighting | None


@dataclass(frozen=True, slots=True)
class TargetCalibration:
    """A calibration by a target, and how well it explains the views.

    ``error`` is, in thermal pixels, the root mean square by which a point lies off where the target's pose in the
    visible image alone says that it has to be. ``errors`` are those of the views, in their order.
    """

    calibration: PairCalibration
    error: float
    errors: tuple[float, ...]
    views: int
    distance: float


def calibrate_by_target(
    points: NDArray[np.float64],
    views: Sequence[TargetView],
    sizes: dict[str, tuple[int, int]],
    lenses: dict[str, CameraModel] | None = None,
    config: LensConfig | None = None,
) -> TargetCalibration:
    """Return lenses and pose from views of a target with ``points`` (N, 3) in metres.

    ``sizes`` are width and height of the images by stream. Lenses that ``lenses`` knows are taken as they are, others
    are estimated, by the models of ``config``: five coefficients of plumb_bob, the third radial one 0, or the four of
    equidistant.

    Raises :class:`CalibrationError` with what is missing: views, tilt, or places in the image.
    """
    both = [(view.thermal, view.visible) for view in views if view.thermal and view.visible]
    if len(both) < FEWEST_VIEWS:
        counts = [sum(getattr(view, stream) is not None for view in views) for stream in (THERMAL, VISIBLE)]
        raise CalibrationError(
            f"the target was found in {counts[0]} thermal and {counts[1]} visible images of {len(views)} pairs, in "
            f"both of {len(both)}; expected {FEWEST_VIEWS} at least: show all of it to both cameras, heated or "
            "cooled until its pattern is plain in thermal, and check --target and --grid"
        )
    seen = {THERMAL: [pair[0] for pair in both], VISIBLE: [pair[1] for pair in both]}
    models = {}
    for stream in (THERMAL, VISIBLE):
        _check_cover(stream, seen[stream], sizes[stream])
        given = (lenses or {}).get(stream)
        models[stream] = given or _lens(
            points,
            [getattr(view, stream) for view in views if getattr(view, stream)],
            sizes[stream],
            (config or LensConfig()).of(stream),
            stream,
        )
    _check_tilt(points, seen[VISIBLE], models[VISIBLE])
    if not lenses and all(model.distortion_model == PLUMB_BOB for model in models.values()):
        models = _refined_together(points, both, models)
    pose = _pose(points, both, models)
    errors = [_transfer(points, thermal, visible, models, pose) for thermal, visible in both]
    error = float(np.sqrt(np.mean(np.square(errors))))
    distance = float(np.median([_board_pose(points, seen, models[VISIBLE])[1][2] for _, seen in both]))
    if error > _LARGEST_ERROR:
        raise CalibrationError(
            f"the views disagree by {error:.2f} px; expected {_LARGEST_ERROR:g} at most: check --grid, keep target and "
            "cameras still while a pair is taken, and the target flat"
        )
    return TargetCalibration(
        PairCalibration(models[THERMAL], models[VISIBLE], pose), error, tuple(errors), len(both), distance
    )


def _lens(points: _Array, sightings: Sequence[Sighting], size: tuple[int, int], kind: str, stream: str) -> CameraModel:
    """Return the lens that explains the views of one camera."""
    objects = [points[sighting.ids].astype(np.float32) for sighting in sightings]
    pixels = [sighting.pixels.astype(np.float32) for sighting in sightings]
    error, k, d, _, _ = cv2.calibrateCamera(
        objects, pixels, size, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3, criteria=_CRITERIA
    )
    corner = np.degrees(np.arctan(np.hypot(*size) / 2 / k[0, 0]))
    if kind == PLUMB_BOB or (kind == AUTO and corner < _WIDE):
        return _model(size, k, d)
    fisheye = _fisheye(objects, pixels, size, k)
    if fisheye is None and kind == EQUIDISTANT:
        raise CalibrationError(
            f"no fisheye lens (equidistant) explains the views of the {stream} camera; expected views near all borders "
            f"of its image: show the target there, or leave --{stream}-lens at auto"
        )
    if fisheye is None or (kind == AUTO and fisheye[0] > _PLAINLY_LESS * error):
        return _model(size, k, d)
    return _model(size, *fisheye[1:], EQUIDISTANT)


def _fisheye(
    objects: Sequence[_Array], pixels: Sequence[_Array], size: tuple[int, int], begun: _Array
) -> tuple[float, _Array, _Array] | None:
    """Return error (RMS, px), camera matrix and coefficients of a fisheye lens; None where OpenCV finds none."""
    flags = cv2.fisheye.CALIB_RECOMPUTE_EXTRINSIC | cv2.fisheye.CALIB_FIX_SKEW
    try:
        error, k, d, _, _ = cv2.fisheye.calibrate(
            [np.float64(one[:, None]) for one in objects], [np.float64(one[:, None]) for one in pixels], size,
            begun.copy(), np.zeros((4, 1)), flags=flags | cv2.fisheye.CALIB_USE_INTRINSIC_GUESS, criteria=_CRITERIA,
        )  # fmt: skip
    except cv2.error:  # its own checks and a singular system alike
        return None
    return (error, k, d) if np.isfinite([error, *k.ravel(), *d.ravel()]).all() else None


def _refined_together(
    points: _Array, both: Sequence[tuple[Sighting, Sighting]], models: dict[str, CameraModel]
) -> dict[str, CameraModel]:
    """Return the lenses that explain best what both cameras saw of one target at one place."""
    common = [np.intersect1d(thermal.ids, visible.ids, return_indices=True) for thermal, visible in both]
    chosen = [(ids, t, v, pair) for (ids, t, v), pair in zip(common, both, strict=True) if len(ids) >= 4]
    if len(chosen) < FEWEST_VIEWS:
        return models
    matrices = [np.reshape(models[stream].k, (3, 3)) for stream in (THERMAL, VISIBLE)]
    coefficients = [np.array(models[stream].d) for stream in (THERMAL, VISIBLE)]
    _, k1, d1, k2, d2, *_ = cv2.stereoCalibrate(
        [points[ids].astype(np.float32) for ids, _, _, _ in chosen],
        [pair[0].pixels[t].astype(np.float32) for _, t, _, pair in chosen],
        [pair[1].pixels[v].astype(np.float32) for _, _, v, pair in chosen],
        matrices[0], coefficients[0], matrices[1], coefficients[1], models[THERMAL].image_size,
        flags=cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_K3, criteria=_CRITERIA,
    )  # fmt: skip
    return {THERMAL: _model(models[THERMAL].image_size, k1, d1), VISIBLE: _model(models[VISIBLE].image_size, k2, d2)}


def _model(size: tuple[int, int], k: _Array, d: _Array, kind: str = PLUMB_BOB) -> CameraModel:
    return CameraModel(
        *size, "", k=_flat(k), d=_flat(d), distortion_model=kind, p=_flat(np.hstack([k, np.zeros((3, 1))]))
    )


def _pose(points: _Array, both: Sequence[tuple[Sighting, Sighting]], models: dict[str, CameraModel]) -> RigidTransform:
    objects, thermal_rays, visible_rays = [], [], []
    for thermal, visible in both:
        ids, t, v = np.intersect1d(thermal.ids, visible.ids, return_indices=True)
        if len(ids) < 4:
            continue
        objects.append(points[ids].astype(np.float32))
        thermal_rays.append(rays(thermal.pixels[t], models[THERMAL])[:, :2].astype(np.float32))
        visible_rays.append(rays(visible.pixels[v], models[VISIBLE])[:, :2].astype(np.float32))
    if len(objects) < FEWEST_VIEWS:
        raise CalibrationError(
            f"both cameras see the same part of the target in {len(objects)} pairs; expected {FEWEST_VIEWS} at least"
        )
    # Undistorted, so that any lens will do, and scaled by the focal lengths, so that a pixel's error weighs as it is.
    focal = [np.array([model.k[0], model.k[4]], np.float32) for model in (models[THERMAL], models[VISIBLE])]
    matrices = [np.diag([*lengths, 1.0]) for lengths in focal]
    _, _, _, _, _, rotation, translation, _, _ = cv2.stereoCalibrate(
        objects, [xy * focal[0] for xy in thermal_rays], [xy * focal[1] for xy in visible_rays],
        matrices[0], np.zeros(5), matrices[1], np.zeros(5), (1, 1),
        flags=cv2.CALIB_FIX_INTRINSIC, criteria=_CRITERIA,
    )  # fmt: skip
    return RigidTransform.of(rotation, translation.ravel())


def _board_pose(points: _Array, sighting: Sighting, model: CameraModel) -> tuple[_Array, _Array]:
    """Return rotation (3, 3) and place (3,) of the target in the axes of a camera."""
    plane = np.ascontiguousarray(rays(sighting.pixels, model)[:, :2])
    _, turn, place = cv2.solvePnP(points[sighting.ids], plane, np.eye(3), np.zeros(5), flags=cv2.SOLVEPNP_IPPE)
    turn, place = cv2.solvePnPRefineLM(points[sighting.ids], plane, np.eye(3), np.zeros(5), turn, place)
    return cv2.Rodrigues(turn)[0], place.ravel()


def _transfer(
    points: _Array, thermal: Sighting, visible: Sighting, models: dict[str, CameraModel], pose: RigidTransform
) -> float:
    turn, place = _board_pose(points, visible, models[VISIBLE])
    in_visible = points[thermal.ids] @ turn.T + place
    expected = project(pose.inverse.apply(in_visible), models[THERMAL])
    return float(np.sqrt(np.mean(np.sum((expected - thermal.pixels) ** 2, axis=1))))


def _check_cover(stream: str, sightings: Sequence[Sighting], size: tuple[int, int]) -> None:
    places = np.concatenate([sighting.pixels for sighting in sightings])
    spans = (places.max(axis=0) - places.min(axis=0)) / size
    if spans.min() < _LEAST_COVER:
        raise CalibrationError(
            f"the target was seen in {spans[0]:.0%} of the width and {spans[1]:.0%} of the height of the {stream} "
            f"image; expected {_LEAST_COVER:.0%} of each at least: show it near the borders and the corners, too"
        )


def _check_tilt(points: _Array, sightings: Sequence[Sighting], model: CameraModel) -> None:
    normals = np.array([_board_pose(points, sighting, model)[0][:, 2] for sighting in sightings])
    mean = normals.mean(axis=0) / np.linalg.norm(normals.mean(axis=0))
    tilt = float(np.degrees(np.arccos(np.clip(normals @ mean, -1, 1)).max()))
    if tilt < _LEAST_TILT:
        raise CalibrationError(
            f"the target was turned by {tilt:.0f} degrees at the most from view to view; expected {_LEAST_TILT:.0f} at "
            "least: tilt it to all sides"
        )


def _flat(matrix: _Array) -> tuple[float, ...]:
    return tuple(float(number) for number in np.ravel(matrix))
