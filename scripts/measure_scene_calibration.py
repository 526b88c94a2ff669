#!/usr/bin/env python3
"""Measures how well known homographies are recovered from real pairs, one pair at a time and pooled over a rig's pairs.

    PYTHONPATH=. .venv/bin/python scripts/measure_scene_calibration.py ../shared/data [METHOD ...]

Each thermal image is warped by a homography drawn at random (scale 0.5 to 1.5, shifts up to 20 px, turns up to 3
degrees, perspective that moves corners by up to 5 px). The error is the mean over the corners of the view that lies
within the other, in visible pixels, beside three things, none of which is the truth alone:

- the data's own registration, which is off by some pixels and by the parallax;
- the rig: what the edges of other pairs of the same two cameras (train/) say together, where there are such; pooled
  pairs of one light are measured beside all those of the other light;
- what the same method makes of the same part of the pair before it was warped.

A pair is by night where the visible image is dark. A refusal counts for itself, neither right nor wrong.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.optimize import minimize

from hkdnet_ros.calibration.by_scene import calibrate_by_scene, searched
from hkdnet_ros.calibration.evidence import Evidence, highest_near, refined
from hkdnet_ros.calibration.warping import corners, warped
from hkdnet_ros.errors import CalibrationError
from hkdnet_ros.geometry.homography import transform_points
from hkdnet_ros.sources.pairs import list_pairs, read_conditioned, read_gray

NIGHT = 0.2  # mean of the visible image
RIGHT = 1.0  # px
RIGS = "ms_", "m3_"  # what names of pairs begin with that two cameras took; others were cut and registered one by one
POOLED, POOLED_WARPS = (20, 40), 4
Array = Any
Pairs = Sequence[tuple[Array, Array]]
Method = Callable[[Array, Array, "Array | None"], "Array | None"]


def drawn(random: np.random.Generator, size: tuple[int, int]) -> Array:
    """Return a homography of thermal pixels to those of the warped image."""
    middle = (np.array(size) - 1) / 2
    turn, scale = np.radians(random.uniform(-3, 3)), random.uniform(0.5, 1.5)
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    similar = np.eye(3)
    similar[:2, :2], similar[:2, 2] = turned, middle - turned @ middle + random.uniform(-20, 20, 2)
    bent = (corners(size) + random.uniform(-5, 5, (4, 2))).astype(np.float32)
    return similar @ cv2.getPerspectiveTransform(corners(size).astype(np.float32), bent)


def ours(thermal: Array, visible: Array, start: Array | None) -> Array | None:
    """By the edges of one pair; beside ``start`` where there is one. None where hkdnet calibrate refuses."""
    if start is not None:
        return beside(Evidence([(thermal, visible)]), start)
    try:
        return calibrate_by_scene([(thermal, visible)]).homography
    except CalibrationError:
        return None


def forced(thermal: Array, visible: Array, start: Array | None) -> Array:
    """By the edges of one pair, whatever they say."""
    evidence = Evidence([(thermal, visible)])
    return searched(evidence)[0] if start is None else beside(evidence, start)


def beside(evidence: Evidence, start: Array) -> Array:
    """By edges, of all places beside ``start`` that which they support best, as hkdnet calibrate ends."""
    return highest_near(evidence, refined(evidence, start))


def information(thermal: Array, visible: Array, start: Array | None) -> Array:
    """By edges, and from there by the normalised mutual information of both images (Studholme 1999)."""
    begun = forced(thermal, visible, start)
    smooth = cv2.GaussianBlur(thermal, (0, 0), 0.8)
    seen = cv2.equalizeHist(np.uint8(np.clip(visible, 0, 1) * 255))
    size = visible.shape[::-1]
    grid = corners(size).astype(np.float32)

    def entropy(shares: Array) -> float:
        return -float(np.sum(shares * np.log(np.maximum(shares, 1e-12))))

    def moved(shifts: Array) -> Array:
        return cv2.getPerspectiveTransform(grid, (grid + 3 * shifts.reshape(4, 2)).astype(np.float32)) @ begun

    def unlike(shifts: Array) -> float:
        matrix = moved(shifts)
        heat = cv2.warpPerspective(smooth, matrix, size)
        shown = cv2.warpPerspective(np.ones(thermal.shape, np.uint8), matrix, size, flags=cv2.INTER_NEAREST) > 0
        bins = np.clip(heat[shown] * 32, 0, 31).astype(np.int64) * 32 + seen[shown] // 8
        joint = cv2.GaussianBlur(np.bincount(bins, minlength=1024).reshape(32, 32).astype(np.float64), (0, 0), 0.7)
        joint /= max(joint.sum(), 1e-9)
        return -(entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1))) / max(entropy(joint), 1e-9)

    best = minimize(unlike, np.zeros(8), method="Powell", options={"maxfev": 400, "xtol": 0.01, "ftol": 1e-6})
    return moved(best.x)


def ecc(thermal: Array, visible: Array, start: Array | None) -> Array:
    """By OpenCV's ECC on the strength of edges, coarse to fine, from scales of 0.7, 1 and 1.4."""
    best = (-1.0, np.eye(3))
    height, width = visible.shape
    starts = (
        [start]
        if start is not None
        else [
            np.array([[z, 0, (width - 1) * (1 - z) / 2], [0, z, (height - 1) * (1 - z) / 2], [0, 0, 1]])
            for z in (0.7, 1.0, 1.4)
        ]
    )
    for thermal_to_visible in starts:
        matrix = np.linalg.inv(thermal_to_visible)
        value = -1.0
        for factor in (0.25, 0.5, 1.0):
            small = [np.float32(cv2.resize(i, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
                     for i in (thermal, visible)]  # fmt: skip
            strength = [np.hypot(*(cv2.Scharr(cv2.GaussianBlur(i, (0, 0), 1.5), cv2.CV_32F, *axis)
                                   for axis in ((1, 0), (0, 1)))) for i in small]  # fmt: skip
            size = np.diag([factor, factor, 1.0])
            begun = np.float32(size @ matrix @ np.linalg.inv(size))
            try:
                value, begun = cv2.findTransformECC(
                    strength[1], strength[0], begun, cv2.MOTION_HOMOGRAPHY,
                    (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-5), None, 5,
                )  # fmt: skip
            except cv2.error:
                value = -1.0
                break
            matrix = np.linalg.inv(size) @ begun.astype(np.float64) @ size
        if value > best[0]:
            best = value, np.linalg.inv(matrix)
    return best[1]


def features(thermal: Array, visible: Array, start: Array | None) -> Array:
    """By SIFT, ratio test and MAGSAC."""
    sift = cv2.SIFT.create(4000, contrastThreshold=0.01)
    (felt, by_heat), (seen, by_light) = (
        sift.detectAndCompute(np.uint8(np.clip(image * 255, 0, 255)), None) for image in (thermal, visible)
    )
    if by_heat is None or by_light is None:
        return np.eye(3)
    found = [pair[0] for pair in cv2.BFMatcher().knnMatch(by_heat, by_light, 2)
             if len(pair) == 2 and pair[0].distance < 0.85 * pair[1].distance]  # fmt: skip
    if len(found) < 4:
        return np.eye(3)
    matrix, _ = cv2.findHomography(
        np.float32([felt[match.queryIdx].pt for match in found]),
        np.float32([seen[match.trainIdx].pt for match in found]), cv2.USAC_MAGSAC, 3.0,
    )  # fmt: skip
    return np.eye(3) if matrix is None else matrix


def window(truth: Array, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the thermal pixels that the warped image shows, about."""
    places = transform_points(np.linalg.inv(truth), corners(size))
    (_, left, right, _), (_, top, bottom, _) = np.sort(places[:, 0]), np.sort(places[:, 1])
    left, top = max(0, round(left)), max(0, round(top))
    return left, top, min(size[0], round(right) + 1), min(size[1], round(bottom) + 1)


def mean_error(places: Array, others: Array) -> float:
    """Return the mean distance of points in pixels, 1000 for each that is nowhere."""
    return float(np.nan_to_num(np.linalg.norm(places - others, axis=1), nan=1e3).mean())


METHODS: dict[str, Method] = {
    "edges (ours)": ours, "edges, none refused": forced, "and information": information, "ECC": ecc, "SIFT": features,
}  # fmt: skip


def read(folder: Path) -> dict[str, tuple[Array, Array]]:
    """Return the pairs of a folder by name."""
    return {paths.name: (read_conditioned(paths.thermal), read_gray(paths.visible)) for paths in list_pairs(folder)}


def rigs_of(pairs: dict[str, tuple[Array, Array]]) -> dict[str, Array]:
    """Return by rig what its pairs say together, 40 of them at the most, of day and night."""
    found = {}
    for rig in RIGS:
        chosen = [pair for name, pair in pairs.items() if name.startswith(rig) and pair[0].shape == pair[1].shape]
        found[rig] = refined(Evidence(chosen[:: max(1, len(chosen) // 40)][:40]), np.eye(3))
    return found


class Tally:
    """Errors by name and light, and how they are said."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str], list[tuple[float, ...] | None]] = defaultdict(list)

    def add(self, name: str, light: str, errors: tuple[float, ...] | None) -> None:
        """Take the errors beside data, rig (NaN where there is none) and the pair as it was; None for a refusal."""
        self._errors[name, light].append(errors)

    def __str__(self) -> str:
        lines = []
        for (name, light), rows in self._errors.items():
            refused = sum(row is None for row in rows)
            line = f"{name}, {light}: {len(rows)}, refused {refused}"
            for number, beside in enumerate(("data", "rig", "as it was")):
                values = np.array([row[number] for row in rows if row is not None and not np.isnan(row[number])])
                if len(values):
                    right = int(np.sum(values <= RIGHT))
                    line += f"; {beside}: right {right}, wrong {len(values) - right}, median {np.median(values):.2f} px"
            lines.append(line)
        return "\n".join(lines)


def trial(pairs: Pairs, truth: Array) -> tuple[list[tuple[Array, Array]], Array]:
    """Return pairs whose thermal images are warped, and the places at which errors are measured."""
    size = pairs[0][1].shape[::-1]
    moved = []
    for thermal, visible in pairs:
        image, shown = warped(thermal, truth, size)
        image[shown == 0] = 0
        moved.append((image, visible))
    places = corners(size)
    if np.linalg.det(truth[:2, :2]) > 1:
        places = transform_points(np.linalg.inv(truth), places)
    return moved, places


def errors_of(found: Array, places: Array, references: Sequence[Array | None]) -> tuple[float, ...]:
    """Return the error beside each reference, NaN where there is none."""
    return tuple(
        float("nan") if one is None else mean_error(transform_points(one, places), transform_points(found, places))
        for one in references
    )


def measure_singles(pairs: dict[str, tuple[Array, Array]], rigs: dict[str, Array], chosen: list[str]) -> Tally:
    """Measure each pair by itself and print a line for each."""
    tally = Tally()
    for number, (name, (thermal, visible)) in enumerate(pairs.items()):
        truth = drawn(np.random.default_rng(number), visible.shape[::-1])
        ((moved, _),), places = trial([(thermal, visible)], truth)
        light = "night" if visible.mean() < NIGHT else "day"
        left, top, right, bottom = window(truth, visible.shape[::-1])
        cropped = np.ascontiguousarray(thermal[top:bottom, left:right])
        for method in chosen:
            found = METHODS[method](moved, visible, None)
            errors = None
            if found is not None:
                own = METHODS[method](cropped, visible, np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]]))
                assert own is not None  # with a start nothing is refused
                own = own @ np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
                errors = errors_of(found @ truth, places, (np.eye(3), rigs.get(name[:3]), own))
            tally.add(method, light, errors)
            said = "refused" if errors is None else "data {:.2f}, rig {:.2f}, as it was {:.2f}".format(*errors)
            print(f"{name:24} {light:5} x{np.sqrt(np.linalg.det(truth[:2, :2])):.2f} {method:20} {said}", flush=True)
    return tally


def measure_pools(pairs: dict[str, tuple[Array, Array]]) -> Tally:
    """Measure many pairs of one rig together, as hkdnet calibrate does, beside what those of the other light say."""
    tally = Tally()
    by_light: dict[str, list[tuple[Array, Array]]] = {"day": [], "night": []}
    for name, pair in pairs.items():
        if name.startswith(RIGS[0]) and pair[0].shape == pair[1].shape:
            by_light["night" if pair[1].mean() < NIGHT else "day"].append(pair)
    rigs = {light: refined(Evidence(by_light[light]), np.eye(3)) for light in by_light}
    for light, other in (("day", "night"), ("night", "day")):
        for count in POOLED:
            for seed in range(POOLED_WARPS):
                random = np.random.default_rng(seed)
                group = [by_light[light][number] for number in random.permutation(len(by_light[light]))[:count]]
                truth = drawn(random, group[0][1].shape[::-1])
                moved, places = trial(group, truth)
                errors = None
                try:
                    found = calibrate_by_scene(moved)
                    own = refined(Evidence(group), np.eye(3))
                    errors = errors_of(found.homography @ truth, places, (np.eye(3), rigs[other], own))
                    said = "data {:.2f}, rig {:.2f}, as it was {:.2f}".format(*errors) + f"; said {found.error:.2f}"
                except CalibrationError as refusal:
                    said = f"refused: {refusal}"
                tally.add(f"{count} pairs", light, errors)
                print(f"{light:5} {count} pairs x{np.sqrt(np.linalg.det(truth[:2, :2])):.2f} {said}", flush=True)
    return tally


if __name__ == "__main__":
    data = Path(sys.argv[1])
    others = read(data / "train")
    tallies = [
        measure_singles(read(data / "val"), rigs_of(others), sys.argv[2:] or list(METHODS)),
        measure_pools(others),
    ]
    print(*tallies, sep="\n")
