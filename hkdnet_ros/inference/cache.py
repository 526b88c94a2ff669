"""What is worth remembering between two starts: in the user's cache folder, which may be deleted at any time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Return the package's folder below ``$XDG_CACHE_HOME``, which is ``~/.cache`` where it is not set."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "hkdnet_ros"


def fingerprint(path: Path) -> str:
    """Return a short name for the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def keep(path: Path, content: bytes) -> None:
    """Write a file of the cache: whole or not at all, even where two processes do so at once.

    A cache that cannot be written is none.
    """
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to hear of
                os.unlink(partial)
            raise
