"""How torch's threads wait for each other on a processor that others use too.

torch's GNU OpenMP lets a thread that has finished its part of an operation spin until the others have. Where another
program has one of the cores, the team spins away the time that its last thread waits for, in each of the hundreds of
operations of a frame. docs/performance.md has the figures.
"""

from __future__ import annotations

import os
import sys

SPINS = 1000
"""So many rounds a waiting thread spins before it sleeps; GNU OpenMP's own default is 300,000 and more."""

_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def wait_asleep() -> None:
    """Have threads sleep while they wait; call it before torch is imported, for OpenMP reads its settings once.

    What the user exported stands. Does nothing once torch is loaded.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
