"""What is measured of frames, by themselves and in a row: on one frame in so many, for it takes longer than to fuse."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...geometry.projection import check_lens
from ...images.camera_model import CameraModel
from ...metrics.flicker import FlickerMeter, still_pixels
from ...metrics.fusion import fusion_metrics, measurable
from ...perception import misalignment
from ..baselines import average, laplacian_pyramid
from ..boxes import Objects
from ..detection import Search
from .downstream.features import Corners, corners, homography, matched
from .downstream.objects import AGAIN_KEYS, COUNT_KEYS, counts, found_again
from .downstream.pose import MOVED, Motion, motion, turn_between
from .lumas import FUSED, IMAGES, Lumas

QUALITY_KEYS = ("MI", "VIFp", "Qabf", "SSIM")
BASELINES = {"average": average, "laplacian": laplacian_pyramid}
METHODS = (FUSED, *BASELINES)
FLICKER_KEYS = ("flicker", "still", "unexplained")
POSE_KEYS = ("pose_inliers", "parallax", "turn", "turn_step", "move_x", "move_y", "move_z")
"""Of the camera's motion since the frame before, where its lens is known: matches that agree (0: none is told), whether
they show parallax, the turn in degrees, by how many degrees it differs from the turn before, and, with parallax, the
direction of the translation in the camera's axes, ``before_to_after``."""
IN_A_ROW = 3
"""Frames that end with a measured one and that flicker and features are told from."""


def columns(search: Search | None) -> tuple[str, ...]:
    """Return the names of all measures, in their order: the kind, a point, and of which image."""
    quality = [f"{key}.{method}" for method in METHODS for key in QUALITY_KEYS]
    flicker = [
        f"{key}.{name}" for name in IMAGES for key in FLICKER_KEYS if not (key == "unexplained" and name != FUSED)
    ]
    features = [f"{kind}.{name}" for name in IMAGES for kind in ("corners", "matches", "inliers")]
    poses = [f"{kind}.{name}" for name in IMAGES for kind in POSE_KEYS]
    shift = ("shift_x", "shift_y", "shift_certainty")
    return (*quality, *flicker, *shift, *features, *poses, *((*COUNT_KEYS, *AGAIN_KEYS) if search else ()))


def is_measured(number: int, every: int) -> bool:
    """Return whether frame ``number``, counted from 0, is measured: one in ``every``, from the third on."""
    return number >= IN_A_ROW - 1 and (number - IN_A_ROW + 1) % every == 0


def is_looked_at(number: int, every: int) -> bool:
    """Return whether frame ``number`` is measured, or one of the two before one that is."""
    return any(is_measured(number + ahead, every) for ahead in range(IN_A_ROW))


@dataclass(frozen=True, slots=True)
class Look:
    """A frame that is measured, or precedes one that is: all that can be told of it alone."""

    number: int
    lumas: Lumas
    model: CameraModel | None
    corners: dict[str, Corners]
    objects: dict[str, Objects] | None
    values: dict[str, float]


def look_at(
    number: int,
    lumas: Lumas,
    model: CameraModel | None,
    found: dict[str, Objects] | None,
    every: int,
    search: Search | None,
) -> Look:
    """Return what there is to see in a frame by itself; ``model`` is its lens. Any thread may call this."""
    values: dict[str, float] = {}
    if is_measured(number, every):
        values = _quality(lumas)
        edges = misalignment.look_at(lumas.thermal, lumas.visible)
        if edges is not None:
            shift = misalignment.shift_of([edges], lumas.visible.shape[1])
            values |= {"shift_x": shift.x, "shift_y": shift.y, "shift_certainty": shift.certainty}
        if found is not None and search is not None:
            values |= counts(found, search)
    seen = {name: corners(image) for name, image in lumas.named().items()}
    return Look(number, lumas, model, seen, found, values)


class InARow:
    """Measures frames against those before them; one thread calls it, in the order of the frames."""

    def __init__(self, every: int, search: Search | None) -> None:
        self._every = every
        self._search = search
        self._looks: list[Look] = []

    def add(self, look: Look | None) -> dict[str, float]:
        """Take the next frame that is looked at; return its measures where it is a measured one, else nothing."""
        if look is None:
            self._looks.clear()
            return {}
        if self._looks and (
            look.number != self._looks[-1].number + 1 or look.lumas.fused.shape != self._looks[-1].lumas.fused.shape
        ):
            self._looks.clear()
        self._looks = [*self._looks, look][-IN_A_ROW:]
        if not is_measured(look.number, self._every):
            return {}
        values = dict(look.values)
        if len(self._looks) == IN_A_ROW:
            values |= _flicker(self._looks)
        if len(self._looks) > 1:
            before = self._looks[-2]
            values |= _features(self._looks)
            if self._search and before.objects is not None and look.objects is not None:
                values |= found_again(before.objects, look.objects, self._search)
        return values


def _quality(lumas: Lumas) -> dict[str, float]:
    thermal, visible = lumas.thermal.astype(np.float32), lumas.visible.astype(np.float32)
    images: dict[str, NDArray[np.uint8] | NDArray[np.float32]] = {FUSED: lumas.fused}
    images |= {name: rule(thermal, visible) for name, rule in BASELINES.items()}
    keys = [key for key in QUALITY_KEYS if key in measurable(min(lumas.fused.shape))]
    return {
        f"{key}.{method}": value
        for method, image in images.items()
        for key, value in fusion_metrics(lumas.thermal, lumas.visible, image, keys).items()
    }


def _flicker(looks: Sequence[Look]) -> dict[str, float]:
    """Return the measures of three frames in a row, as metrics/flicker.py has them for the last of them."""
    meters = {name: FlickerMeter() for name in IMAGES}
    values: dict[str, dict[str, float]] = {}
    last: list[NDArray[np.uint8]] = []
    for look in looks:
        sources = [look.lumas.thermal, look.lumas.visible]
        still = still_pixels(last, sources) if last else None
        last = sources
        for name, image in look.lumas.named().items():
            against = sources if name == FUSED else ()
            values[name] = meters[name].add(image, *against, still=still)
    return {f"{key}.{name}": row[key] for name, row in values.items() for key in FLICKER_KEYS if key in row}


def _features(looks: Sequence[Look]) -> dict[str, float]:
    """Return how the corners of the last of two frames or three fit those before, and what motion they tell."""
    values: dict[str, float] = {}
    for name in IMAGES:
        seen = [look.corners[name] for look in looks]
        pairs = [matched(before, after) for before, after in itertools.pairwise(seen)]
        fit = homography(*pairs[-1])
        values[f"corners.{name}"] = float(len(seen[-1].points))
        values[f"matches.{name}"] = float(len(pairs[-1][0]))
        values[f"inliers.{name}"] = float(fit[1].sum()) if fit else 0.0
        if (model := looks[-1].model) is not None and _is_known(model):
            motions = [motion(old, new, model) for old, new in pairs]
            values |= {f"{key}.{name}": value for key, value in _pose(motions).items()}
    return values


def _is_known(model: CameraModel) -> bool:
    """Return whether a camera's lens can be computed with."""
    try:
        check_lens(model, "camera_info")
    except ConfigError:
        return False
    return True


def _pose(motions: Sequence[Motion | None]) -> dict[str, float]:
    """Return those of :data:`POSE_KEYS` that the last motion tells, the one before it perhaps among ``motions``."""
    last = motions[-1]
    if last is None:
        return {"pose_inliers": 0.0}
    values = {"pose_inliers": float(last.inliers), "parallax": float(last.kind == MOVED), "turn": last.angle}
    if len(motions) > 1 and motions[0] is not None:
        values["turn_step"] = turn_between(motions[0], last)
    if last.direction is not None:
        values |= dict(zip(("move_x", "move_y", "move_z"), map(float, last.direction), strict=True))
    return {key: value for key, value in values.items() if np.isfinite(value)}
