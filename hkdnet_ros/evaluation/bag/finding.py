"""A sentence of a report, and how it is meant."""

from __future__ import annotations

from dataclasses import dataclass

GOOD, NOTE, BAD = "good", "note", "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence, and whether it is GOOD, worth a NOTE or BAD."""

    tone: str
    text: str
