"""What is worth remembering between two starts: in the user's cache folder, which may be deleted at any time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the package's folder below ``$XDG_CACHE_HOME``, which is ``~/.cache`` where it is not set."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "hkdnet_ros"


def fingerprint(path: Path) -> str:
    """Return a short name for the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
