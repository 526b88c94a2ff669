"""Pedestrians: a walking skeleton of tapered limbs in clothes, warm where the body is bare."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .arrays import Array, f32
from .geometry import View, axes
from .lighting import Colour
from .sprites import Canvas, Shade, limbs

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Person:
    """One pedestrian's build and clothes. Albedos are blue, green, red."""

    height: float
    coat: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    long_coat: bool
    bag: int  # 0 none, 1 at the side, 2 on the back
    insulation: float  # K that the clothes hide


def make_person(rng: np.random.Generator) -> Person:
    """Draw a person's build and clothes."""
    coats = ((0.05, 0.05, 0.06), (0.22, 0.10, 0.06), (0.05, 0.06, 0.30), (0.10, 0.16, 0.10), (0.30, 0.30, 0.29),
             (0.05, 0.22, 0.34), (0.20, 0.18, 0.15))  # fmt: skip
    trousers = ((0.035, 0.03, 0.03), (0.13, 0.08, 0.05), (0.09, 0.11, 0.13), (0.05, 0.05, 0.05))
    skins = ((0.20, 0.28, 0.45), (0.14, 0.20, 0.34), (0.07, 0.10, 0.18))
    hairs = ((0.02, 0.02, 0.02), (0.03, 0.05, 0.09), (0.10, 0.18, 0.26), (0.20, 0.20, 0.20))
    return Person(
        height=float(rng.uniform(1.58, 1.88)),
        coat=coats[rng.integers(len(coats))],
        trousers=trousers[rng.integers(len(trousers))],
        skin=skins[rng.integers(len(skins))],
        hair=hairs[rng.integers(len(hairs))],
        long_coat=bool(rng.random() < 0.3),
        bag=int(rng.integers(3)),
        insulation=float(rng.uniform(0.0, 3.0)),
    )


@dataclass(frozen=True, slots=True)
class Body:
    """A posed person as P tapered limbs in world coordinates."""

    starts: Array  # (P, 3) metres
    ends: Array  # (P, 3)
    radii: Array  # (P, 2) metres at the start and at the end
    albedo: Array  # (P, 3)
    temperature: list[float]  # (P,) deg C


def pose(person: Person, position: Array, heading: float, phase: float, vigour: float, air: float) -> Body:
    """Pose a person who stands at ``position`` (3,) on the ground and walks along ``heading``.

    ``heading`` is in radians from the z axis towards x; ``phase`` runs through 2 pi per double step; ``vigour`` is 1
    while walking and 0 while standing; ``air`` is in deg C.
    """
    coat, trousers, skin = person.coat, person.trousers, person.skin
    bob = 0.018 * vigour * math.cos(2 * phase)
    hip, shoulder = 0.90 + bob, 1.42 + bob
    cloth = 27.5 - person.insulation + 0.12 * (air - 10.0)
    hand_heat = 31.0 + 0.1 * (air - 10.0)
    limb_list: list[tuple[Point, Point, tuple[float, float], Colour, float]] = []
    add = limb_list.append
    for side in (-1.0, 1.0):
        swing = phase + (math.pi if side > 0 else 0.0)
        thigh = 0.46 * vigour * math.sin(swing)
        lift = max(0.0, math.cos(swing + 0.35)) ** 2  # the knee bends while the leg comes forward
        shin = thigh - 0.04 - vigour * (0.11 + 0.75 * lift)
        knee = (0.095 * side, hip - 0.43 * math.cos(thigh), 0.43 * math.sin(thigh))
        ankle = (0.09 * side, max(knee[1] - 0.41 * math.cos(shin), 0.07), knee[2] + 0.41 * math.sin(shin))
        toe = (0.11 * side, max(ankle[1] - 0.045, 0.03), ankle[2] + 0.17)
        add((ankle, toe, (0.045, 0.035), (0.03, 0.03, 0.035), air + 9.0))
        add((knee, ankle, (0.065, 0.048), trousers, cloth - 0.2))
        add(((0.09 * side, hip, 0.0), knee, (0.095, 0.07), trousers, cloth + 0.8))
        arm = -0.42 * vigour * math.sin(swing)
        fore = arm + 0.15 + 0.3 * vigour
        elbow = (0.235 * side, shoulder - 0.29 * math.cos(arm), 0.29 * math.sin(arm))
        wrist = (0.225 * side, elbow[1] - 0.25 * math.cos(fore), elbow[2] + 0.25 * math.sin(fore))
        palm = (wrist[0], wrist[1] - 0.06 * math.cos(fore), wrist[2] + 0.07 * math.sin(fore))
        add((elbow, wrist, (0.05, 0.042), coat, cloth - 1.0))
        add((wrist, palm, (0.036, 0.036), skin, hand_heat))
        add(((0.19 * side, shoulder, 0.0), elbow, (0.068, 0.052), coat, cloth - 0.4))
    hem = hip - 0.24 if person.long_coat else hip - 0.04
    for side in (-1.0, 1.0):  # the trunk is two overlapping halves, so that its width follows the heading
        add(((0.10 * side, shoulder - 0.04, 0.0), (0.075 * side, hem, 0.0), (0.125, 0.115), coat, cloth))
    head = shoulder + 0.215
    add(((-0.15, shoulder, 0.0), (0.15, shoulder, 0.0), (0.072, 0.072), coat, cloth + 0.6))
    add(((0.0, shoulder, 0.0), (0.0, shoulder + 0.1, 0.02), (0.06, 0.06), skin, 34.0))
    add(((0.0, head + 0.04, -0.015), (0.0, head - 0.03, -0.03), (0.105, 0.09), person.hair, 29.5))
    add(((0.0, head, 0.035), (0.0, head - 0.055, 0.045), (0.088, 0.07), skin, 34.5))
    if person.bag == 1:
        add(((0.25, hip + 0.05, 0.0), (0.26, hip - 0.16, 0.0), (0.10, 0.12), (0.05, 0.07, 0.12), air + 3.0))
    elif person.bag == 2:
        add(((0.0, shoulder - 0.1, -0.19), (0.0, hip + 0.12, -0.2), (0.13, 0.15), (0.16, 0.07, 0.05), air + 4.0))
    starts, ends, radii, albedo, temperature = zip(*limb_list, strict=True)
    size = person.height / 1.75
    turn = axes(heading) * size
    return Body(
        position + f32(starts) @ turn, position + f32(ends) @ turn, f32(radii) * size, f32(albedo), list(temperature)
    )


def draw_person(canvas: Canvas, body: Body, view: View, shade: Shade, light_side: float) -> None:
    """Draw the limbs from back to front, each with a dark flank, a middle and a lit flank.

    ``light_side`` in [-1, 1] is where in the image the light comes from, left to right.
    """
    starts, ends = view.camera_points(body.starts), view.camera_points(body.ends)
    starts_px, ends_px = view.image_points(starts), view.image_points(ends)
    start_radii = view.focal * body.radii[:, 0] / starts[:, 2]
    end_radii = view.focal * body.radii[:, 1] / ends[:, 2]
    bands = []  # (outlines (P, N, 2), colours (P, 3), K above the limb's temperature)
    for size, shift, normal, warmer in (
        (1.0, 0.0, (-0.9 * light_side, 0.1, -0.3), -1.2),
        (0.84, 0.14, (0.3 * light_side, 0.35, -0.8), 0.0),
        (0.45, 0.38, (0.85 * light_side, 0.45, -0.3), 0.7),
    ):
        move = f32([shift * light_side, -0.5 * shift])
        outlines = limbs(
            starts_px + move * start_radii[:, None], ends_px + move * end_radii[:, None],
            start_radii * size, end_radii * size,
        )  # fmt: skip
        bands.append((outlines, shade(body.albedo, np.broadcast_to(f32(normal), body.albedo.shape)), warmer))
    if float(start_radii.max()) < 4.0:  # too small to be seen as round
        bands = bands[:1]
    for number in np.argsort(-(starts[:, 2] + ends[:, 2])):
        for rank, (outlines, colours, warmer) in enumerate(bands):
            canvas.polygon(outlines[number], colours[number], body.temperature[number] + warmer, inner=rank > 0)
    canvas.soften(0.16 * float(start_radii.max()))
