"""Keep large buffers inside the process instead of giving them back to the system after every frame."""

from __future__ import annotations

import contextlib
import ctypes

# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 1 << 30
_DOCUMENTED_LIMIT = 32 << 20  # of the mmap threshold, mallopt(3); only newer glibc takes more


def keep_large_buffers() -> bool:
    """Raise glibc's mmap and trim thresholds to 1 GiB (or its limit) for this process; tell whether that was possible.

    By default glibc maps every buffer above at most 32 MiB anew and unmaps it when freed, so each frame pays for
    fresh, zeroed pages: a factor of 2 in eager CPU inference of networks of this size. Freed memory is reused from
    then on; what the process holds is bounded by the largest frame. Does nothing on other C libraries.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        raised = any(libc.mallopt(_M_MMAP_THRESHOLD, size) for size in (_LARGEST, _DOCUMENTED_LIMIT))
        return bool(libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST)) and raised
    except (OSError, AttributeError):
        return False


def give_back_buffers() -> None:
    """Return freed memory to the system, which the raised thresholds would hold until the process ends."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
