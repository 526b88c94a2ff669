"""Pedestrians: a walking skeleton of tapered limbs in clothes, warm where the body is bare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array, f32
from .geometry import View
from .sprites import Canvas, Shade, limbs


@dataclass(frozen=True, slots=True)
class Person:
    """One pedestrian's build and clothes. Albedos are blue, green, red."""

    height: float
    coat: tuple[float, float, float]
    trousers: tuple[float, float, float]
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
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
class Part:
    """A limb from ``start`` to ``end`` (3,) in metres with its radii, its colour and its temperature."""

    start: Array
    end: Array
    radii: tuple[float, float]
    albedo: tuple[float, float, float]
    temperature: float


def pose(person: Person, position: Array, heading: float, phase: float, vigour: float, air: float) -> list[Part]:
    """Return the parts of a person standing at ``position`` on the ground and walking along ``heading``.

    ``heading`` is in radians from the z axis towards x; ``phase`` runs through 2 pi per double step;
    ``vigour`` is 1 while walking and 0 while standing.
    """
    size = person.height / 1.75
    forward = f32([np.sin(heading), 0.0, np.cos(heading)])
    right = f32([np.cos(heading), 0.0, -np.sin(heading)])
    up = f32([0.0, 1.0, 0.0])

    def at(x: float, y: float, z: float) -> Array:
        return np.asarray(position + (right * x + up * y + forward * z) * f32(size), np.float32)

    bob = 0.018 * vigour * np.cos(2 * phase)
    hip, shoulder = 0.90 + bob, 1.42 + bob
    cloth = 27.5 - person.insulation + 0.12 * (air - 10.0)
    legs = cloth + 0.8
    parts: list[Part] = []
    for side in (-1.0, 1.0):
        swing = phase + (np.pi if side > 0 else 0.0)
        thigh = 0.46 * vigour * np.sin(swing)
        bend = 0.04 + vigour * (
            0.11 + 0.75 * max(0.0, np.cos(swing + 0.35)) ** 2
        )  # the knee bends while the leg comes forward
        knee = (0.095 * side, hip - 0.43 * np.cos(thigh), 0.43 * np.sin(thigh))
        shin = thigh - bend
        ankle = (0.09 * side, knee[1] - 0.41 * np.cos(shin), knee[2] + 0.41 * np.sin(shin))
        ankle = (ankle[0], max(ankle[1], 0.07), ankle[2])
        toe = (0.11 * side, max(ankle[1] - 0.045, 0.03), ankle[2] + 0.17)
        shoe = (0.03, 0.03, 0.035)
        parts.append(Part(at(*ankle), at(*toe), (0.045 * size, 0.035 * size), shoe, air + 9.0))
        parts.append(Part(at(*knee), at(*ankle), (0.065 * size, 0.048 * size), person.trousers, legs - 1.0))
        parts.append(Part(at(0.09 * side, hip, 0.0), at(*knee), (0.095 * size, 0.07 * size), person.trousers, legs))
        reach = -0.42 * vigour * np.sin(swing)
        elbow = (0.235 * side, shoulder - 0.29 * np.cos(reach), 0.29 * np.sin(reach))
        fore = reach + 0.15 + 0.3 * vigour
        hand = (0.225 * side, elbow[1] - 0.25 * np.cos(fore), elbow[2] + 0.25 * np.sin(fore))
        parts.append(Part(at(*elbow), at(*hand), (0.05 * size, 0.042 * size), person.coat, cloth - 1.0))
        palm = (hand[0], hand[1] - 0.06 * np.cos(fore), hand[2] + 0.07 * np.sin(fore))
        parts.append(Part(at(*hand), at(*palm), (0.036 * size, 0.036 * size), person.skin, 31.0 + 0.1 * (air - 10)))
        parts.append(
            Part(at(0.19 * side, shoulder, 0.0), at(*elbow), (0.068 * size, 0.052 * size), person.coat, cloth - 0.4)
        )
    hem = hip - 0.24 if person.long_coat else hip - 0.04
    for side in (-1.0, 1.0):  # the trunk is two overlapping halves, so that its width follows the heading
        parts.append(
            Part(at(0.10 * side, shoulder - 0.04, 0.0), at(0.075 * side, hem, 0.0), (0.125 * size, 0.115 * size),
                 person.coat, cloth)
        )  # fmt: skip
    parts.append(Part(at(-0.15, shoulder, 0.0), at(0.15, shoulder, 0.0), (0.072 * size,) * 2, person.coat, cloth + 0.6))
    parts.append(Part(at(0, shoulder, 0.0), at(0, shoulder + 0.1, 0.02), (0.06 * size,) * 2, person.skin, 34.0))
    head = shoulder + 0.215
    parts.append(
        Part(at(0, head + 0.04, -0.015), at(0, head - 0.03, -0.03), (0.105 * size, 0.09 * size), person.hair, 29.5)
    )
    parts.append(
        Part(at(0, head + 0.0, 0.035), at(0, head - 0.055, 0.045), (0.088 * size, 0.07 * size), person.skin, 34.5)
    )
    if person.bag == 1:
        parts.append(
            Part(at(0.25, hip + 0.05, 0.0), at(0.26, hip - 0.16, 0.0), (0.10, 0.12), (0.05, 0.07, 0.12), air + 3)
        )
    elif person.bag == 2:
        parts.append(
            Part(at(0, shoulder - 0.1, -0.19), at(0, hip + 0.12, -0.2), (0.13, 0.15), (0.16, 0.07, 0.05), air + 4)
        )
    return parts


def draw_person(canvas: Canvas, parts: list[Part], view: View, shade: Shade, light_side: float) -> None:
    """Draw the parts from back to front, each with a dark flank, a middle and a lit flank.

    ``light_side`` in [-1, 1] is where in the image the light comes from, left to right.
    """
    starts = view.camera_points(np.stack([part.start for part in parts]))
    ends = view.camera_points(np.stack([part.end for part in parts]))
    starts_px, ends_px = view.image_points(starts), view.image_points(ends)
    radii = f32([part.radii for part in parts])
    start_radii = view.focal * radii[:, 0] / starts[:, 2]
    end_radii = view.focal * radii[:, 1] / ends[:, 2]
    albedo = f32([part.albedo for part in parts])
    layers = []  # (outlines (P, N, 2), colours (P, 3), K above the part's temperature)
    for size, shift, normal, warmer in (
        (1.0, 0.0, (-0.9 * light_side, 0.1, -0.3), -1.2),
        (0.84, 0.14, (0.3 * light_side, 0.35, -0.8), 0.0),
        (0.45, 0.38, (0.85 * light_side, 0.45, -0.3), 0.7),
    ):
        move = f32([shift * light_side, -0.5 * shift])
        outlines = limbs(
            starts_px + move * start_radii[:, None],
            ends_px + move * end_radii[:, None],
            start_radii * size,
            end_radii * size,
        )
        layers.append((outlines, shade(albedo, np.broadcast_to(f32(normal), albedo.shape)), warmer))
    for number in np.argsort(-(starts[:, 2] + ends[:, 2])):
        for outlines, colours, warmer in layers:
            canvas.polygon(outlines[number], colours[number], parts[number].temperature + warmer)
    canvas.soften(0.16 * float(start_radii.max()))
