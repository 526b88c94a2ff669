"""Folders of registered image pairs: ``thermal/`` and ``visible/`` inside one folder, matched by file name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..images import color
from ..images.files import read_image
from ..images.frames import Frame
from ..perception.thermal import ThermalConditioner

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
"""Files with other suffixes are passed over."""


@dataclass(frozen=True, slots=True)
class PairPaths:
    """The two files of one pair; ``name`` is the thermal file's name, with its suffix."""

    name: str
    thermal: Path
    visible: Path


def list_pairs(folder: str | Path) -> list[PairPaths]:
    """Return the pairs of ``folder``, sorted by name.

    Files match by name without suffix, so that a 16-bit ``a.tiff`` pairs with ``a.jpg``. Raises :class:`SourceError`
    for a missing folder, an empty set, a name twice on one side, and names without a partner.
    """
    root = Path(folder)
    return match_folders(root / "thermal", root / "visible")


def match_folders(thermal_folder: Path, visible_folder: Path) -> list[PairPaths]:
    """Return the pairs of two folders, as :func:`list_pairs`."""
    thermal = _images_by_stem(thermal_folder)
    visible = _images_by_stem(visible_folder)
    for side, alone in (
        (thermal_folder, thermal.keys() - visible.keys()),
        (visible_folder, visible.keys() - thermal.keys()),
    ):
        if alone:
            raise SourceError(
                f"{side}: {len(alone)} image(s) without a partner of the same name: {_some(alone)}; add or remove them"
            )
    if not thermal:
        raise SourceError(f"{thermal_folder} and {visible_folder} hold no images; expected files of the same names")
    return [PairPaths(path.name, path, visible[stem]) for stem, path in sorted(thermal.items())]


def read_gray(path: str | Path) -> NDArray[np.float32]:
    """Return the luma of an image file as float32 (H, W) in [0, 1], as the node takes that of a visible image.

    Full scale, of 8 or 16 bits, is 1. Errors as :func:`~hkdnet_ros.images.files.read_image`.
    """
    luma = color.luma(*read_image(path))
    return luma if luma.dtype == np.float32 else np.divide(luma, np.float32(255), dtype=np.float32)


def read_conditioned(path: str | Path) -> NDArray[np.float32]:
    """Return a thermal image file as float32 (H, W) in [0, 1], as the node would condition it as a first frame.

    Counts, and 8 bits of few levels, are stretched between percentiles of the scene, for a camera's 14 bits in 16 would
    be nearly black; a scene without contrast stays flat. All else is as :func:`read_gray` gives it. Errors as
    :func:`~hkdnet_ros.images.files.read_image`.
    """
    image, encoding = read_image(path)
    return ThermalConditioner().condition(Frame(image, 0, "", encoding))


def read_pair(paths: PairPaths) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return thermal by :func:`read_conditioned` and visible by :func:`read_gray`, each float32 (H, W) in [0, 1].

    Training and evaluation both read so. Raises :class:`SourceError` where the sizes differ.
    """
    thermal, visible = read_conditioned(paths.thermal), read_gray(paths.visible)
    if thermal.shape != visible.shape:
        raise SourceError(
            f"{paths.name}: thermal is {thermal.shape[1]}x{thermal.shape[0]}, "
            f"visible {visible.shape[1]}x{visible.shape[0]}; register the pair to one size"
        )
    return thermal, visible


def _images_by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; pairs are expected as thermal/NAME and visible/NAME")
    try:
        files = sorted(folder.iterdir())
    except OSError as err:
        raise SourceError(f"{folder}: cannot be listed ({err.strerror})") from err
    found: dict[str, Path] = {}
    for path in files:
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise SourceError(f"{folder}: {found[path.stem].name} and {path.name} bear one name; remove one of them")
        found[path.stem] = path
    return found


def _some(names: Iterable[str], most: int = 3) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:most]) + (", ..." if len(ordered) > most else "")
