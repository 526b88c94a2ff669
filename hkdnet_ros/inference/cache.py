"""What is worth remembering between two starts: in the user's cache folder, which may be deleted at any time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Return the package's folder below ``$XDG_CACHE_HOME``, which is ``~/.cache`` where it is not set.

    For a user without a home, as in some containers, it is one that can be neither read nor written.
    """
    for home in (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache")):
        if os.path.isabs(home):  # relative ones the XDG specification has ignored
            return Path(home) / "hkdnet_ros"
    return Path(os.devnull) / "hkdnet_ros"


def fingerprint(path: Path) -> str:
    """Return a short name for the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def kept(path: Path) -> bytes | None:
    """Return what :func:`keep` wrote; None where there is nothing, or not all of it as it was."""
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if content[:_CHECK] == _check(content[_CHECK:]):
            return content[_CHECK:]
    return None


def keep(path: Path, content: bytes) -> None:
    """Write a file of the cache, behind its checksum: whole or not at all, even where two processes do so at once.

    A cache that cannot be written is none.
    """
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_check(content) + content)
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to hear of
                os.unlink(partial)
            raise


_CHECK = 32  # bytes


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
