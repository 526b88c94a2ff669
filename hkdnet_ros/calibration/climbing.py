"""The homography that suits the surfaces of all patches best: what is climbed is their sum.

A sum of surfaces has many tops: what lies at one distance makes one, what lies at another distance the next. Steps
uphill end at the nearest one. So the highest is looked for: many homographies are drawn, and the best of them climb.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geometry.lookup import Size
from .patches import Surfaces
from .warping import corners

Array = NDArray[np.float64]

_MOST_STEPS = 8
_DRAWN = 10_000
_DRAWN_AT_A_TIME = 500
_CLIMB = 20  # of those drawn: the best half of them by wide surfaces, the others by those that are judged
_SPREAD = 7.0  # px, standard deviation by which corners are drawn
_APART = 2.0  # px, by which two that climb differ
_WIDE, _FINE = 2.5, 1.0  # px by which surfaces are smoothed, for steps that go far and that end

JUDGED = 1.5
"""Pixels by which surfaces are smoothed to say how high a place is."""


class Hill:
    """The sum of surfaces, as a function of the shifts of the grid's corners: x and y of each, 8 in all."""

    def __init__(self, found: Surfaces, sigma: float, weight: float, bent: Array) -> None:
        """Smooth the surfaces by ``sigma`` pixels.

        The homography is held to a similarity, from which it is ``bent`` (4, 2) before, with a ``weight`` that is one
        by the variance of corners.
        """
        self._reach = found.reach
        self._moving = _corner_motion(found.centres, found.size)
        self._hold = weight * _not_similar(found.size)
        self._start = bent.ravel()
        self._values = np.stack([cv2.GaussianBlur(one, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
                                 for one in found.values])  # fmt: skip
        self._down, self._across = np.gradient(self._values, axis=(1, 2))
        self._bends = [np.gradient(self._across, axis=2), np.gradient(self._across, axis=1),
                       np.gradient(self._down, axis=1)]  # fmt: skip

    def height(self, moved: Array) -> float:
        """Return how high the hill is where the corners moved by ``moved`` (8,)."""
        at, _ = self._at(moved)
        off = moved + self._start
        return float(at(self._values).sum() - 0.5 * off @ self._hold @ off)

    def heights(self, moved: Array) -> Array:
        """Return about how high the hill is at many places (N, 8): of shifts in whole pixels."""
        number = np.arange(len(self._values))[:, None]
        found = []
        for first in range(0, len(moved), _DRAWN_AT_A_TIME):
            some = moved[first : first + _DRAWN_AT_A_TIME]
            shifts = np.rint(np.einsum("nij,sj->ins", self._moving, some)).astype(np.intp)
            x, y = np.clip(shifts + self._reach, 0, 2 * self._reach)
            off = some + self._start
            found.append(self._values[number, y, x].sum(axis=0) - 0.5 * np.einsum("si,ij,sj->s", off, self._hold, off))
        return np.concatenate(found)

    def climbed(self, moved: Array) -> Array:
        """Return the top of the hill above ``moved`` (8,), by Newton's steps."""
        for _ in range(_MOST_STEPS):
            at, inside = self._at(moved)
            slope = np.stack([at(self._across), at(self._down)], axis=-1)
            # Where a surface bends upwards, the step goes by its slope and as much bend downwards.
            bends = _downwards(*(at(bend) for bend in self._bends))
            moving = self._moving[inside]
            flat = moving.reshape(-1, 8)
            normal = flat.T @ np.matmul(bends[inside], moving).reshape(-1, 8)
            wanted = flat.T @ slope[inside].ravel()
            normal = normal + self._hold + 1e-6 * np.trace(normal) * np.eye(8) + 1e-12 * np.eye(8)
            step = np.linalg.solve(normal, wanted - self._hold @ (moved + self._start))
            largest = float(np.abs(step).max())
            moved = moved + step / max(1.0, largest)
            if largest < 0.01:
                break
        return moved

    def _at(self, moved: Array) -> tuple[_Interpolated, NDArray[np.bool_]]:
        """Return what looks maps up where the patches went, and which of these the maps reach."""
        shifts = self._moving @ moved
        inside = np.asarray((np.abs(shifts) < self._reach).all(axis=1))
        return _Interpolated(np.clip(shifts, -self._reach, self._reach - 1e-6) + self._reach), inside


def climb(found: Surfaces, sigmas: Sequence[float], weight: float, bent: Array) -> Array:
    """Return the shifts (4, 2) of the grid's corners at the top near by, smoothed by each of ``sigmas`` in turn."""
    moved = np.zeros(8)
    for sigma in sigmas:
        moved = Hill(found, sigma, weight, bent).climbed(moved)
    return moved.reshape(4, 2)


def highest(found: Surfaces, weight: float, bent: Array, random: np.random.Generator) -> Array:
    """Return the shifts (4, 2) of the grid's corners at the highest of the tops that ``found`` reaches.

    Which is the highest is judged on smoothed surfaces: finer ones have more tops that are nearly as high, and which of
    these is the highest changes with each resampling of the images.
    """
    wide, judged, fine = (Hill(found, sigma, weight, bent) for sigma in (_WIDE, JUDGED, _FINE))
    drawn = random.normal(0, _SPREAD, (_DRAWN, 8))
    starts = [np.zeros(8)]
    for hill, count in ((wide, _CLIMB // 2), (judged, _CLIMB)):
        for number in np.argsort(-hill.heights(drawn)):
            if len(starts) > count:
                break
            if all(np.abs(drawn[number] - other).max() > _APART for other in starts):
                starts.append(drawn[number])
    tops = [judged.climbed(wide.climbed(start)) for start in starts]
    return fine.climbed(max(tops, key=judged.height)).reshape(4, 2)


class _Interpolated:
    """Values of maps (N, S, S) at one place (x, y) of each, by the four pixels around it."""

    def __init__(self, places: Array) -> None:
        self._whole = places.astype(np.int64)
        self._part = places - self._whole
        self._number = np.arange(len(places))

    def __call__(self, maps: NDArray[Any]) -> Array:
        (x, y), (right, below) = self._whole.T, self._part.T
        upper = maps[self._number, y, x] * (1 - right) + maps[self._number, y, x + 1] * right
        lower = maps[self._number, y + 1, x] * (1 - right) + maps[self._number, y + 1, x + 1] * right
        return np.asarray(upper * (1 - below) + lower * below, np.float64)


def _downwards(xx: Array, xy: Array, yy: Array) -> Array:
    """Return how much surfaces bend (N, 2, 2) that have these second derivatives, each (N,), as if all went downwards.

    That is the matrix whose eigenvalues have the same size and are positive: the root of the square.
    """
    both = xx + yy
    determinant = np.abs(xx * yy - xy * xy)
    square = np.array([[xx * xx + xy * xy, xy * both], [xy * both, yy * yy + xy * xy]])
    trace = np.sqrt(square[0, 0] + square[1, 1] + 2 * determinant + 1e-18)
    return np.asarray(np.moveaxis((square + determinant * np.eye(2)[..., None]) / trace, -1, 0), np.float64)


def _corner_motion(points: Array, size: Size) -> Array:
    """Return (N, 2, 8): how points move with x and y of the four corners, to the first order of a homography."""
    middle = (np.array(size) - 1) / 2

    def motions(places: Array) -> Array:
        x, y = ((places - middle) / (max(size) / 2)).T
        none, one = np.zeros_like(x), np.ones_like(x)
        return np.stack(
            [np.stack([x, y, one, none, none, none, x * x, x * y], axis=1),
             np.stack([none, none, none, x, y, one, x * y, y * y], axis=1)], axis=1,
        )  # fmt: skip

    return np.asarray(motions(points) @ np.linalg.inv(motions(corners(size)).reshape(8, 8)), np.float64)


def _not_similar(size: Size) -> Array:
    """Return the projection (8, 8) of shifts of the corners to what no shift, turn and scale does."""
    centred = corners(size) - (np.array(size) - 1) / 2
    turned = centred[:, ::-1] * (-1, 1)
    similar = np.stack([np.tile([1.0, 0.0], 4), np.tile([0.0, 1.0], 4), centred.ravel(), turned.ravel()], axis=1)
    basis, _ = np.linalg.qr(similar)
    return np.asarray(np.eye(8) - basis @ basis.T, np.float64)
