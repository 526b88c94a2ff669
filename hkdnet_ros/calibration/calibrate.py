"""From a recording to a calibration file: by a target or by the scene, with overlays before and after."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import CalibrationError
from ..files import make_folder, write_file
from ..geometry.calibration import PairCalibration
from ..geometry.calibration_files import load_calibration, save_calibration
from ..geometry.projection import image_model
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE
from ..sources.camera_source import CameraSource
from .by_scene import FRAMES, LEAST_SUPPORT, calibrate_by_scene
from .by_target import LensConfig, TargetView, calibrate_by_target
from .clock_offset import measured_offset
from .overlay import overlay, table_of
from .recorded import RecordedPairs, read_pairs
from .targets import Target, TargetConfig, counted_alike

_OVERLAYS = 6
_TARGET_PAIRS = 200  # of which the first this many are looked through for a target
DISTANCE = 10.0  # m, at which overlays by lenses and pose are right


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration and what is to be said of it, line by line; ``distance`` is that of the overlays, in metres."""

    calibration: PairCalibration
    lines: tuple[str, ...]
    notes: dict[str, Any]
    distance: float = DISTANCE


def calibrate_scene(recorded: RecordedPairs, models: dict[str, CameraModel | None] | None = None) -> Calibrated:
    """Return a homography by the edges of all pairs; lenses of ``models`` go into the file as they are.

    Raises :class:`CalibrationError` with what is missing.
    """
    found = calibrate_by_scene(recorded.pairs)
    models = models or {}
    calibration = PairCalibration(
        models.get(THERMAL) or _sized(recorded.thermal_size),
        models.get(VISIBLE) or _sized(recorded.visible_size),
        homography=tuple(float(number) for number in found.homography.ravel()),
    )
    lines = (
        f"homography by the edges of {found.frames} pairs: support {found.support:.0f}, {LEAST_SUPPORT:g} at least",
        f"error: {found.error:.2f} px of the visible image at the corners of the common view (RMS over pairs and "
        "places); what is nearer or further than most of the scene is off by its parallax",
    )
    notes = {"method": "edges", "pairs": found.frames, "support": round(found.support),
             "error_px": round(found.error, 3)}  # fmt: skip
    return Calibrated(calibration, lines, notes)


def calibrate_target(
    recorded: RecordedPairs,
    config: TargetConfig,
    lenses: dict[str, CameraModel] | None = None,
    models: LensConfig | None = None,
) -> Calibrated:
    """Return lenses and pose by the views of a target; ``lenses`` that are known are kept, others as ``models`` says.

    Raises :class:`CalibrationError` with what is missing.
    """
    target = Target(config)
    views = [_look(target, thermal, visible) for thermal, visible in recorded.pairs]
    found = calibrate_by_target(
        target.points, views, {THERMAL: recorded.thermal_size, VISIBLE: recorded.visible_size},
        {stream: image_model(model) for stream, model in (lenses or {}).items()}, models,
    )  # fmt: skip
    pose = found.calibration.thermal_to_visible
    assert pose is not None
    lines = (
        f"lenses ({_kinds(found.calibration)}) and pose by {found.views} views of the {config.target} in both cameras, "
        f"of {len(views)} pairs",
        f"error: {found.error:.2f} px of the thermal image (RMS of the target's points from where the visible image "
        f"says they are), {max(found.errors):.2f} px in the worst view",
        f"thermal camera at {np.round(pose.translation, 4).tolist()} m in the visible one's axes, turned by "
        f"{pose.angle:.2f} degrees",
    )
    notes = {"method": config.target, "views": found.views, "error_px": round(found.error, 3)}
    return Calibrated(found.calibration, lines, notes, found.distance)


def calibrate(
    source: CameraSource,
    out: Path,
    *,
    target: TargetConfig | None = None,
    lenses: LensConfig | None = None,
    keep_lenses: bool = False,
    every: float = 0.5,
    frames: int = 0,
    slop: float = 0.02,
    thermal_offset: float = 0.0,
) -> str:
    """Calibrate from ``source``, write calibration.yaml and overlays to ``out``, and return what is to be said.

    Without ``target`` the scene's edges are used. ``keep_lenses`` takes the lenses that the recording knows as right;
    else ``lenses`` says by which models they are estimated.
    ``frames`` pairs are looked at, ``every`` seconds apart; 0 for as many as are of use. ``thermal_offset``, in
    seconds, is in the thermal stamps of ``source`` already.

    Raises :class:`CalibrationError` where the data do not support a calibration, and says what is missing; errors of
    the source as :func:`read_pairs`.
    """
    recorded = read_pairs(source, every=every, frames=frames or (_TARGET_PAIRS if target else FRAMES), slop=slop)
    models = {stream: source.camera_model(stream) for stream in (THERMAL, VISIBLE)}
    known = {stream: model for stream, model in models.items() if model is not None and model.is_calibrated}
    if keep_lenses and len(known) < 2:
        missing = " and ".join(stream for stream in (THERMAL, VISIBLE) if stream not in known)
        raise CalibrationError(
            f"{source.name}: has no calibrated camera_info of {missing}; record it, or leave out --keep-lenses"
        )
    if target is None:
        found = calibrate_scene(recorded, models)
    else:
        found = calibrate_target(recorded, target, known if keep_lenses else None, lenses)
    make_folder(out)
    path = out / "calibration.yaml"
    offset_s, said = _offset(source, thermal_offset)
    calibration = dataclasses.replace(found.calibration, thermal_offset=offset_s)
    save_calibration(path, calibration, {"source": source.name, **found.notes})
    write_overlays(recorded, calibration, out, found.distance)
    return "\n".join([*found.lines, said, f"Written to {out}: calibration.yaml, and before/ and after/ to look at"])


def view(
    source: CameraSource,
    path: Path,
    out: Path,
    *,
    distance: float = DISTANCE,
    every: float = 0.5,
    frames: int = 0,
    slop: float = 0.02,
) -> str:
    """Write overlays of the calibration in the file ``path`` to ``out``, and return what is to be said of it.

    Raises :class:`CalibrationError` for a calibration of other sizes or of none of both cameras, errors of the file as
    :func:`~hkdnet_ros.geometry.calibration_files.load_calibration`, of the source as :func:`read_pairs`.
    """
    calibration = load_calibration(path)
    if calibration.homography is None and None in (
        calibration.thermal, calibration.visible, calibration.thermal_to_visible,
    ):  # fmt: skip
        raise CalibrationError(
            f"{path}: has neither a homography nor lenses and pose of both cameras; expected one of them"
        )
    recorded = read_pairs(source, every=every, frames=frames or FRAMES, slop=slop)
    for stream, model, size in (
        (THERMAL, calibration.thermal, recorded.thermal_size),
        (VISIBLE, calibration.visible, recorded.visible_size),
    ):
        if model is not None and model.image_size != size:
            raise CalibrationError(
                f"{path}: is for {stream} images of {'x'.join(map(str, model.image_size))}, but those of {source.name} "
                f"have {'x'.join(map(str, size))}; expected the same size"
            )
    write_overlays(recorded, calibration, out, distance)
    return f"{len(recorded.pairs)} pairs; written to {out}: before/ and after/, outlines of heat over visible images"


def write_overlays(recorded: RecordedPairs, calibration: PairCalibration, out: Path, distance: float) -> None:
    """Write the outlines of heat over visible images to ``out``: before/ as stretched, after/ as calibrated."""
    table = table_of(calibration, recorded.thermal_size, recorded.visible_size, distance)
    step = max(1, len(recorded.pairs) // _OVERLAYS)
    for number, (thermal, visible) in enumerate(recorded.pairs[::step][:_OVERLAYS]):
        for name, by in (("before", None), ("after", table)):
            make_folder(out / name)
            picture = cv2.imencode(".png", overlay(thermal, visible, by))[1]
            write_file(out / name / f"{number:03}.png", picture.tobytes())


def _offset(source: CameraSource, thermal_offset: float) -> tuple[float, str]:
    """Return what is to be added to thermal stamps, in s, and a line about it.

    ``thermal_offset`` is in the stamps of ``source`` already, and stays where motion tells nothing better.
    """
    found = measured_offset(source)
    if found is None:
        return thermal_offset, (
            f"thermal_offset {thermal_offset:g} s, as given: motion does not tell it; turn the cameras to and fro for "
            "10 s before a scene with outlines to have it measured"
        )
    offset, low, high = (round(thermal_offset + value, 4) for value in (found.offset_s, found.low_s, found.high_s))
    return offset, f"thermal_offset {offset:.3f} s, by how both images move (95 % between {low:.3f} and {high:.3f} s)"


def _look(target: Target, thermal: Any, visible: Any) -> TargetView:
    felt, seen = target.find(thermal), target.find(visible)
    if felt is not None and seen is not None and target.is_symmetric:
        felt = counted_alike(felt, seen)
    return TargetView(felt, seen)


def _kinds(calibration: PairCalibration) -> str:
    models = (THERMAL, calibration.thermal), (VISIBLE, calibration.visible)
    return ", ".join(f"{stream} {model.distortion_model}" for stream, model in models if model is not None)


def _sized(size: tuple[int, int]) -> CameraModel:
    return CameraModel(*size, "", (0.0,) * 9)
