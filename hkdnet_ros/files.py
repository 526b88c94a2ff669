"""Writing files: whole or not at all, with errors of one line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import SourceError


def make_folder(folder: Path) -> None:
    """Create the folder for the results; raises :class:`SourceError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise SourceError(
            f"{folder}: cannot be made a folder for the results ({err.strerror}); choose another --out"
        ) from err


def write_file(path: Path, content: bytes) -> None:
    """Write one of the results; raises :class:`SourceError`."""
    try:
        path.write_bytes(content)
    except OSError as err:
        raise SourceError(f"{path}: cannot be written ({err.strerror}); choose another --out") from err


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield where to write what becomes the file ``path`` at the end of the block; after an error nothing is left."""
    partial = Path(f"{path}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to hear of
            partial.unlink()
        raise


def sync(path: Path) -> None:
    """Return once a file is on the disk, so that it is whole even if the power fails next."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
