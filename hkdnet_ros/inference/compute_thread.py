"""One thread of the process for all that torch computes.

GNU OpenMP keeps a team of helpers for every thread that computes. Once their number exceeds the processor's cores, it
puts helpers to sleep between operations instead of letting them spin: a model loaded in one thread and run in another
costs some 500 sleeps and wake-ups a frame, each of which waits for a free core.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="torch")


def compute(function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
    """Call ``function`` in the compute thread and return or raise what it does; not to be called from within."""
    return _thread.submit(function, *args, **kwargs).result()
