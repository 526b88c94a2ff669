"""Why images of a recording were left out, and how often."""

from __future__ import annotations

import re
from collections import Counter


class Reasons:
    """Counts reasons. Those that differ in numbers alone, such as a size in bytes, are one, told by its first.

    So ten thousand damaged images are one line.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, reason: str) -> bool:
        """Count an image, and return whether it is the first for such a reason."""
        first = self._first.setdefault(re.sub(r"\d+", "0", reason), reason)
        self.counts[first] += 1
        return self.counts[first] == 1

    def clear(self) -> None:
        """Begin anew."""
        self.counts.clear()
        self._first.clear()
