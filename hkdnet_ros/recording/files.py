"""Writing what the commands make."""

from __future__ import annotations

from pathlib import Path

from ..errors import SourceError


def make_folder(folder: Path) -> None:
    """Create the folder for the results; raises :class:`SourceError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise SourceError(f"{folder}: cannot be made a folder for the results ({err.strerror})") from err


def write_file(path: Path, content: bytes) -> None:
    """Write one of the results; raises :class:`SourceError`."""
    try:
        path.write_bytes(content)
    except OSError as err:
        raise SourceError(f"{path}: cannot be written ({err.strerror}); choose another --out") from err
