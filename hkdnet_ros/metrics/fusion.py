"""All fusion measures of one (thermal, visible, fused) triple by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray

from ..errors import ConfigError
from .contrast import contrast_metrics
from .correlation import correlation_metrics
from .gradient import nabf, qabf
from .images import Image, eight_bit
from .information import information_metrics
from .structural import MS_SSIM_LEAST, SSIM_LEAST, ms_ssim_metrics, ssim_metrics
from .visual import VIF_LEAST, visual_metrics

FUSION_KEYS = (
    "EN", "SD", "SF", "AG", "MI", "NMI", "SCD", "CC", "PSNR", "VIFp", "Qabf", "Nabf", "SSIM", "MSSSIM",
)  # fmt: skip
"""Every measure, in table order. EN, SD, SF, AG rise with noise and stretching and say nothing by themselves."""

LESS_IS_BETTER = frozenset({"Nabf"})

_LEAST_SIDES = {"VIFp": VIF_LEAST, "SSIM": SSIM_LEAST, "MSSSIM": MS_SSIM_LEAST}

_Measure = Callable[[Image, Image, Image], dict[str, float]]

_FAMILIES: tuple[tuple[frozenset[str], _Measure], ...] = (
    (frozenset({"EN", "MI", "NMI"}), information_metrics),
    (frozenset({"SD", "SF", "AG"}), contrast_metrics),
    (frozenset({"SCD", "CC", "PSNR"}), correlation_metrics),
    (frozenset({"VIFp"}), visual_metrics),
    (frozenset({"Qabf"}), lambda a, b, f: {"Qabf": qabf(a, b, f)}),
    (frozenset({"Nabf"}), lambda a, b, f: {"Nabf": nabf(a, b, f)}),
    (frozenset({"MSSSIM"}), ms_ssim_metrics),
    (frozenset({"SSIM"}), ssim_metrics),  # where MSSSIM has not brought it along
)


def measurable(side: int) -> tuple[str, ...]:
    """Return the measures, in table order, that are defined for images whose shorter side has ``side`` pixels."""
    return tuple(key for key in FUSION_KEYS if side >= _LEAST_SIDES.get(key, 1))


def fusion_metrics(
    thermal: NDArray[Any], visible: NDArray[Any], fused: NDArray[Any], keys: Iterable[str] | None = None
) -> dict[str, float]:
    """Return the measures named by ``keys`` (all of :data:`FUSION_KEYS` by default), in that order.

    Images are gray (H, W) of one size, uint8 or float 0..255 (not 0..1), rounded and clipped to 8 bits here. Raises
    :class:`ImageError` for images that do not fit together or are too small for a measure (MSSSIM needs 176x176,
    VIFp 41x41), :class:`ConfigError` for an unknown key.
    """
    wanted = FUSION_KEYS if keys is None else tuple(keys)
    unknown = [key for key in wanted if key not in FUSION_KEYS]
    if unknown:
        raise ConfigError(f"unknown measure {', '.join(unknown)}; choose among {', '.join(FUSION_KEYS)}")
    a, b, f = eight_bit(thermal=thermal, visible=visible, fused=fused)
    values: dict[str, float] = {}
    for names, measure in _FAMILIES:
        if names.intersection(wanted) - values.keys():
            values |= measure(a, b, f)
    return {key: values[key] for key in wanted}
