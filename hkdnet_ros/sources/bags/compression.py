"""The compressions of bags. rosbags brings zstd and lz4, and is imported no sooner than a bag needs them."""

from __future__ import annotations

import bz2
import shutil
import sys
from pathlib import Path
from typing import Any

from .bag_file import DamageError

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def decompressed(data: bytes | memoryview, compression: str) -> bytes | memoryview:
    """Return what a chunk holds; ``""`` and ``none`` are no compression. Raises :class:`DamageError`."""
    if compression in ("", "none"):
        return data
    try:
        if compression == "zstd":
            return bytes(_zstd().decompress(data))
        if compression == "lz4":
            from lz4.frame import decompress

            return bytes(decompress(data))
        if compression == "bz2":
            return bz2.decompress(data)
    except Exception as error:  # each library has errors of its own, lz4 plain RuntimeErrors
        raise DamageError(f"{compression} cannot decompress it") from error
    raise DamageError(f"compressed by {compression!r}, which is not known here")


def message_data(data: bytes) -> bytes:
    """Return a message, decompressed where it was compressed on its own (a serialised one never begins so)."""
    return bytes(decompressed(data, "zstd")) if data.startswith(_ZSTD_MAGIC) else data


def unpack(file: Path, to: Path) -> bool:
    """Decompress a whole .zstd file; return False where it is broken off, and ``to`` holds what could be read.

    Raises OSError where ``to`` cannot be written.
    """
    zstd = _zstd()
    with file.open("rb") as packed, to.open("wb") as unpacked:
        try:
            with zstd.open(packed, "rb") as content:
                shutil.copyfileobj(content, unpacked)
        except (zstd.ZstdError, EOFError):
            return False
    return True


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
