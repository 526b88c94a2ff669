"""Folders of registered image pairs: ``thermal/`` and ``visible/`` inside one folder, matched by file name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..images.frames import Frame
from ..perception.thermal import ThermalConditioner

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
"""Files with other suffixes are passed over."""

LUMA_BGR = np.array([0.114, 0.587, 0.299], dtype=np.float32)
"""BT.601 luma weights in OpenCV's channel order."""


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


def read_image(path: str | Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return an image file as it is: 8 or 16 bit, gray (H, W), or colour (H, W, 3) in OpenCV's order; without alpha.

    Raises :class:`SourceError` for a file that cannot be read, is no image, or has another depth.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as err:
        raise SourceError(f"{path}: cannot be read ({err.strerror})") from err
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as err:
        raise SourceError(f"{path}: cannot be decoded ({' '.join(str(err.err).split())})") from err
    if image is None:
        raise SourceError(f"{path}: not a readable image ({data.size} bytes); replace it or remove its pair")
    if image.dtype not in (np.uint8, np.uint16):
        raise SourceError(f"{path}: pixels are {image.dtype}; expected 8 or 16 bit unsigned integers")
    if image.ndim == 3:
        image = image[:, :, 0] if image.shape[2] <= 2 else image[:, :, :3]  # 1 or 2: gray with or without alpha
    return image  # type: ignore[return-value]  # checked above


def to_gray(image: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return what :func:`read_image` gave as float32 (H, W) in [0, 1].

    8 bits are divided by 255, 16 bits by 65535; colour becomes BT.601 luma.
    """
    full_scale = np.float32(255 if image.dtype == np.uint8 else 65535)
    if image.ndim == 3:
        luma: NDArray[np.float32] = image.astype(np.float32) @ LUMA_BGR / full_scale
        return np.clip(luma, 0.0, 1.0)  # the weights' rounding may reach past 1
    gray: NDArray[np.float32] = image.astype(np.float32) / full_scale
    return gray


def read_gray(path: str | Path) -> NDArray[np.float32]:
    """Return an image file as float32 (H, W) in [0, 1], see :func:`to_gray`; errors as :func:`read_image`."""
    return to_gray(read_image(path))


def read_thermal(path: str | Path) -> NDArray[np.float32]:
    """Return a thermal image file as float32 (H, W) in [0, 1], as a robot would condition it as a first frame.

    16-bit counts are stretched between percentiles of the scene, for a camera's 14 bits in 16 would be nearly black;
    all else is as :func:`to_gray` gives it. Errors as :func:`read_image`.
    """
    image = read_image(path)
    if image.dtype == np.uint8 or image.ndim == 3:
        return to_gray(image)
    return ThermalConditioner().condition(Frame(image, 0, "", "mono16"))


def read_pair(paths: PairPaths) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return thermal by :func:`read_thermal` and visible by :func:`read_gray`, each float32 (H, W) in [0, 1].

    Training and evaluation both read so. Raises :class:`SourceError` where the sizes differ.
    """
    thermal, visible = read_thermal(paths.thermal), read_gray(paths.visible)
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
