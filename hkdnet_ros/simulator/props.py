"""Things that stand in the street for good: trees, street lamps, parked cars, a bin. Painted once into the layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from .arrays import Array, f32
from .cars import Car, CarHeat, draw_car
from .geometry import View, axes
from .lighting import LAMP_SPOTS, Colour, Lighting
from .sprites import Canvas, limbs
from .stage import shade_at
from .street import Layers
from .textures import NoiseBank

BIN = (-4.7, 13.0)  # x, z of the bin; it burns where the setting has smoke


def stand(layers: Layers, canvas: Canvas, distance: float) -> None:
    """Lay a finished canvas of the layers' own resolution over them, and set the depth there."""
    canvas.hide_behind(layers.depth, distance)
    canvas.lay_over(layers.colour, layers.temperature)
    covered = canvas.coverage > 127
    layers.depth[canvas.window][covered] = distance
    layers.ground[canvas.window][covered] = False
    layers.sunlit[canvas.window] *= 1.0 - canvas.coverage / f32(255.0)


def bounds(points: Array, margin: float = 0.0) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom around image points (..., 2)."""
    flat = points.reshape(-1, 2)
    low, high = flat.min(axis=0) - margin, flat.max(axis=0) + margin
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def plant_tree(
    layers: Layers, view: View, light: Lighting, noise: NoiseBank, place: tuple[float, float], height: float, seed: int
) -> None:
    """Paint a tree: a forked trunk, and a crown of overlapping balls of leaves with ragged, lit edges."""
    rng = np.random.default_rng([seed, 23])
    base = f32([place[0], 0.0, place[1]])
    crown_middle = base + f32([0.0, 0.68 * height, 0.0])
    distance = float(view.camera_points(base)[2])
    size = (view.width, view.height)
    sun_right = float(np.clip(light.sun_direction[0], -1, 1))
    bark = light.display(
        f32([0.06, 0.075, 0.09]) * light.irradiance(f32([[0.4 * sun_right, 0.2, -0.8]]), base), distance
    )[0]
    fork = base + f32([0.0, 0.42 * height, 0.0])
    tips = [crown_middle + f32([dx, 0.05 * height, 0.0]) for dx in (-0.16 * height, 0.02, 0.15 * height)]
    starts = np.stack([base, fork, fork, fork])
    ends = np.stack([fork, *tips])
    pixels = view.image_points(view.camera_points(np.stack([starts, ends])))
    thickness = view.focal / distance * f32([0.020, 0.011, 0.012, 0.010]) * height
    outlines = limbs(pixels[0], pixels[1], thickness, thickness * 0.65)
    trunk = Canvas(bounds(outlines), size, 1)
    if not trunk.empty:
        for outline in outlines:
            trunk.polygon(outline, bark, light.air + 0.5)
        gain = noise.field("rough")[: trunk.coverage.shape[0] % 512 or 512, : trunk.coverage.shape[1] % 512 or 512]
        trunk.texture(1.0 + 0.25 * cv2.resize(gain, trunk.coverage.shape[::-1]))
        stand(layers, trunk, distance)

    # The crown is a height field in the plane through the trunk that faces the camera.
    middle = view.image_points(view.camera_points(crown_middle[None]))[0]
    metre = view.focal / distance
    reach = 0.42 * height
    crown = Canvas(bounds(np.stack([middle - reach * metre, middle + reach * metre])), size, 1)
    if crown.empty:
        return
    rows, columns = np.mgrid[crown.top : crown.bottom, crown.left : crown.right].astype(np.float32)
    x, y = (columns - middle[0]) / metre, (middle[1] - rows) / metre
    ragged = noise.sample("rough", x + seed * 1.7, y + seed, 2.6)
    leaves = noise.sample("fine", x, y + seed, 3.2)
    best = np.full(x.shape, -1.0, np.float32)
    light_on = np.zeros(x.shape, np.float32)
    for _ in range(34):
        angle, away = rng.uniform(0, 2 * np.pi), 0.27 * height * np.sqrt(rng.uniform())
        ball_x, ball_y = away * np.cos(angle), 0.85 * away * np.sin(angle)
        radius = height * rng.uniform(0.055, 0.125)
        dx, dy = (x - ball_x) / radius, (y - ball_y) / radius
        bulge = 1.0 - dx * dx - dy * dy + rng.uniform(0.0, 0.35)
        nearer = bulge > best
        best = np.where(nearer, bulge, best)
        lit = 0.42 + 0.30 * sun_right * dx + 0.36 * dy + 0.10 * (ball_y / (0.27 * height))
        light_on = np.where(nearer, lit, light_on)
    solid = np.clip((best + 0.30 * ragged + 0.14 * leaves - 0.12) * metre * 0.22, 0.0, 1.0)
    if solid.max() == 0.0:
        return
    normal = f32([[0.6 * sun_right, 0.75, -0.3]])
    glow = light.irradiance(normal, crown_middle[None])[0]
    tone = np.clip(light_on, 0.08, 1.2) * np.clip(1.0 + 0.32 * ragged + 0.34 * leaves, 0.15, 2.2)
    green = f32([0.045, 0.125, 0.075]) * (1 + 0.3 * rng.uniform(-1, 1, 3).astype(np.float32))
    colour = light.display(green * tone[..., None] * 1.35 * glow, distance)
    hidden = layers.depth[crown.window] < distance
    solid = np.where(hidden, 0.0, solid).astype(np.float32)
    window = crown.window
    layers.colour[window] += (colour - layers.colour[window]) * solid[..., None]
    heat = light.air - 0.8 + 0.5 * leaves + 1.2 * light.sun_heating / 7.0 * light_on
    layers.temperature[window] += (heat - layers.temperature[window]) * solid
    layers.depth[window][solid > 0.5] = distance
    layers.ground[window][solid > 0.5] = False
    layers.sunlit[window] *= 1.0 - solid


def put_lamp(layers: Layers, view: View, light: Lighting, spot: tuple[float, float, float]) -> None:
    """Paint a street lamp whose head hangs at ``spot``; at night it shines, with a halo."""
    x, y, z = spot
    foot = f32([x + np.sign(x) * 0.9, 0.0, z])
    top, head = f32([foot[0], y + 0.25, z]), f32([x, y + 0.12, z])
    starts = np.stack([foot, foot, top, head + f32([np.sign(x) * 0.3, 0, 0])])
    ends = np.stack([foot + f32([0, 1.0, 0]), top, head, head - f32([np.sign(x) * 0.15, 0.02, 0])])
    distance = float(view.camera_points(foot)[2])
    pixels = view.image_points(view.camera_points(np.stack([starts, ends])))
    scale = view.focal / distance
    outlines = limbs(
        pixels[0],
        pixels[1],
        scale * f32([0.10, 0.06, 0.035, 0.10]),
        scale * f32([0.08, 0.04, 0.035, 0.07]),
    )
    canvas = Canvas(bounds(outlines), (view.width, view.height), 1)
    if canvas.empty:
        return
    normals = f32([[-0.7, 0.2, -0.6]])
    steel = light.display(f32([0.13, 0.13, 0.12]) * light.irradiance(normals, f32([x, 1.5, z])), distance)[0]
    for outline in outlines:
        canvas.polygon(outline, steel, light.air - 1.0)
    lens = f32([0.0, 0.10 * scale]) + outlines[3].mean(axis=0)
    bulb = limbs(
        lens[None] - f32([0.12 * scale, 0]),
        lens[None] + f32([0.12 * scale, 0]),
        *[f32([0.05 * scale])] * 2,
    )
    shown = f32([215, 245, 255]) if light.night else light.display(f32([[0.5, 0.5, 0.5]]), distance)[0]
    canvas.polygon(bulb[0], shown, light.air + (28.0 if light.night else 0.0))
    stand(layers, canvas, distance)
    if light.night:
        rows, columns = np.mgrid[0 : view.height, 0 : view.width].astype(np.float32)
        away = np.hypot(columns - lens[0], rows - lens[1]) / scale
        halo = 105.0 * np.exp(-away / 0.35) + 16.0 / (1.0 + (away / 0.9) ** 2)
        layers.colour += halo[..., None] * f32([0.45, 0.80, 1.0])


def park_car(
    layers: Layers,
    view: View,
    light: Lighting,
    place: tuple[float, float],
    heading: float,
    paint: Colour,
    engine: float,
) -> None:
    """Paint a parked car; ``engine`` 0 is colder than the street, 1 just switched off."""
    position = f32([place[0], 0.0, place[1]])
    turn = axes(heading)
    distance = float(view.camera_points(position)[2])
    footprint = view.polygon(position + (Car.FOOTPRINT * f32([1.12, 1, 1.04])) @ turn)
    if len(footprint) < 3 or distance < 3.0:
        return
    mask = np.zeros((view.height, view.width), np.uint8)
    cv2.fillConvexPoly(mask, np.round(footprint * 16).astype(np.int32), 255.0, cv2.LINE_AA, 4)
    shadow = f32(cv2.GaussianBlur(mask, (0, 0), max(0.10 * view.focal / distance, 0.5))) * (layers.ground / f32(255))
    layers.colour *= (1.0 - 0.72 * shadow)[..., None]
    layers.temperature += shadow * (2.5 * engine - 1.5)
    heat = CarHeat(light.air, 0.10 * (light.air - light.sky_temperature[0]), engine)
    mesh = Car(paint, heat, lights=False).mesh(0.0)
    corners = view.image_points(view.camera_points(position + Car.CORNERS @ turn))
    canvas = Canvas(bounds(corners), (view.width, view.height), 1)
    if canvas.empty:
        return
    sunlit = 1.0 if place[0] < 0 else 0.3
    shade = shade_at(light, view, position + f32([0, 0.8, 0]), sunlit)
    sky = light.display(f32(light.zenith), 0.0)
    draw_car(canvas, mesh, position, turn, view, shade, sky)
    stand(layers, canvas, distance)


def put_bin(layers: Layers, view: View, light: Lighting, burning: bool) -> None:
    """Paint a steel drum; burning, its rim glows and the wall is hot."""
    x, z = BIN
    base = f32([x, 0.0, z])
    distance = float(view.camera_points(base)[2])
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    ring = np.stack([0.3 * np.cos(angles), np.zeros_like(angles), 0.3 * np.sin(angles)], axis=1).astype(np.float32)
    corners = view.image_points(view.camera_points(np.stack([base + ring, base + ring + f32([0, 0.95, 0])])))
    canvas = Canvas(bounds(corners), (view.width, view.height), 1)
    if canvas.empty:
        return
    hull = f32(cv2.convexHull(corners.reshape(-1, 1, 2)).reshape(-1, 2))
    normals = f32([[-0.5, 0.2, -0.8], [0.0, 1.0, 0.0]])
    steel = light.display(f32([0.07, 0.10, 0.08]) * light.irradiance(normals, base), distance)
    canvas.polygon(hull, steel[0], light.air + (45.0 if burning else -0.5))
    for height in (0.32, 0.63):
        band = view.image_points(view.camera_points(base + ring * 1.02 + f32([0, height, 0])))
        front = band[np.argsort(band[:, 1])[-10:]]
        front = front[np.argsort(front[:, 0])]
        strip = np.concatenate([front, front[::-1] - f32([0, 0.03 * view.focal / distance])])
        canvas.polygon(strip, steel[0] * 1.25, light.air + (50.0 if burning else -0.5), convex=False)
    inside = f32([60, 150, 245]) if burning else steel[1] * 0.4
    canvas.polygon(corners[1], inside, light.air + (110.0 if burning else 0.0))
    canvas.soften(0.02 * view.focal / distance)
    stand(layers, canvas, distance)


def furnish(layers: Layers, view: View, light: Lighting, noise: NoiseBank, seed: int, burning: bool) -> None:
    """Put everything that stands in the street into the layers, far to near."""
    rng = np.random.default_rng([seed, 31])
    paints: list[Colour] = [
        (0.30, 0.30, 0.30),
        (0.05, 0.05, 0.28),
        (0.26, 0.12, 0.05),
        (0.04, 0.04, 0.04),
        (0.50, 0.50, 0.50),
    ]
    order = rng.permutation(len(paints))
    items: list[tuple[float, Callable[[], None]]] = []
    for number, z in enumerate((19.0, 24.6, 36.0, 47.0)):
        side = 4.35 if number % 2 == 0 else -4.35
        spot = side, z + float(rng.uniform(-0.7, 0.7))
        engine = (0.0, 0.75, 0.0, 0.4)[number]
        heading = 0.0 if side > 0 else np.pi
        items.append((z, partial(park_car, layers, view, light, spot, heading, paints[order[number]], engine)))
    for lamp in LAMP_SPOTS:
        items.append((lamp[2], partial(put_lamp, layers, view, light, lamp)))
    for number, place in enumerate(((9.6, 12.5), (10.4, 17.0), (9.4, 22.0), (-5.6, 31.0), (-5.6, 52.0), (5.7, 40.0))):
        height = float(rng.uniform(5.2, 7.0)) if number < 3 else float(rng.uniform(4.2, 5.5))
        items.append((place[1], partial(plant_tree, layers, view, light, noise, place, height, seed * 7 + number)))
    items.append((BIN[1], partial(put_bin, layers, view, light, burning)))
    for _, paint in sorted(items, key=lambda item: -item[0]):
        paint()
