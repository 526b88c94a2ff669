"""What detectors and odometry make of a result, in words: where the fused image is worse than a source, above all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..finding import BAD, GOOD, NOTE, Finding
from ..lumas import FUSED, IMAGES
from ..reading import Result

_ALIKE = 0.01  # by which figures may differ and be called equal
_CLEARLY = 0.1  # worse by more is bad
_STEP_NOISE = 0.02  # degrees, of a standing camera in the simulator


def downstream_findings(result: Result) -> list[Finding]:
    """Return what there is to say of objects, features and poses; nothing of what was not measured."""
    found = [_objects(result), _found_again(result), _followed(result), _features(result), *_poses(result)]
    return [finding for finding in found if finding is not None]


def held_against(
    what: str, values: Mapping[str, float], shown: str = "{:.0f}", *, less: bool = False, noise: float = 0.0
) -> Finding:
    """Return a sentence on the fused image's figure beside those of the sources, ``less`` where less is better.

    Worse than the better source is said to be worse, and is bad from a tenth on. What differs by no more than ``noise``
    is equal.
    """
    sign = -1 if less else 1
    sources = {name: value for name, value in values.items() if name != FUSED}
    scale = max(abs(value) for value in values.values()) or 1.0
    apart = {name: value - values[FUSED] for name, value in sources.items()}
    worse = {name: sign * by / scale if abs(by) > noise else 0.0 for name, by in apart.items()}
    figures = " and ".join(f"{shown.format(value)} in {name}" for name, value in sources.items())
    text = f"in {what}: {shown.format(values[FUSED])}, against {figures}."
    behind = [name for name, by in worse.items() if by > _ALIKE]
    if behind:
        than = " and ".join(behind)
        return Finding(BAD if max(worse.values()) > _CLEARLY else NOTE, f"Fused is worse than {than} {text}")
    if all(by < -_ALIKE for by in worse.values()):
        return Finding(GOOD, f"Fused is better than either source {text}")
    return Finding(GOOD, f"Fused is as good as the better source {text}")


def in_common(result: Result, key: str) -> dict[str, float]:
    """Return the mean of a measure for each image over the frames in which all images have it; empty for none."""
    columns = [result.measures.get(f"{key}.{name}", np.zeros(0)) for name in IMAGES]
    if len({len(column) for column in columns}) != 1:
        return {}
    known = np.isfinite(columns).all(axis=0)
    if not known.any():
        return {}
    return {name: float(column[known].mean()) for name, column in zip(IMAGES, columns, strict=True)}


def _objects(result: Result) -> Finding | None:
    if "objects.visible_kept" not in result.measures:
        return None
    totals = {key: int(np.nansum(values)) for key, values in result.measures.items() if key.startswith("objects.")}
    kept, lost = totals["objects.visible_kept"], totals["objects.visible_lost"]
    gained, alone = totals["objects.gained"], totals["objects.thermal_alone"]
    false = totals["objects.fused_alone"]
    if kept + lost + alone == 0:
        return Finding(NOTE, "The detector finds nothing in either source.")
    text = (
        f"Of {kept + lost} objects that the visible image shows, the fused one shows {kept} and loses {lost}; of "
        f"{alone} that thermal alone shows, it shows {gained}; {false} it shows that neither source does."
    )
    if gained >= lost:
        return Finding(GOOD, text)
    return Finding(BAD, f"Fused is worse than visible for this detector, it loses more than it gains. {text}")


def _found_again(result: Result) -> Finding | None:
    shares = again_shares(result)
    if len(shares) < len(IMAGES):
        return None
    percent = {name: 100 * share for name, share in shares.items()}
    return held_against("objects that are found again in the next frame", percent, "{:.0f} %")


def again_shares(result: Result) -> dict[str, float]:
    """Return by image the share of objects that were found again in the next frame; without those that have none."""
    sums = {name: [np.nansum(result.measures.get(f"{kind}.{name}", np.zeros(0))) for kind in
                   ("sought_again", "found_again")] for name in IMAGES}  # fmt: skip
    return {name: float(again / sought) for name, (sought, again) in sums.items() if sought}


def _followed(result: Result) -> Finding | None:
    followed = result.followed
    if followed is None:
        return None
    if not followed.objects.sum():
        return Finding(NOTE, "No object can be followed over time in the sources.")
    shares = {name: 100 * followed.share(name) for name in IMAGES}
    finding = held_against("what it shows of objects that can be followed over time", shares, "{:.0f} %")
    alone, missed = (100 * followed.share(name) for name in ("fused_alone", "visible_alone"))
    return Finding(
        finding.tone,
        f"{finding.text} It shows {alone:.0f} % that visible misses, and misses {missed:.0f} % that visible shows.",
    )


def _features(result: Result) -> Finding | None:
    inliers = in_common(result, "inliers")
    if not any(inliers.values()):
        return None
    return held_against("ORB corners that are found again from frame to frame", inliers)


def _poses(result: Result) -> list[Finding | None]:
    inliers, steps = in_common(result, "pose_inliers"), in_common(result, "turn_step")
    found: list[Finding | None] = []
    if any(inliers.values()):
        found.append(held_against("corners that agree on one motion of the camera", inliers))
    if any(steps.values()):
        what = "smoothness of the camera's motion, by the step from one turn to the next"
        found.append(held_against(what, steps, "{:.3f} deg", less=True, noise=_STEP_NOISE))
    return found
