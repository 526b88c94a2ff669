"""What a radiometric camera measured, in kelvin: counts and temperatures by a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..images.frames import Frame
from ..options import check_options, option

NONE, LINEAR = "none", "linear"

PRESETS: dict[str, tuple[float, float]] = {
    "kelvin": (1.0, 0.0),
    "celsius": (1.0, 273.15),
    "lepton": (0.01, 0.0),  # TLinear at its default resolution
    "lepton_low_gain": (0.1, 0.0),  # TLinear at the resolution of 0.1 K
    "boson": (0.01, 0.0),  # TLinear in high gain
    "boson_low_gain": (0.1, 0.0),
    "optris": (0.1, 173.15),  # optris_drivers: (counts - 1000) / 10 deg C
    "infiray": (1 / 64, 0.0),  # P2 Pro and others of its kind
}
"""Kelvin to a count, and kelvin at 0 counts."""

_SATURATED = 65535


@dataclass(frozen=True, slots=True)
class TemperatureConfig:
    """Whether thermal images measure temperature, and how."""

    source: str = option(
        NONE,
        "Thermal images of 16 bits or floats are temperatures of this kind, published on fused/temperature; linear "
        "goes by gain and offset, none publishes nothing.",
        choices=(NONE, LINEAR, *PRESETS),
        live=True,
    )
    gain: float = option(
        0.01, "With source linear one count is this many kelvin.", unit="K", low=-1000.0, high=1000.0, live=True
    )
    offset: float = option(
        0.0, "With source linear a count of 0 is this temperature.", unit="K", low=-1e6, high=1e6, live=True
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.source == LINEAR and self.gain == 0:
            raise ConfigError("temperature.gain is 0; expected the kelvin of one count")

    @property
    def is_on(self) -> bool:
        """Whether there are temperatures."""
        return self.source != NONE


def kelvin(frame: Frame, config: TemperatureConfig) -> NDArray[np.float32] | None:
    """Return the temperatures (H, W) of a thermal image in kelvin, NaN where it has none; None where it measures none.

    That are images of 8 bits, which a camera has conditioned for the eye. A count at the end of 16 bits is no
    measurement, nor is what is not above 0 K.
    """
    image: NDArray[Any] = frame.image
    if not config.is_on or image.ndim != 2 or image.dtype == np.uint8:
        return None
    gain, offset = PRESETS.get(config.source, (config.gain, config.offset))
    # In double precision a count of 30000 at 0.01 K keeps all its digits.
    temperature: NDArray[np.float32] = (image * np.float64(gain) + offset).astype(np.float32)
    with np.errstate(invalid="ignore"):
        temperature[~((temperature > 0) & np.isfinite(temperature))] = np.nan
    if frame.unmeasured is not None:
        temperature[frame.unmeasured] = np.nan
    if image.dtype == np.uint16:
        temperature[image == _SATURATED] = np.nan
    return temperature
