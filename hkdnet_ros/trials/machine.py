"""The machine that figures were measured on."""

from __future__ import annotations

import os
from pathlib import Path


def machine() -> str:
    """Return the processor's name and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{cores} cores" + (f" of {names[0]}" if names else "")
