"""Large buffers stay in the process from frame to frame."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from hkdnet_ros.inference import memory

FAULTS = """
import resource, sys
import numpy as np
from hkdnet_ros.inference.memory import keep_large_buffers
if "keep" in sys.argv and not keep_large_buffers():
    sys.exit("not glibc")
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(64 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults()
print(first, faults())
"""


def faults(*arguments: str) -> tuple[int, int]:
    """Return the page faults of filling a new 64 MiB array, and of doing that again after freeing it."""
    result = subprocess.run([sys.executable, "-c", FAULTS, *arguments], capture_output=True, text=True, check=False)
    if "not glibc" in result.stderr:
        pytest.skip("the C library is not glibc")
    first, second = map(int, result.stdout.split())
    return first, second


def test_a_freed_buffer_is_used_again_without_new_pages():
    first, second = faults("keep")
    assert second < first / 10


class OlderGlibc:
    """Takes no mmap threshold above 32 MiB."""

    def __init__(self):
        self.taken = {}

    def mallopt(self, option, value):
        if option == -3 and value > 32 << 20:
            return 0
        self.taken[option] = value
        return 1


def test_an_older_glibc_gets_the_highest_threshold_that_it_takes(monkeypatch):
    libc = OlderGlibc()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    assert memory.keep_large_buffers()
    assert libc.taken == {-3: 32 << 20, -1: 1 << 30}


def test_another_c_library_is_left_alone(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert memory.keep_large_buffers() is False
