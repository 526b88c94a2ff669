"""Light, air and temperatures of a setting; turns albedo into displayed colour. Colours are blue, green, red."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .arrays import Array, f32

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Lamp:
    """A street lamp that shines downwards from ``position`` (metres)."""

    position: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True, slots=True)
class Lighting:
    """Light and heat of one setting. Irradiances are relative to the camera's exposure; temperatures are in deg C."""

    sky: Colour  # irradiance from above
    ground: Colour  # irradiance reflected from the ground
    sun: Colour  # irradiance on a surface facing the sun
    sun_direction: tuple[float, float, float]  # towards the sun
    zenith: Colour  # radiance of the sky
    horizon: Colour  # radiance of the sky there, and of haze
    cloud: Colour
    haze: float  # metres to 63 % haze
    air: float
    sky_temperature: tuple[float, float]  # at the zenith, at the horizon
    asphalt: float
    wall: float
    sun_heating: float  # K on a surface that faces the sun
    window: float  # K of a window against its wall
    thermal_span: tuple[float, float]  # temperatures shown as 0 and 1 in the truth
    lit_windows: float  # fraction
    noise: float  # shot noise of the visible camera at mid gray, of 255
    lamps: tuple[Lamp, ...] = field(default=())

    @property
    def night(self) -> bool:
        """Whether lamps and headlights are on."""
        return bool(self.lamps)

    def irradiance(self, normal: Array, point: Array, sunlit: Array | float = 1.0) -> Array:
        """Return (..., 3) light on surfaces at ``point`` (..., 3) that face ``normal``; ``sunlit`` in [0, 1]."""
        up = normal[..., 1:2]
        light = f32(self.sky) * (0.5 + 0.5 * up) + f32(self.ground) * (0.5 - 0.5 * up)
        facing = np.clip(normal @ f32(self.sun_direction), 0.0, 1.0) * sunlit
        light = light + f32(self.sun) * facing[..., None]
        for lamp in self.lamps:
            towards = f32(lamp.position) - point
            distance = np.sqrt((towards * towards).sum(axis=-1)) + 1e-3
            cosine = np.clip((towards * normal).sum(axis=-1) / distance, 0.0, 1.0)
            cone = np.clip(towards[..., 1] / distance, 0.0, 1.0) ** 1.5  # the head shades the light to the sides
            light = light + f32(lamp.colour) * ((0.25 * cone + 0.75 * cosine * cone) / distance**2)[..., None]
        return np.asarray(light, np.float32)

    def display(self, radiance: Array, distance: Array | float) -> Array:
        """Put haze over (..., 3) radiance seen from ``distance`` metres and expose it; returns [0, 255]."""
        clear = np.exp(-np.asarray(distance, np.float32) / self.haze)[..., None]
        radiance = radiance * clear + f32(self.horizon) * (1.0 - clear)
        shown = (1.0 - np.exp(-1.9 * np.maximum(radiance, 0.0))) ** (1 / 2.2)
        shown = shown + 0.35 * shown * (1.0 - shown) * (2.0 * shown - 1.0)  # a camera's contrast curve
        return np.asarray(255.0 * shown, np.float32)


def _unit(*vector: float) -> tuple[float, float, float]:
    x, y, z = np.asarray(vector) / np.linalg.norm(vector)
    return float(x), float(y), float(z)


LAMP_SPOTS = ((-4.6, 5.2, 17.0), (5.0, 5.2, 29.0), (-4.6, 5.2, 43.0), (5.0, 5.2, 58.0))  # where the lamp heads hang

DAY = Lighting(
    sky=(0.42, 0.34, 0.29),
    ground=(0.10, 0.12, 0.13),
    sun=(0.98, 1.15, 1.28),
    sun_direction=_unit(0.85, 0.72, -0.30),
    zenith=(0.62, 0.40, 0.22),
    horizon=(0.78, 0.72, 0.64),
    cloud=(0.98, 0.98, 0.98),
    haze=420.0,
    air=12.0,
    sky_temperature=(-25.0, 2.0),
    asphalt=15.0,
    wall=12.5,
    sun_heating=7.0,
    window=-2.5,
    thermal_span=(0.0, 38.0),
    lit_windows=0.0,
    noise=1.2,
)
NIGHT = Lighting(
    sky=(0.0065, 0.0045, 0.0035),
    ground=(0.002, 0.002, 0.002),
    sun=(0.0, 0.0, 0.0),
    sun_direction=(0.0, 1.0, 0.0),
    zenith=(0.010, 0.006, 0.004),
    horizon=(0.022, 0.018, 0.018),
    cloud=(0.022, 0.018, 0.018),
    haze=400.0,
    air=5.0,
    sky_temperature=(-25.0, -4.0),
    asphalt=9.0,
    wall=7.5,
    sun_heating=0.0,
    window=2.0,
    thermal_span=(0.0, 36.0),
    lit_windows=0.22,
    noise=4.0,
    lamps=tuple(Lamp(spot, (1.1, 2.6, 4.2)) for spot in LAMP_SPOTS),
)
SMOKE = Lighting(
    sky=(0.60, 0.60, 0.58),
    ground=(0.12, 0.12, 0.12),
    sun=(0.0, 0.0, 0.0),
    sun_direction=_unit(0.5, 0.9, -0.3),
    zenith=(0.62, 0.62, 0.60),
    horizon=(0.70, 0.70, 0.70),
    cloud=(0.80, 0.80, 0.80),
    haze=110.0,
    air=10.0,
    sky_temperature=(-8.0, 5.0),
    asphalt=12.0,
    wall=10.5,
    sun_heating=0.0,
    window=-0.8,
    thermal_span=(0.0, 38.0),
    lit_windows=0.05,
    noise=1.6,
)
SETTINGS_LIGHT = {"day": DAY, "night": NIGHT, "smoke": SMOKE}
