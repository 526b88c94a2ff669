"""Mean rank: how a method stands over measures of which none alone means anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..errors import ConfigError
from .fusion import LESS_IS_BETTER

RANKED_KEYS = ("MI", "SCD", "VIFp", "Qabf", "Nabf", "SSIM", "MSSSIM")
"""The measures that count; each is led by some method that is poor by eye, so only their mean rank is a goal."""


def mean_rank(values: Mapping[str, Mapping[str, float]], keys: Iterable[str] = RANKED_KEYS) -> dict[str, float]:
    """Return each method's rank (1 is best) averaged over ``keys``, for ``values`` as {method: {key: value}}.

    Equal values share the mean of their ranks; NaN ranks last. Raises :class:`ConfigError` for a method that lacks a
    measure or where there is nothing to rank by.
    """
    keys = tuple(keys)
    lacking = [f"{method} lacks {key}" for method, row in values.items() for key in keys if key not in row]
    if lacking or not keys:
        raise ConfigError(f"cannot rank: {lacking[0] if lacking else 'no measures given'}; rank by measures all have")
    totals = dict.fromkeys(values, 0.0)
    for key in keys:
        sign = 1 if key in LESS_IS_BETTER else -1
        costs = {method: math.inf if math.isnan(row[key]) else sign * row[key] for method, row in values.items()}
        for method, cost in costs.items():
            better = sum(other < cost for other in costs.values())
            equal = sum(other == cost for other in costs.values())
            totals[method] += better + (equal + 1) / 2
    return {method: total / len(keys) for method, total in totals.items()}
