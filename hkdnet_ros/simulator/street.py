"""The standing part of the scene: road, pavements, facades and sky, found by casting a ray through every pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .arrays import Array, f32
from .geometry import Box, View, hit_box
from .lighting import SETTINGS_LIGHT, Lighting
from .textures import NoiseBank, band, cell_hash, mix, stripes

ROAD = 4.0  # half width in metres
PAVEMENT = 7.0  # where the facades begin
KERB = 0.25
CROSSING = (7.2, 10.0)  # where the zebra crossing lies along the street
FAR = 1000.0  # depth of the sky


@dataclass(frozen=True, slots=True)
class Facade:
    """How one building looks. ``bay`` and ``storey`` are the window grid in metres."""

    box: Box
    albedo: tuple[float, float, float]
    brick: bool
    bay: float
    storey: float
    salt: float
    plain: bool = False  # a wall without windows


@dataclass(slots=True)
class Layers:
    """The picture under construction, all at one resolution: what a visible and a thermal eye see, and how far."""

    colour: Array  # (H, W, 3) displayed blue, green, red in [0, 255]
    temperature: Array  # (H, W) deg C
    depth: Array  # (H, W) metres along the optical axis
    sunlit: Array  # (H, W) share of the sun that reaches the ground there; 0 where it is not ground
    ground: NDArray[np.bool_]  # (H, W)


_PAINTS = (
    (0.34, 0.42, 0.50), (0.16, 0.20, 0.36), (0.50, 0.56, 0.60), (0.30, 0.44, 0.56), (0.40, 0.42, 0.40),
    (0.22, 0.30, 0.42), (0.48, 0.52, 0.50),
)  # fmt: skip


def build_facades(seed: int) -> list[Facade]:
    """Line the street: a row of buildings on the left, a garden wall and a row on the right, a block at the end."""
    rng = np.random.default_rng([seed, 11])
    facades: list[Facade] = []
    paints = rng.permutation(len(_PAINTS))

    def row(side: int, start: float) -> None:
        z = start
        while z < 105.0:
            length = float(rng.uniform(11.0, 19.0))
            setback = float(rng.uniform(0.0, 0.5))
            height = float(rng.uniform(6.5, 14.5))
            low_x, high_x = (PAVEMENT + setback, 24.0) if side > 0 else (-24.0, -PAVEMENT - setback)
            index = len(facades)
            facades.append(
                Facade(
                    Box((low_x, 0.0, z), (high_x, height, z + length)),
                    _PAINTS[paints[index % len(_PAINTS)]],
                    brick=bool(paints[index % len(_PAINTS)] in (1, 5)),
                    bay=float(rng.uniform(2.1, 3.0)),
                    storey=float(rng.uniform(2.9, 3.3)),
                    salt=float(rng.uniform(0, 50)),
                )
            )
            z += length + (float(rng.uniform(2.5, 4.5)) if rng.random() < 0.3 else 0.0)

    row(-1, 3.0)
    facades.append(
        Facade(Box((7.0, 0.0, -2.0), (7.35, 1.5, 24.0)), (0.24, 0.30, 0.38), True, 3.0, 3.0, 1.0, plain=True)
    )
    row(1, 24.0)
    facades.append(Facade(Box((-60.0, 0.0, 118.0), (60.0, 9.0, 130.0)), (0.40, 0.42, 0.45), False, 2.6, 3.1, 7.0))
    return facades


def cast_street(view: View, light: Lighting, noise: NoiseBank, facades: list[Facade]) -> Layers:
    """Render ground, facades and sky of ``view`` without anything that stands or moves on the street."""
    rays = view.rays()
    origin = view.position
    hit = np.full(rays.shape[:2], -2, np.int8)  # -2 sky, -1 ground, else the facade
    depth = np.full(rays.shape[:2], np.inf, np.float32)
    axis = np.zeros(rays.shape[:2], np.int8)
    downwards = rays[..., 1] < -1e-4
    depth[downwards] = -origin[1] / rays[..., 1][downwards]
    hit[downwards] = -1
    for number, facade in enumerate(facades):
        distance, face = hit_box(origin, rays, facade.box)
        nearer = distance < depth
        depth[nearer], hit[nearer], axis[nearer] = distance[nearer], number, face[nearer]
    hit[depth > 400.0] = -2
    sunlit = _sunlight(view, light, facades, rays, depth)

    height, width = view.height, view.width
    layers = Layers(
        np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32),
        np.where(hit == -2, f32(FAR), depth), np.zeros((height, width), np.float32), hit == -1,
    )  # fmt: skip
    _paint_sky(layers, hit == -2, rays, light, noise)
    _paint_ground(layers, view, light, noise, rays, depth, sunlit)
    for number, facade in enumerate(facades):
        mask = hit == number
        if mask.any():
            _paint_facade(layers, mask, facade, view, light, noise, rays[mask], depth[mask], axis[mask], sunlit[mask])
    return layers


def flood_ground(layers: Layers, view: View, noise: NoiseBank) -> Array:
    """Return the colour image (H, W, 3) with its ground as headlights would show it."""
    beam = replace(
        SETTINGS_LIGHT["day"], sky=(0.50, 0.58, 0.62), ground=(0.0,) * 3, sun=(0.0,) * 3, horizon=(0.0,) * 3, lamps=()
    )
    flooded = Layers(layers.colour.copy(), layers.temperature.copy(), layers.depth, layers.sunlit, layers.ground)
    rays = view.rays()
    _paint_ground(flooded, view, beam, noise, rays, layers.depth, np.zeros_like(layers.depth))
    return flooded.colour


def _sunlight(view: View, light: Lighting, facades: list[Facade], rays: Array, depth: Array) -> Array:
    """Return the share of the sun at every hit; cast on every second pixel and blurred, as the sun is not a point."""
    if max(light.sun) == 0.0:
        return np.zeros(depth.shape, np.float32)
    coarse = np.minimum(depth[::2, ::2], 400.0)
    points = view.position + rays[::2, ::2] * (coarse[..., None] * f32(0.999))
    lit = np.ones(coarse.shape, np.float32)
    for facade in facades:
        lit[np.isfinite(hit_box(points, f32(light.sun_direction), facade.box)[0])] = 0.0
    soft = cv2.GaussianBlur(lit, (0, 0), 1.2)
    return f32(cv2.resize(soft, depth.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _paint_sky(layers: Layers, mask: NDArray[np.bool_], rays: Array, light: Lighting, noise: NoiseBank) -> None:
    rays = rays[mask] / np.linalg.norm(rays[mask], axis=-1, keepdims=True)
    up = np.clip(rays[:, 1], 0.0, 1.0)
    colour = mix(np.broadcast_to(f32(light.horizon), rays.shape), light.zenith, np.clip(up * 2.4, 0, 1) ** 0.8)
    plane = rays[:, [0, 2]] / (up[:, None] + 0.12)
    cover = noise.sample("cloud", plane[:, 0], plane[:, 1], 9.0)
    cover = cover + 0.25 * noise.sample("rough", plane[:, 0], plane[:, 1], 3.0)
    cover = np.clip(cover * 0.55 + 0.15, 0.0, 1.0) * np.clip(up * 6.0, 0.0, 1.0)
    colour = mix(colour, light.cloud, cover)
    zenith, horizon = light.sky_temperature
    temperature = horizon + (zenith - horizon) * np.clip(up * 2.0, 0, 1) ** 0.7 + 8.0 * cover
    # A wooded ridge closes the street's far end.
    bearing = np.arctan2(rays[:, 0], rays[:, 2])
    ridge = 0.045 + 0.010 * noise.sample("cloud", bearing * 40.0, bearing * 0.0, 60.0)
    ridge += 0.0035 * noise.sample("rough", bearing * 40.0, bearing * 0.0 + 3.0, 12.0)
    wooded = np.clip((ridge - rays[:, 1]) * 500.0, 0.0, 1.0)
    leaves = 1.0 + 0.25 * noise.sample("rough", bearing * 40.0, rays[:, 1] * 60.0, 8.0)
    normal = np.broadcast_to(f32([0.0, 0.7, -0.7]), rays.shape)
    woods = f32([0.10, 0.17, 0.12]) * leaves[:, None] * light.irradiance(normal, rays * 300.0)
    shown = mix(light.display(colour, 0.0), light.display(woods, 240.0), wooded)
    layers.colour[mask] = shown
    layers.temperature[mask] = mix(temperature, light.air - 1.5, wooded)


def _paint_ground(
    layers: Layers, view: View, light: Lighting, noise: NoiseBank, rays: Array, depth: Array, sunlit: Array
) -> None:
    mask = layers.ground
    depth, sunlit = depth[mask], sunlit[mask]
    point = view.position + rays[mask] * depth[:, None]
    x, z = point[:, 0], point[:, 2]
    across = depth / view.focal  # footprint of a pixel in metres, across and along the street
    along = depth * depth / (view.focal * view.position[1])
    fade = np.clip(1.5 - along / 0.12, 0.0, 1.0)

    grain = noise.sample("fine", x, z, 5.0) * fade
    blotch = noise.sample("rough", x, z, 21.0)
    wear = noise.sample("cloud", x, z, (30.0, 80.0))
    ruts = np.exp(-(((np.abs(x) - 2.0) % 1.55 - 0.75) ** 2) / 0.06)
    asphalt = 0.105 * (1 + 0.20 * grain + 0.10 * blotch + 0.10 * wear) - 0.008 * ruts
    tone = f32([1.03, 1.0, 0.98])
    albedo: Array = asphalt[:, None] * tone
    heat: Array = light.asphalt + 0.5 * blotch + 0.5 * wear + 0.7 * ruts

    crack = np.abs(noise.sample("cloud", x, z, 13.0) + 0.22 * noise.sample("rough", x, z, 6.0))
    crack = np.clip(1.0 - crack / 0.035, 0.0, 1.0) * (blotch > 0.1) * fade
    patch = _smooth_box(x, z, (-3.2, -0.9), (12.5, 16.0), across, along)
    patch = np.maximum(patch, _smooth_box(x, z, (0.6, 3.3), (25.0, 33.0), across, along))
    albedo = mix(mix(albedo, 0.05, 0.7 * crack), f32(0.062) * (1 + 0.25 * grain)[:, None] * tone, 0.85 * patch)
    heat = heat + 1.0 * crack + 1.4 * patch

    # Markings: zebra crossing, stop line, dashes in the middle, lines at the sides; worn where the texture says so.
    beyond = np.clip((z - CROSSING[1] - 1.6) / 0.05, 0.0, 1.0)
    paint = stripes(x - 0.5, 1.0, 0.5, across) * band(z - sum(CROSSING) / 2, (CROSSING[1] - CROSSING[0]) / 2, along)
    paint = np.maximum(paint, band(x, 0.07, across) * stripes(z, 6.0, 3.0, along) * beyond)
    paint = np.maximum(paint, band(np.abs(x) - 3.65, 0.06, across) * beyond)
    paint = np.maximum(paint, band(z - CROSSING[1] - 1.2, 0.18, along) * (x > -3.6) * (x < 0.0))
    paint *= (np.abs(x) < ROAD - 0.1) * np.clip(0.9 + 0.25 * blotch + 0.2 * grain, 0.25, 1.0)
    albedo = mix(albedo, (0.62, 0.66, 0.67), paint)
    heat = heat - 1.3 * paint

    # Manholes and a drain.
    for centre_x, centre_z in ((-1.6, 6.2), (1.9, 19.0), (-2.2, 34.0)):
        radius = np.hypot(x - centre_x, z - centre_z)
        lid = np.clip((0.36 - radius) / along + 0.5, 0.0, 1.0)
        bars = 0.6 + 0.4 * stripes(x + z, 0.12, 0.06, along)
        albedo = mix(albedo, 0.055 * bars[:, None], lid)
        heat = mix(heat, light.asphalt + 2.2, lid)

    # Pavements: slabs with joints behind a kerb; a strip of dirt and grass at the foot of the walls.
    kerb = np.clip((np.abs(x) - ROAD) / across, 0.0, 1.0)
    slab = cell_hash(np.floor(x / 0.6), np.floor(z / 0.9), 3.0)
    joints = np.maximum(stripes(x, 0.6, 0.03, across), stripes(z, 0.9, 0.03, along))
    stone = 0.25 * (1 + 0.14 * (slab - 0.5) + 0.10 * grain + 0.09 * blotch) * (1 - 0.45 * joints)
    paving: Array = stone[:, None] * f32([0.93, 1.0, 1.04])
    kerbstone = band(np.abs(x) - ROAD - KERB / 2, KERB / 2, across)
    kerbstone_joint = stripes(z, 1.0, 0.03, along)
    paving = mix(paving, 0.36 * (1 + 0.1 * blotch - 0.4 * kerbstone_joint)[:, None], kerbstone)
    gutter = band(np.abs(x) - ROAD + 0.12, 0.14, across)
    albedo = mix(albedo, albedo * 0.62, gutter)
    albedo = mix(albedo, paving, kerb)
    heat = mix(heat, light.asphalt - 1.8 + 0.4 * blotch + 0.5 * (slab - 0.5) - 0.6 * joints, kerb)
    heat = heat + 0.8 * kerbstone
    outside = np.clip((np.abs(x) - 6.75 + 0.12 * blotch) / 0.12, 0.0, 1.0)
    grass = f32([0.05, 0.12, 0.09]) * (1 + 0.45 * grain + 0.2 * blotch)[:, None]
    albedo = mix(albedo, grass, outside)
    heat = mix(heat, light.air + 0.4 * grain, outside)

    normal = np.broadcast_to(f32([0.0, 1.0, 0.0]), point.shape)
    shade = np.clip(0.55 + 0.45 * (PAVEMENT - np.abs(x)) / 2.0, 0.55, 1.0)  # the sky is half hidden near a wall
    radiance = np.clip(albedo, 0.01, 0.9) * light.irradiance(normal, point, sunlit) * shade[:, None]
    layers.colour[mask] = light.display(radiance, depth)
    layers.temperature[mask] = heat + light.sun_heating * (sunlit * light.sun_direction[1] - 0.2 * (1 - sunlit))
    layers.sunlit[mask] = sunlit


def _smooth_box(
    x: Array, z: Array, in_x: tuple[float, float], in_z: tuple[float, float], fx: Array, fz: Array
) -> Array:
    inside = band(x - sum(in_x) / 2, (in_x[1] - in_x[0]) / 2, fx)
    return inside * band(z - sum(in_z) / 2, (in_z[1] - in_z[0]) / 2, fz)


def _paint_facade(
    layers: Layers, mask: NDArray[np.bool_], facade: Facade, view: View, light: Lighting, noise: NoiseBank,
    rays: Array, depth: Array, axis: NDArray[np.int8], sunlit: Array,
) -> None:  # fmt: skip
    point = view.position + rays * depth[:, None]
    sideways = axis == 0
    u = np.where(sideways, point[:, 2] - facade.box.low[2], point[:, 0] - facade.box.low[0])
    v = point[:, 1]
    foot_v = depth / view.focal
    normal = np.zeros_like(point)
    normal[np.arange(len(axis)), axis] = -np.sign(np.take_along_axis(rays, axis[:, None].astype(np.intp), 1)[:, 0])
    length = np.linalg.norm(rays, axis=-1)
    slant = np.abs((rays * normal).sum(axis=-1)) / length
    foot_u = foot_v / np.maximum(slant, 0.05)
    fade = np.clip(1.4 - foot_u / 0.1, 0.0, 1.0)

    blotch = noise.sample("rough", u + 7 * facade.salt, v, 12.0)
    streak = noise.sample("rough", u + 3 * facade.salt, v, (9.0, 60.0))
    grain = noise.sample("fine", u, v, 4.0) * fade
    wall = f32(facade.albedo) * (1 + 0.07 * blotch + 0.08 * streak + 0.07 * grain)[:, None]
    heat = light.wall + 0.35 * blotch + 0.3 * streak
    if facade.brick:
        course = np.floor(v / 0.16)
        stone = cell_hash(np.floor(u / 0.5 + 0.5 * (course % 2)), course, facade.salt)
        mortar = np.maximum(stripes(v, 0.16, 0.025, foot_v), stripes(u + 0.25 * (course % 2), 0.5, 0.03, foot_u))
        wall = wall * (1 + 0.35 * (stone - 0.5) * fade)[:, None]
        wall = mix(wall, (0.36, 0.38, 0.40), 0.6 * mortar)
    emission = np.zeros_like(wall)
    top = facade.box.high[1]
    if facade.plain:
        coping = band(v - top, 0.12, foot_v)
        wall = mix(wall, (0.42, 0.45, 0.46), coping)
        heat = heat - 0.8 * coping
    else:
        wall, heat, emission = _windows(facade, wall, heat, u, v, foot_u, foot_v, light, rays, normal)
    # Dirt and splash at the foot, a cornice with its shadow at the top.
    cornice = band(v - top + 0.2, 0.2, foot_v)
    under = band(v - top + 0.6, 0.22, foot_v)
    wall = mix(mix(wall, wall * 1.25, cornice), wall * 0.7, under) if not facade.plain else wall
    occlusion = np.clip(0.62 + 0.38 * v / 1.6, 0.0, 1.0)

    radiance = np.clip(wall, 0.01, 0.9) * light.irradiance(normal, point, sunlit) * occlusion[:, None] + emission
    layers.colour[mask] = light.display(radiance, depth * length)
    facing = np.clip(normal @ f32(light.sun_direction), 0.0, 1.0) * sunlit
    layers.temperature[mask] = heat + light.sun_heating * facing + 1.0 * np.exp(-v / 0.8)


def _windows(
    facade: Facade, wall: Array, heat: Array, u: Array, v: Array, foot_u: Array, foot_v: Array, light: Lighting,
    rays: Array, normal: Array,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Lay the window grid over a wall: (albedo, temperature, emission) with panes, frames, sills, doors and blinds."""
    base = 3.3  # the ground floor is higher
    column = np.floor(u / facade.bay)
    storey = np.floor((v - base) / facade.storey)
    across = u - (column + 0.5) * facade.bay
    upwards = v - base - (storey + 0.52) * facade.storey
    chance = cell_hash(column, storey, facade.salt)
    other = cell_hash(column, storey, facade.salt + 5.0)
    door = chance > 0.62
    on_ground = storey < 0
    half_width = np.where(on_ground, np.where(door, 0.55, 0.38 * facade.bay), 0.27 * facade.bay).astype(np.float32)
    half_height = np.where(on_ground, np.where(door, 1.15, 0.85), 0.29 * facade.storey).astype(np.float32)
    upwards = np.where(on_ground, v - np.where(door, 1.15, 1.55), upwards).astype(np.float32)
    fits = (v < facade.box.high[1] - 0.7) & (base + (storey + 1) * facade.storey < facade.box.high[1] + 0.3)
    outer = band(across, half_width + 0.09, foot_u) * band(upwards, half_height + 0.09, foot_v) * fits
    pane = band(across, half_width, foot_u) * band(upwards, half_height, foot_v) * fits
    bars = np.maximum(band(across, 0.035, foot_u), band(upwards - 0.35 * half_height, 0.03, foot_v)) * pane
    sill = (
        band(across, half_width + 0.16, foot_u) * band(upwards + half_height + 0.12, 0.06, foot_v) * fits * ~on_ground
    )
    slab = band(v - base - np.round((v - base) / facade.storey) * facade.storey, 0.09, foot_v) * (v > base - 0.5)
    awning = band(v - base + 0.25, 0.22, foot_v) * (cell_hash(column * 0, column * 0, facade.salt) > 0.35)

    # Glass mirrors the sky above the other side of the street, dark below; blinds are pale.
    mirrored = np.clip(0.25 + 1.6 * (upwards / half_height * 0.12 + rays[:, 1] / 2) + 0.25 * other, 0.05, 0.9)
    glass = 0.02 + 0.16 * mirrored[:, None] * f32(light.zenith) / max(max(light.zenith), 0.3)
    blind = ((other > 0.45) & (upwards > half_height * (1.4 * other - 1.3)) & ~on_ground)[:, None]
    glass = np.where(blind, f32([0.33, 0.36, 0.37]) * 0.8, glass)
    glass = np.where((on_ground & door)[:, None], f32([0.10, 0.11, 0.17]) * (0.5 + chance[:, None]), glass)
    reveal = np.clip((upwards - half_height + 0.22) / 0.22, 0.0, 1.0) * pane  # shadow of the lintel
    wall = mix(wall, wall * 0.90, slab)
    wall = mix(wall, f32([0.52, 0.55, 0.56]) * (0.5 if facade.salt % 2 < 1 else 1.0), outer)
    wall = mix(wall, glass, pane)
    wall = mix(wall, (0.45, 0.47, 0.48), 0.8 * bars)
    wall = mix(wall, wall * 0.45, reveal)
    wall = mix(wall, (0.50, 0.53, 0.54), sill)
    wall = mix(wall, f32([0.16, 0.16 + 0.2 * (facade.salt % 1), 0.35 - 0.25 * (facade.salt % 1)]), awning)

    warm = np.where(chance > 0.8, 3.5, 0.0)  # a room behind it is heated
    pane_heat = light.wall + light.window + warm - 1.5 * np.clip(rays[:, 1] * 2, 0, 1) + 1.2 * (other - 0.5)
    heat = heat + 0.7 * slab + 0.8 * (outer - pane) - 0.5 * sill
    heat = mix(heat, np.where(on_ground & door, light.wall + 1.5, pane_heat).astype(np.float32), pane)
    heat = mix(heat, light.wall + 0.4, bars)

    lit = (chance < light.lit_windows) & ~(on_ground & door)
    glow = f32([0.16, 0.36, 0.52]) * (0.5 + other[:, None]) * np.where(blind, 0.75, 1.0)
    emission = (
        glow * (pane * lit * (1 - 0.85 * bars) * (1 - 0.4 * reveal) * (0.35 if light.haze < 200 else 1.0))[:, None]
    )
    return wall, heat.astype(np.float32), emission.astype(np.float32)
