"""Work that overlaps and comes out in order: what follows the fusion must not keep it waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class OrderedPipe(Generic[Item, Result]):
    """Calls ``work(item)`` in several threads and ``take(result)`` in one more, in the order of :meth:`put`.

    Items of at most ``most`` bytes are under way, one at the least: :meth:`put` waits. What either raises, the next
    :meth:`put` or the end of the block raises, and nothing is taken after it. Use it as a context; where the block
    raises, what is under way is given up.
    """

    def __init__(
        self, work: Callable[[Item], Result], take: Callable[[Result], None], *, threads: int, most: int
    ) -> None:
        self._work = work
        self._take = take
        self._pool = ThreadPoolExecutor(threads, "products")
        self._most = most
        self._bytes = 0
        self._less = threading.Condition()
        self._under_way: queue.SimpleQueue[tuple[Future[Result], int] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._taker = threading.Thread(target=self._run, name="take", daemon=True)
        self._taker.start()

    def put(self, item: Item, nbytes: int) -> None:
        """Hand over the next item, which takes so many bytes; waits while too many are under way."""
        with self._less:
            self._less.wait_for(lambda: self._bytes + nbytes <= self._most or not self._bytes)
            self._bytes += nbytes
        if self._error is not None:
            raise self._error
        self._under_way.put((self._pool.submit(self._work, item), nbytes))

    def _run(self) -> None:
        while (item := self._under_way.get()) is not None:
            future, nbytes = item
            try:
                if self._error is None:
                    self._take(future.result())
            except BaseException as error:
                self._error = error
            del future, item  # else its images stay in memory until the next
            with self._less:
                self._bytes -= nbytes
                self._less.notify()

    def __enter__(self) -> OrderedPipe[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._error = self._error or error
            self._pool.shutdown(cancel_futures=True)
        self._under_way.put(None)
        self._taker.join()
        self._pool.shutdown()
        if error is None and self._error is not None:
            raise self._error
