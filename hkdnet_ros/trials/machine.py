"""The machine that figures were measured on."""

from __future__ import annotations

import os

from ..inference.processor import processor_name


def machine() -> str:
    """Return how many cores this process may use, and the processor's name and family."""
    return f"{len(os.sched_getaffinity(0))} cores of {processor_name()}"
