"""Chunks of messages, as MCAP and the bags of ROS 1 have them. One may be damaged and the others whole."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from .bag_file import Connection, DamageError, Message, merged

RawMessage = tuple[int, int, "bytes | memoryview", int]
"""When it was recorded, in ns, the key of its connection, its bytes, and when it was sent, in ns."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where messages lie in a file: ``size`` bytes from ``offset``, the first recorded at ``start_ns``, the last at
    ``end_ns`` where that is known.

    ``keys`` are those of the connections in it.
    """

    start_ns: int
    offset: int
    size: int
    keys: frozenset[int]
    end_ns: int = 0


def messages_of_chunks(
    chunks: Iterable[Chunk], connections: Collection[Connection], read: Callable[[Chunk], Iterable[RawMessage]]
) -> Iterator[Message]:
    """Yield the messages of ``connections`` by the time they were recorded; raise :class:`DamageError` at the end.

    It says how many chunks could not be read.
    """
    by_key = {connection.key: connection for connection in connections}
    wanted = [chunk for chunk in chunks if not by_key.keys().isdisjoint(chunk.keys)]
    damages: list[DamageError] = []

    def messages(chunk: Chunk) -> Iterator[Message]:
        found = []
        try:
            for recorded_ns, key, data, sent_ns in read(chunk):
                if key in by_key:  # copied, so that a message that waits does not hold its chunk
                    found.append(Message(recorded_ns, by_key[key], bytes(data), sent_ns))
        except DamageError as damage:
            damages.append(damage)
            found = found[:-1]  # the last before the damage may be torn: a disk that lost power ends it in zeros
        yield from sorted(found, key=lambda message: message.recorded_ns)

    yield from merged((chunk.start_ns, functools.partial(messages, chunk)) for chunk in wanted)
    if damages:
        raise DamageError(f"{len(damages)} of {len(wanted)} chunks are damaged and left out ({damages[0]})")
