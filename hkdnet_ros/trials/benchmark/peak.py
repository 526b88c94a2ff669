"""The highest rate that a node sustains, found by trying."""

from __future__ import annotations

from collections.abc import Callable

TOLERATED = 0.05
"""The share of pairs that may be dropped at a rate that counts as sustained."""

LOWEST, HIGHEST = 1.0, 240.0  # Hz
_CLOSE = 1.15  # the rates between which it lies need be no closer than this


def sustained_rate(dropped_at: Callable[[float], float], guess: float) -> float:
    """Return the highest rate found at which ``dropped_at(rate)`` is at most TOLERATED, 0 where none is.

    Doubles or halves from ``guess`` until the rate lies between two that were tried, and then halves what is between
    them by their ratio. Each trial costs seconds, so that the answer is right to 15 %.
    """
    good, bad = 0.0, 0.0
    rate = min(max(guess, LOWEST), HIGHEST)
    while True:
        if dropped_at(rate) <= TOLERATED:
            good = rate
        else:
            bad = rate
        if good and bad and bad / good <= _CLOSE:
            return good
        if good and bad:
            rate = (good * bad) ** 0.5
        elif good:
            if good >= HIGHEST:
                return good
            rate = min(2 * good, HIGHEST)
        else:
            if bad <= LOWEST:
                return 0.0
            rate = max(bad / 2, LOWEST)
