#!/usr/bin/env python3
"""Measures how well known homographies are recovered from real pairs, against OpenCV's ECC and a feature match.

    PYTHONPATH=. .venv/bin/python scripts/measure_scene_calibration.py ../shared/data/val

Each thermal image is warped by a homography drawn at random (scale 0.5 to 1.5, shifts up to 20 px, turns up to 3
degrees, perspective that moves corners by up to 5 px). The error is the mean over the corners of the view that lies
within the other, in visible pixels: beside the data's own registration, which is itself off by some pixels and by the
parallax, and beside what the same method makes of the same part of the pair before it was warped, which is what a
method can be held to. A pair is by night where the visible image is dark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hkdnet_ros.calibration.by_scene import refined, searched
from hkdnet_ros.calibration.warping import corners, warped
from hkdnet_ros.geometry.homography import transform_points
from hkdnet_ros.sources.pairs import list_pairs, read_conditioned, read_gray

NIGHT = 0.2  # mean of the visible image
Array = Any
Method = Callable[[Array, Array, Array | None], Array]


def drawn(random: np.random.Generator, size: tuple[int, int]) -> Array:
    """Return a homography of thermal pixels to those of the warped image."""
    middle = (np.array(size) - 1) / 2
    turn, scale = np.radians(random.uniform(-3, 3)), random.uniform(0.5, 1.5)
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    similar = np.eye(3)
    similar[:2, :2], similar[:2, 2] = turned, middle - turned @ middle + random.uniform(-20, 20, 2)
    bent = (corners(size) + random.uniform(-5, 5, (4, 2))).astype(np.float32)
    return similar @ cv2.getPerspectiveTransform(corners(size).astype(np.float32), bent)


def ours(thermal: Array, visible: Array, start: Array | None) -> Array:
    """By the edges of one pair; beside ``start`` where there is one."""
    return searched([(thermal, visible)]) if start is None else refined([(thermal, visible)], start)


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


METHODS: dict[str, Method] = {"edges (ours)": ours, "ECC": ecc, "SIFT": features}


def main(folder: Path, chosen: list[str]) -> None:
    """Measure all pairs and print a line for each, then the shares."""
    rows = []
    for number, paths in enumerate(list_pairs(folder)):
        thermal, visible = read_conditioned(paths.thermal), read_gray(paths.visible)
        size = visible.shape[::-1]
        truth = drawn(np.random.default_rng(number), size)
        moved, shown = warped(thermal, truth, size)
        moved[shown == 0] = 0
        places = corners(size)
        if np.linalg.det(truth[:2, :2]) > 1:
            places = transform_points(np.linalg.inv(truth), places)
        is_night = visible.mean() < NIGHT
        left, top, right, bottom = window(truth, size)
        cropped = np.ascontiguousarray(thermal[top:bottom, left:right])
        for name in chosen:
            own = METHODS[name](cropped, visible, np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]]))
            own = own @ np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
            found = METHODS[name](moved, visible, None) @ truth
            errors = [mean_error(there, transform_points(found, places)) for there in
                      (places, transform_points(own, places))]  # fmt: skip
            residual = mean_error(places, transform_points(own, places))
            rows.append((name, is_night, *errors, residual))
            scale = np.sqrt(np.linalg.det(truth[:2, :2]))
            said = f"error {errors[0]:.2f}, beside the pair as it was {errors[1]:.2f}, which is off by {residual:.2f}"
            print(f"{paths.name:24} {'night' if is_night else 'day':5} x{scale:.2f} {name:12} {said}", flush=True)
    for name in chosen:
        for light in (False, True):
            values = np.array([row[2:] for row in rows if row[0] == name and row[1] == light])
            if not len(values):
                continue
            shares = [f"within {limit} px {np.mean(values[:, 0] <= limit):.0%} / {np.mean(values[:, 1] <= limit):.0%}"
                      for limit in (1, 2, 4)]  # fmt: skip
            medians = np.median(values, axis=0)
            print(
                f"{name} {'night' if light else 'day'} ({len(values)} pairs): {'; '.join(shares)}; "
                f"median {medians[0]:.2f} / {medians[1]:.2f} px; pairs are off by {medians[2]:.2f}"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(METHODS))
