"""Loads a model in a thread of its own, so that an end that is asked for meanwhile need not wait for it.

Importing torch, reaching a GPU and a first run take seconds and cannot be interrupted, only left behind.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future
from typing import Any, Generic, Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> None: ...


Model = TypeVar("Model", bound=_Closable)


class GivenUpError(Exception):
    """What was to be loaded is not wanted any more."""


class Loader(Generic[Model]):
    """Loads one model after the other until it is told to give up, for good."""

    def __init__(self) -> None:
        self._given_up: Future[None] = Future()
        self._loading: Future[Model] = Future()
        self._loading.cancel()  # nothing yet

    @property
    def is_loading(self) -> bool:
        """Whether the thread is still at it, given up or not."""
        return not self._loading.done()

    @property
    def has_given_up(self) -> bool:
        """Whether :meth:`give_up` was called."""
        return self._given_up.done()

    def load(self, make: Callable[[], Model]) -> Model:
        """Return what ``make`` returns, or raise what it raises; :class:`GivenUpError` once it is not wanted."""
        if self.has_given_up:
            raise GivenUpError
        loading: Future[Model] = Future()
        self._loading = loading

        def run() -> None:
            try:
                loading.set_result(make())
            except BaseException as error:
                loading.set_exception(error)

        threading.Thread(target=run, name="load", daemon=True).start()
        either: list[Future[Any]] = [loading, self._given_up]
        concurrent.futures.wait(either, return_when=FIRST_COMPLETED)
        if self.has_given_up:
            loading.add_done_callback(_discard)
            raise GivenUpError
        return loading.result()

    def give_up(self) -> None:
        """Let the load that is under way, and all to come, raise :class:`GivenUpError`; any thread may call this."""
        if not self._given_up.done():
            self._given_up.set_result(None)


def _discard(loading: Future[Model]) -> None:
    if loading.exception() is None:
        loading.result().close()
