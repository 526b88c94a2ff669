"""Cars: an extruded body with a cabin, wheels and lamps; warm where the engine runs, cold where it mirrors the sky.

A mesh is in the car's own axes: x to its right, y up, z ahead, the origin on the ground below its middle.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array, f32
from .geometry import View
from .sprites import Canvas, Shade

Colour = tuple[float, float, float]

# Side outlines as (along the car, height) in metres, from the rear over the top to the front.
_BODY = (
    (-2.12, 0.30), (-2.16, 0.62), (-2.08, 0.90), (-1.35, 0.96), (0.80, 0.94), (1.75, 0.80), (2.08, 0.66), (2.14, 0.30),
)  # fmt: skip
_CABIN = ((-1.75, 0.94), (-1.02, 1.40), (-0.55, 1.45), (0.12, 1.43), (0.98, 0.92))
_PANES = (
    ((-1.28, 0.98), (-0.92, 1.34), (-0.45, 1.38), (-0.45, 0.98)),
    ((-0.37, 0.98), (-0.37, 1.38), (0.06, 1.37), (0.70, 0.97)),
)
_BONNET = ((0.95, 0.55), (0.95, 0.92), (1.75, 0.80), (2.05, 0.66), (2.08, 0.55))
_HALF_WIDTH, _ROOF_HALF_WIDTH = 0.86, 0.62
_AXLES = (-1.32, 1.34)
_WHEEL_RADIUS = 0.32
_DOORS = (-0.41, 0.78)  # where their rear edges are
_ROLL_STEPS = 8  # drawn positions of a wheel within one fifth of a turn


@dataclass(frozen=True, slots=True)
class CarHeat:
    """Temperatures around a car in deg C, and how warm its engine is: 0 cold and parked, 1 running."""

    air: float
    sky_chill: float  # K by which paint facing the sky is colder
    engine: float


class CarMesh:
    """The flat pieces of a car in drawing order, with paint, temperature and gloss."""

    def __init__(self, paint: Colour, heat: CarHeat, *, lights: bool, roll: float) -> None:
        self._points: list[Array] = []
        self._normals: list[tuple[float, float, float]] = []
        self._albedo: list[Colour] = []
        self._heat: list[float] = []
        self._gloss: list[float] = []
        self._build(paint, heat, lights, roll)
        self.splits = np.cumsum([len(points) for points in self._points])[:-1]
        self.points = np.concatenate(self._points).astype(np.float32)  # (M, 3)
        self.anchors = np.stack([points[0] for points in self._points]).astype(np.float32)  # (N, 3)
        self.normals = f32(self._normals)  # (N, 3)
        self.albedo = f32(self._albedo)  # (N, 3)
        self.temperature = list(self._heat)
        self.gloss = f32(self._gloss)  # (N,) share of the sky that is mirrored
        self.paint = paint

    def _add(self, points: ArrayLike, normal: tuple[float, float, float], albedo: Colour,
             heat: float, gloss: float = 0.0) -> None:  # fmt: skip
        self._points.append(f32(points))
        self._normals.append(normal)
        self._albedo.append(albedo)
        self._heat.append(heat)
        self._gloss.append(gloss)

    def _build(self, paint: Colour, heat: CarHeat, lights: bool, roll: float) -> None:
        air, warm = heat.air, heat.engine
        body, cabin = air + 1.5 + warm, air + 2.0 + 2.0 * warm
        for (a, low), (b, high) in itertools.pairwise(_BODY):
            normal = _across_normal(a, low, b, high)
            hot = 16.0 * warm if a > 0.7 else 0.0
            corners = [(-_HALF_WIDTH, low, a), (_HALF_WIDTH, low, a), (_HALF_WIDTH, high, b), (-_HALF_WIDTH, high, b)]
            self._add(corners, normal, paint, body + hot - heat.sky_chill * max(normal[1], 0.0), 0.22)
        for number, ((a, low), (b, high)) in enumerate(itertools.pairwise(_CABIN)):
            glass = number in (0, 3)
            normal = _across_normal(a, low, b, high)
            half_a, half_b = (_ROOF_HALF_WIDTH if h > 1.3 else _HALF_WIDTH - 0.08 for h in (low, high))
            corners = [(-half_a, low, a), (half_a, low, a), (half_b, high, b), (-half_b, high, b)]
            chill = heat.sky_chill * (0.5 + 0.5 * normal[1])
            self._add(corners, normal, paint, cabin - chill, 0.22)
            if glass:  # inside a frame of paint; the upper half mirrors more of the sky
                middle = np.mean(corners, axis=0)
                pane = middle + 0.86 * (np.asarray(corners) - middle)
                self._add(pane, normal, (0.02, 0.02, 0.018), cabin - chill - 2.0, 0.34)
                left, right = (3, 2) if low < high else (0, 1)
                halfway = [(pane[1] + pane[2]) / 2, (pane[0] + pane[3]) / 2]
                upper = np.stack([pane[left], pane[right], *halfway])
                self._add(upper, normal, (0.02, 0.02, 0.018), cabin - chill - 2.6, 0.5)
        for side in (-1.0, 1.0):
            self._flank(side, paint, body, cabin, air, warm, roll)
        self._ends(air, warm, lights)

    def _flank(
        self, side: float, paint: Colour, body: float, cabin: float, air: float, warm: float, roll: float
    ) -> None:
        dark = (paint[0] * 0.5, paint[1] * 0.5, paint[2] * 0.5)

        def piece(
            shape: tuple[tuple[float, float], ...], out: float, albedo: Colour, heat: float, gloss: float = 0.0
        ) -> None:
            points = [(side * (_HALF_WIDTH + out - 0.5 * max(y - 0.95, 0.0)), y, z) for z, y in shape]
            upright = out >= 0.0
            self._add(points, (side, 0.0, 0.0) if upright else (0.9 * side, 0.43, 0.0), albedo, heat, gloss)

        piece(_BODY, 0.0, paint, body, 0.08)
        piece(((-2.15, 0.62), (-2.1, 0.78), (2.0, 0.72), (2.08, 0.62)), 0.0, paint, body, 0.2)
        piece(((-2.12, 0.30), (-2.15, 0.46), (2.12, 0.44), (2.14, 0.30)), 0.0, dark, body + 1.0)
        piece(_BONNET, 0.0, paint, body + 8.0 * warm, 0.1)
        piece(_CABIN, -0.06, dark, cabin - 1.0)
        for pane in _PANES:
            piece(pane, -0.05, (0.03, 0.03, 0.028), cabin - 3.0, 0.25)
        for z in _DOORS:
            piece(((z, 0.42), (z, 0.93), (z + 0.02, 0.93), (z + 0.02, 0.42)), 0.0, dark, body)
        for z in _AXLES:
            piece(_circle(z, 0.33, 0.40), 0.0, (0.015, 0.015, 0.015), body + 2.0 * warm)
            piece(_circle(z, _WHEEL_RADIUS, _WHEEL_RADIUS), 0.01, (0.03, 0.03, 0.03), air + 1.0 + 11.0 * warm)
            piece(_circle(z, _WHEEL_RADIUS, 0.20), 0.02, (0.30, 0.30, 0.30), air + 2.0 + 15.0 * warm)
            for spoke in range(5):
                angle = -side * roll + spoke * 2 * np.pi / 5
                corners = ((0.06, 0.0), (0.18, 0.35), (0.18, -0.35))
                hole = tuple((z + r * np.cos(angle + d), _WHEEL_RADIUS + r * np.sin(angle + d)) for r, d in corners)
                piece(hole, 0.03, (0.04, 0.04, 0.04), air + 2.0 + 18.0 * warm)

    def _ends(self, air: float, warm: float, lights: bool) -> None:
        def plate(z: float, x: tuple[float, float], y: tuple[float, float], albedo: Colour, heat: float) -> None:
            corners = [(x[i], y[j], z) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
            self._add(corners, (0.0, 0.0, float(np.sign(z))), albedo, heat)

        plate(2.13, (-0.45, 0.45), (0.40, 0.60), (0.03, 0.03, 0.03), air + 3.0 + 20.0 * warm)
        plate(2.15, (-0.25, 0.25), (0.36, 0.46), (0.55, 0.55, 0.55), air + 2.0 + 6.0 * warm)
        plate(-2.17, (-0.25, 0.25), (0.52, 0.63), (0.50, 0.55, 0.55), air + 1.5)
        plate(-2.15, (-0.86, 0.86), (0.30, 0.44), (0.04, 0.04, 0.04), air + 1.5 + 6.0 * warm)
        plate(-2.19, (0.42, 0.60), (0.28, 0.37), (0.02, 0.02, 0.02), air + 2.0 + 75.0 * warm)  # exhaust
        glowing = 60.0 if lights else 1.0
        for side in (-1.0, 1.0):
            inner, outer = sorted((side * 0.50, side * 0.80))
            head, tail = (0.55 * glowing,) * 3, (0.04 * glowing, 0.03 * glowing, 0.28 * glowing)
            plate(2.12, (inner, outer), (0.57, 0.70), head, air + 3.0 + 9.0 * warm)
            plate(-2.17, (inner, outer), (0.70, 0.86), tail, air + 2.0 + 3.0 * warm)


def _across_normal(a: float, low: float, b: float, high: float) -> tuple[float, float, float]:
    """Outward normal of the strip between two points of a side outline."""
    length = float(np.hypot(b - a, high - low))
    return 0.0, (b - a) / length, (low - high) / length


def _circle(z: float, y: float, radius: float) -> tuple[tuple[float, float], ...]:
    angles = np.linspace(0.0, 2 * np.pi, 21)[:-1]
    return tuple((float(z + radius * np.cos(t)), float(y + radius * np.sin(t))) for t in angles)


class Car:
    """A car that can be drawn at any place, its wheels turned by the way it has gone."""

    FOOTPRINT = f32([(-0.84, 0, 2.05), (0.84, 0, 2.05), (0.84, 0, -2.05), (-0.84, 0, -2.05)])
    CORNERS = f32([(x, y, z) for x in (-1.0, 1.0) for y in (0.0, 1.55) for z in (-2.25, 2.25)])
    HEAD_LAMPS = f32([(-0.65, 0.64, 2.12), (0.65, 0.64, 2.12)])
    TAIL_LAMPS = f32([(-0.65, 0.78, -2.17), (0.65, 0.78, -2.17)])

    def __init__(self, paint: Colour, heat: CarHeat, *, lights: bool) -> None:
        step = 2 * np.pi / 5 / _ROLL_STEPS
        self._meshes = [
            CarMesh(paint, heat, lights=lights, roll=step * i) for i in range(_ROLL_STEPS if heat.engine else 1)
        ]
        self._step = step * _WHEEL_RADIUS

    def mesh(self, travelled: float) -> CarMesh:
        """Return the mesh with the wheels turned by ``travelled`` metres."""
        return self._meshes[int(travelled / self._step) % len(self._meshes)]


def side_outlines() -> list[Array]:
    """Return body and cabin outlines (N, 3) of both sides in the car's axes, for its shadow."""
    return [
        f32([(side * half, y, z) for z, y in shape])
        for shape, half in ((_BODY, _HALF_WIDTH), (_CABIN, _ROOF_HALF_WIDTH))
        for side in (-1.0, 1.0)
    ]


def draw_car(canvas: Canvas, mesh: CarMesh, position: Array, turn: Array, view: View, shade: Shade, sky: Array) -> None:
    """Draw the pieces that face the camera; ``sky`` is the displayed colour (3,) that glossy pieces mirror."""
    points = position + mesh.points @ turn
    normals = mesh.normals @ turn
    facing = ((view.position - (position + mesh.anchors @ turn)) * normals).sum(axis=1) > 0.0
    colours = shade(mesh.albedo, normals)
    mirrored = mesh.gloss * np.maximum(0.25, 0.5 + 0.5 * normals[:, 1])
    colours = colours + (sky - colours) * mirrored[:, None]
    for number, polygon in enumerate(np.split(points, mesh.splits)):
        if facing[number]:
            canvas.polygon(view.polygon(polygon), colours[number], mesh.temperature[number])
    rows, columns = canvas.coverage.shape
    height = np.linspace(1.10, 0.86, rows, dtype=np.float32)[:, None]  # the sky above, the road below
    canvas.texture(height * np.linspace(1.04, 0.96, columns, dtype=np.float32))
    canvas.soften(0.006 * view.focal / max(float(view.camera_points(position)[2]), 1.0))
