"""What moves in the scene: the ways of pedestrians and cars, and how each appears with its shadow and its lights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .arrays import Array, f32
from .cars import Car, CarHeat, draw_car, side_outlines
from .geometry import axes
from .lighting import Colour, Lighting
from .people import Body, draw_person, make_person, pose
from .sprites import Canvas, limbs
from .stage import Actor, Stage
from .street import CROSSING

CYCLE = 16.0  # seconds after which the crossing repeats itself: first cars, then pedestrians
_COMES_INTO_BEING = (96.0, 110.0)  # metres between which a car fades in or out


@dataclass(frozen=True, slots=True)
class Walk:
    """To and fro between two places (x, z) at ``speed`` m/s, with a rest of ``wait`` seconds at either end."""

    start: tuple[float, float]
    end: tuple[float, float]
    speed: float
    wait: float
    offset: float  # seconds by which it is ahead

    def at(self, time: float) -> tuple[Array, float, float, float]:
        """Return (position (3,), heading, distance gone in metres, vigour of the stride in [0, 1])."""
        (x0, z0), (x1, z1) = self.start, self.end
        length = float(np.hypot(x1 - x0, z1 - z0))
        there = length / self.speed
        leg = there + self.wait
        lap, within = divmod(time + self.offset, leg)
        back = lap % 2
        gone = min(within, there) * self.speed
        share = gone / length
        share = 1.0 - share if back else share
        turned = np.clip((within - leg + 1.0) / 1.0, 0.0, 1.0) if self.wait > 0 else 0.0
        turned = turned * turned * (3.0 - 2.0 * turned)
        heading = float(np.arctan2(x1 - x0, z1 - z0) + np.pi * (back + turned))
        vigour = float(np.clip(min(within, there - within) / 0.35, 0.0, 1.0))
        position = f32([x0 + (x1 - x0) * share, 0.0, z0 + (z1 - z0) * share])
        return position, heading, gone, vigour


class Walker:
    """A pedestrian on a walk."""

    def __init__(self, walk: Walk, rng: np.random.Generator) -> None:
        self._walk = walk
        self._person = make_person(rng)
        self._stride = float(rng.uniform(1.3, 1.5)) * self._person.height / 1.75
        self._position: Array = np.zeros(3, np.float32)
        self._body: Body | None = None
        self._depth = 0.0

    def arrange(self, time: float, stage: Stage) -> float:
        """See :class:`Actor`."""
        self._position, heading, gone, vigour = self._walk.at(time)
        phase = 2 * np.pi * gone / self._stride
        self._body = pose(self._person, self._position, heading, phase, vigour, stage.light.air)
        self._depth = float(stage.view.camera_points(self._position)[2])
        return self._depth

    def shade_ground(self, stage: Stage) -> None:
        """See :class:`Actor`."""
        body = self._body
        if body is None or self._depth < 1.5:
            return
        angles = np.linspace(0, 2 * np.pi, 13)[:-1]
        ring = np.stack([0.30 * np.cos(angles), 0 * angles, 0.30 * np.sin(angles)], axis=1).astype(np.float32)
        contact = stage.ground_mask(self._position + ring[None], 0.07 * stage.view.focal / self._depth)
        if contact is not None:
            window, mask = contact
            stage.colour[window] = stage.colour[window] * (1.0 - 0.4 * mask)[..., None]
        if max(stage.light.sun) == 0.0:
            return
        sun = f32(stage.light.sun_direction)
        starts, ends = (points - sun * (points[:, 1:2] / sun[1]) for points in (body.starts, body.ends))
        outlines = limbs(starts[:, [0, 2]], ends[:, [0, 2]], body.radii[:, 0], body.radii[:, 1])
        _cast_shadow(stage, np.insert(outlines, 1, 0.0, axis=2), 0.04 * stage.view.focal / self._depth)

    def draw(self, stage: Stage) -> None:
        """See :class:`Actor`."""
        view = stage.view.scaled(stage.oversampling)
        body = self._body
        if body is None or self._depth < 1.5:
            return
        points = view.camera_points(np.concatenate([body.starts, body.ends]))
        pixels = view.image_points(points)
        margin = 0.2 * view.focal / self._depth
        low, high = pixels.min(axis=0) - margin, pixels.max(axis=0) + margin
        canvas = Canvas((low[0], low[1], high[0], high[1]), stage.size, stage.oversampling)
        if canvas.empty:
            return
        chest = self._position + f32([0.0, 1.1, 0.0])
        shade = stage.shade_at(chest, stage.sun_at(self._position))
        draw_person(canvas, body, view, shade, float(np.clip(stage.light.sun_direction[0] + 0.2, -1.0, 1.0)))
        canvas.hide_behind(stage.fine_depth, self._depth - 0.3)
        canvas.lay_over(stage.colour, stage.temperature)


class Driver:
    """A car that comes down the street once a cycle, towards the camera or away from it."""

    def __init__(self, lane: float, towards: bool, speed: float, ahead: float, paint: Colour, light: Lighting) -> None:
        self._lane, self._towards, self._speed, self._ahead = lane, towards, speed, ahead
        chill = 0.10 * (light.air - light.sky_temperature[0])
        self._car = Car(paint, CarHeat(light.air, chill, 1.0), lights=light.night)
        self._turn = axes(np.pi if towards else 0.0)
        self._outlines = side_outlines()
        self._position = np.zeros(3, np.float32)
        self._travelled = 0.0
        self._depth = 0.0

    def arrange(self, time: float, stage: Stage) -> float:
        """See :class:`Actor`."""
        run = self._speed * ((time + self._ahead) % CYCLE)
        self._travelled = run
        z = _COMES_INTO_BEING[1] - run if self._towards else run - 8.0
        self._position = f32([self._lane, 0.0, z])
        self._depth = float(stage.view.camera_points(self._position)[2])
        return self._depth

    @property
    def _opacity(self) -> float:
        near, far = _COMES_INTO_BEING
        return float(np.clip((far - self._depth) / (far - near), 0.0, 1.0))

    @property
    def _hidden(self) -> bool:
        return self._depth < -2.0 or self._opacity == 0.0

    def _world(self, points: Array) -> Array:
        return np.asarray(self._position + points @ self._turn, np.float32)

    def shade_ground(self, stage: Stage) -> None:
        """See :class:`Actor`."""
        if self._hidden:
            return
        depth = max(self._depth, 2.0)
        contact = stage.ground_mask([self._world(Car.FOOTPRINT * 1.05)], 0.12 * stage.view.focal / depth)
        if contact is not None:
            window, mask = contact
            stage.colour[window] = stage.colour[window] * (1.0 - 0.7 * self._opacity * mask)[..., None]
            stage.temperature[window] += 3.5 * self._opacity * mask
        if max(stage.light.sun) > 0.0:
            sun = f32(stage.light.sun_direction)
            polygons = []
            for outline in (np.concatenate(self._outlines[:2]), np.concatenate(self._outlines[2:])):
                points = self._world(outline)
                flat = (points - sun * (points[:, 1:2] / sun[1]))[:, [0, 2]]
                hull = f32(cv2.convexHull(np.ascontiguousarray(flat[:, None])).reshape(-1, 2))
                polygons.append(np.insert(hull, 1, 0.0, axis=1))
            _cast_shadow(stage, polygons, 0.05 * stage.view.focal / depth)
        if stage.light.night:
            beam = f32([(-0.7, 0, 2.6), (0.7, 0, 2.6), (2.6, 0, 15.0), (-2.0, 0, 15.0)])
            for scale, strength in ((1.0, 0.35), (0.55, 0.4)):
                fall = beam * f32([0.6 + 0.4 * scale, 1.0, scale])
                lit = stage.ground_mask([self._world(fall)], 0.45 * stage.view.focal / depth)
                if lit is not None:
                    window, mask = lit
                    under = stage.colour[window].astype(np.float32)
                    gain = (strength * self._opacity * mask)[..., None]
                    stage.colour[window] = under + np.maximum(stage.flood[window] - under, 0.0) * gain

    def draw(self, stage: Stage) -> None:
        """See :class:`Actor`."""
        if self._hidden:
            return
        view = stage.view.scaled(stage.oversampling)
        corners = self._world(Car.CORNERS)
        camera = view.camera_points(corners)
        if float(camera[:, 2].max()) < 1.0:
            return
        camera[:, 2] = np.maximum(camera[:, 2], 0.4)
        pixels = view.image_points(camera)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        canvas = Canvas((low[0], low[1], high[0], high[1]), stage.size, stage.oversampling)
        if canvas.empty:
            return
        shade = stage.shade_at(self._position + f32([0.0, 0.8, 0.0]), stage.sun_at(self._position))
        sky = stage.light.display(f32(stage.light.zenith), 0.0)
        draw_car(canvas, self._car.mesh(self._travelled), self._position, self._turn, view, shade, sky)
        canvas.hide_behind(stage.fine_depth, self._depth - 2.0)
        canvas.lay_over(stage.colour, stage.temperature, self._opacity)
        if stage.light.night:
            ahead = self._turn[2]
            towards = stage.view.position - self._position
            facing = float(towards @ ahead) / max(float(np.linalg.norm(towards)), 1e-3)
            lamps, colour, radius = (
                (Car.HEAD_LAMPS, (225.0, 245.0, 255.0), 1.5)
                if facing > 0
                else (Car.TAIL_LAMPS, (30.0, 40.0, 230.0), 0.6)
            )
            strength = self._opacity * abs(facing) ** 2
            for lamp in self._world(lamps):
                stage.glow(lamp, radius, (colour[0] * strength, colour[1] * strength, colour[2] * strength))


def _cast_shadow(stage: Stage, polygons: Sequence[Array] | Array, blur: float) -> None:
    cast = stage.ground_mask(polygons, blur)
    if cast is not None:
        window, mask = cast
        stage.colour[window] = stage.colour[window] * (1.0 - 0.45 * mask * stage.sunlit[window])[..., None]


def make_actors(seed: int, people: int, cars: int, light: Lighting) -> list[Actor]:
    """Cast the scene: pedestrians at the crossing and on the pavements, cars both ways."""
    rng = np.random.default_rng([seed, 53])
    actors: list[Actor] = []
    near, far = CROSSING
    ways = ("cross", "cross", "left", "right", "left", "right")
    for number in range(people):
        way = ways[number % len(ways)]
        speed = float(rng.uniform(1.25, 1.55))
        if way == "cross":
            side = 1.0 if number % 2 else -1.0
            z = near + (far - near) * (0.25 + 0.5 * (number % 2)) + float(rng.uniform(-0.3, 0.3))
            start, end = (5.3 * side, z), (-5.3 * side, z + float(rng.uniform(-0.2, 0.2)))
            rest = CYCLE - float(np.hypot(end[0] - start[0], end[1] - start[1])) / speed
            walk = Walk(start, end, speed, rest, offset=-4.5 - 0.6 * (number % 3))
        else:
            side = -1.0 if way == "left" else 1.0
            x = side * float(rng.uniform(5.5, 6.4))
            begin, length = float(rng.uniform(6.5, 16.0)), float(rng.uniform(14.0, 30.0))
            walk = Walk((x, begin), (x, begin + length), speed, 1.6, offset=float(rng.uniform(0.0, 40.0)))
        actors.append(Walker(walk, rng))
    paints: list[Colour] = [(0.06, 0.07, 0.36), (0.42, 0.42, 0.42), (0.30, 0.16, 0.06), (0.05, 0.05, 0.05)]
    shift = int(rng.integers(len(paints)))
    for number in range(cars):
        towards = number % 2 == 0
        speed = 9.0
        passes = 1.2 + 1.6 * (number // 2)  # when it is at the crossing, in seconds of the cycle
        way_there = (_COMES_INTO_BEING[1] - 9.0 if towards else 17.0) / speed
        paint = paints[(number + shift) % len(paints)]
        actors.append(Driver(-1.75 if towards else 1.9, towards, speed, way_there - passes, paint, light))
    return actors
