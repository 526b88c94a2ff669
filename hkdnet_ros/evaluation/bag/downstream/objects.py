"""What a detector finds in a frame: in each source, in both together, and in the fused image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....images.frames import THERMAL, VISIBLE
from ...boxes import Objects, covered, joined, matched, without_doubles
from ...detection import Search
from ...detector import DOUBLE, find_objects
from ..lumas import FUSED, IMAGES, Lumas

BOTH = "both"

COUNT_KEYS = (
    *(f"objects.{name}" for name in (*IMAGES, BOTH)),
    "objects.visible_kept", "objects.visible_lost", "objects.thermal_alone", "objects.gained", "objects.fused_alone",
)  # fmt: skip
"""Per frame: objects in each image and in either source; of those sure in visible, found in fused and not; those sure
in thermal alone, and of them found in fused; those sure in fused that neither source shows."""

AGAIN_KEYS = tuple(f"{kind}.{name}" for name in IMAGES for kind in ("sought_again", "found_again"))
"""Per frame: objects sure in the frame before, and of them found in this one, by image."""


def find_in(lumas: Lumas, search: Search) -> dict[str, Objects]:
    """Return what the detector finds in thermal, visible and fused, by name."""
    return {
        name: find_objects(image, search.detector, score=search.found, classes=search.classes)
        for name, image in lumas.named().items()
    }


def counts(found: Mapping[str, Objects], search: Search) -> dict[str, float]:
    """Return :data:`COUNT_KEYS` of one frame.

    Sure is what has the score ``search.sure``, found what has ``search.found``, so that nothing is lost by a hair.
    """
    sure = {name: objects.where(objects.scores >= search.sure) for name, objects in found.items()}
    both = without_doubles(joined([sure[THERMAL], sure[VISIBLE]]), DOUBLE)
    kept = int(np.count_nonzero(matched(sure[VISIBLE], found[FUSED])))
    alone = sure[THERMAL].where(~covered(sure[THERMAL], found[VISIBLE]))
    in_source = covered(sure[FUSED], found[VISIBLE]) | covered(sure[FUSED], found[THERMAL])
    values = (
        *(len(sure[name]) for name in IMAGES),
        len(both),
        kept,
        len(sure[VISIBLE]) - kept,
        len(alone),
        int(np.count_nonzero(matched(alone, found[FUSED]))),
        int(np.count_nonzero(~in_source)),
    )
    return {key: float(value) for key, value in zip(COUNT_KEYS, values, strict=True)}


def found_again(before: Mapping[str, Objects], now: Mapping[str, Objects], search: Search) -> dict[str, float]:
    """Return :data:`AGAIN_KEYS` for two frames in a row: whether an object flickers in and out of what is found."""
    values = {}
    for name in IMAGES:
        sought = before[name].where(before[name].scores >= search.sure)
        values[f"sought_again.{name}"] = float(len(sought))
        values[f"found_again.{name}"] = float(np.count_nonzero(matched(sought, now[name])))
    return values
