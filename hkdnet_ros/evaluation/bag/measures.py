"""What is measured of frames, by themselves and in a row: on one frame in so many, for it takes longer than to fuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...metrics.flicker import FlickerMeter, still_pixels
from ...metrics.fusion import fusion_metrics, measurable
from ...perception.sink import Output
from ..baselines import average, laplacian_pyramid
from ..boxes import Objects
from ..detection import Search
from .alignment import shift_between
from .features import Corners, corners, matched
from .lumas import FUSED, IMAGES, Lumas, lumas_of
from .objects import AGAIN_KEYS, COUNT_KEYS, counts, find_in, found_again

QUALITY_KEYS = ("MI", "VIFp", "Qabf", "SSIM")
BASELINES = {"average": average, "laplacian": laplacian_pyramid}
METHODS = (FUSED, *BASELINES)
FLICKER_KEYS = ("flicker", "still", "unexplained")
IN_A_ROW = 3
"""Frames that end with a measured one and that flicker and features are told from."""


def columns(search: Search | None) -> tuple[str, ...]:
    """Return the names of all measures, in their order: the kind, a point, and of which image."""
    quality = [f"{key}.{method}" for method in METHODS for key in QUALITY_KEYS]
    flicker = [
        f"{key}.{name}" for name in IMAGES for key in FLICKER_KEYS if not (key == "unexplained" and name != FUSED)
    ]
    features = [f"{kind}.{name}" for name in IMAGES for kind in ("corners", "inliers")]
    shift = ("shift_x", "shift_y", "shift_certainty")
    return (*quality, *flicker, *shift, *features, *((*COUNT_KEYS, *AGAIN_KEYS) if search else ()))


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
    corners: dict[str, Corners]
    objects: dict[str, Objects] | None
    values: dict[str, float]


def look_at(number: int, output: Output, every: int, search: Search | None) -> Look | None:
    """Return what there is to see in a frame; None where it was not made of both cameras. Any thread may call this."""
    lumas = lumas_of(output)
    if lumas is None:
        return None
    values: dict[str, float] = {}
    found = find_in(lumas, search) if search else None
    if is_measured(number, every):
        values = _quality(lumas)
        shift = shift_between(lumas.thermal, lumas.visible)
        if shift is not None:
            values |= {"shift_x": shift.x, "shift_y": shift.y, "shift_certainty": shift.certainty}
        if found is not None and search is not None:
            values |= counts(found, search)
    return Look(number, lumas, {name: corners(image) for name, image in lumas.named().items()}, found, values)


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
            for name in IMAGES:
                _, inliers = matched(before.corners[name], look.corners[name])
                values[f"corners.{name}"] = float(len(look.corners[name].points))
                values[f"inliers.{name}"] = float(inliers)
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
