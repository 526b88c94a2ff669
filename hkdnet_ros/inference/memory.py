"""Memory: how much there is, and keeping large buffers inside the process instead of giving them back every frame."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from pathlib import Path

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


def available_bytes() -> int | None:
    """Return how much memory this process can still take, by the system, its control group and its limits.

    None where nothing says so, as on systems other than Linux.
    """
    found = [_of_system(), _of_control_group()]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            found.append(max(limit - pages * os.sysconf("SC_PAGE_SIZE"), 0))
    return min((amount for amount in found if amount is not None), default=None)


def _of_system() -> int | None:
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    except (OSError, KeyError, ValueError):
        return None


def _of_control_group(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        most, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
        cache = next(line for line in (folder / "memory.stat").read_text().splitlines() if line.startswith("file "))
    except (OSError, ValueError, StopIteration):  # no group, or one without a limit, whose memory.max is "max"
        return None
    return max(most - used + int(cache.split()[1]), 0)
