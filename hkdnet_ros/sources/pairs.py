"""Which image files of two folders are pairs: by the same name, or by what patterns find in their names."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError, SourceError
from ..images import color
from ..images.files import read_thermal, read_visible
from ..images.frames import Frame
from ..perception.intake import ThermalIntake
from ..perception.log import OnceLog
from ..perception.thermal import ThermalConditioner

_log = OnceLog(logging.getLogger(__name__))

IMAGE_SUFFIXES = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".jp2",
        ".pgm", ".ppm", ".pnm", ".pbm",
    }
)  # fmt: skip
"""Files with other suffixes are passed over."""

Key = str | tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class PairPaths:
    """The two files of one pair; ``name`` is the thermal file's, with its suffix and the folders that it was found in.

    Folders come into it only where patterns look into them.
    """

    name: str
    thermal: Path
    visible: Path


@dataclass(frozen=True, slots=True)
class Matched:
    """Pairs, sorted by name, and a line about each file or group of files that is in none."""

    pairs: list[PairPaths]
    problems: list[str]


def list_pairs(folder: str | Path) -> list[PairPaths]:
    """Return the pairs of ``folder``, sorted by name: those of its ``thermal/`` and ``visible/``.

    Files match by name without suffix, so that a 16-bit ``a.tiff`` pairs with ``a.jpg``. Raises :class:`SourceError`
    for a missing folder, an empty set, a name twice on one side, and names without a partner: a set to train or to
    measure on is the one that it was meant to be.
    """
    root = Path(folder)
    matched = match_folders(root / "thermal", root / "visible")
    if matched.problems:
        raise SourceError(f"{'; '.join(matched.problems)}; add or remove them")
    return matched.pairs


def match_folders(thermal_folder: Path, visible_folder: Path, patterns: tuple[str, str] | None = None) -> Matched:
    """Return the pairs of two folders, and what is in none.

    Without ``patterns`` files match by name without suffix. Else the thermal and the visible one are regular
    expressions that match the whole name, with or without suffix, and files pair for which their groups find the same:
    ``ir_(.*)`` and ``vis_(.*)``. With a ``/`` in them they match the path below the folder, and folders inside are
    looked into. Files that a pattern does not match are passed over.

    Raises :class:`SourceError` for a folder that is missing or cannot be listed, for one folder given twice without
    patterns and where not one pair is found; :class:`ConfigError` for patterns that are none.
    """
    if patterns is None:
        for folder in (thermal_folder, visible_folder):
            _check_folder(folder)
        if os.path.samefile(thermal_folder, visible_folder):
            raise SourceError(
                f"{thermal_folder} and {visible_folder} are one folder: each image would be fused with itself; give "
                "two, or patterns that tell their names apart (--match 'ir_(.*)' 'vis_(.*)')"
            )
    expressions = [None, None] if patterns is None else [_expression(pattern) for pattern in patterns]
    problems: list[str] = []
    thermal, visible = (
        _by_key(folder, expression, problems)
        for folder, expression in zip((thermal_folder, visible_folder), expressions, strict=True)
    )
    for side, alone in (
        (thermal_folder, [thermal[key] for key in thermal.keys() - visible.keys()]),
        (visible_folder, [visible[key] for key in visible.keys() - thermal.keys()]),
    ):
        if alone:
            names = (path.stem if patterns is None else str(path.relative_to(side)) for path in alone)
            wanted = "of the same name" if patterns is None else "by these patterns"
            problems.append(f"{side}: {len(alone)} image(s) without a partner {wanted}: {_some(names)}")
    pairs = []
    for key in thermal.keys() & visible.keys():
        paths = PairPaths(thermal[key].relative_to(thermal_folder).as_posix(), thermal[key], visible[key])
        if is_one_file(paths.thermal, paths.visible):
            problems.append(f"{paths.thermal} and {paths.visible} are one file")
        else:
            pairs.append(paths)
    if not pairs:
        raise SourceError(_nothing(thermal_folder, visible_folder, problems))
    return Matched(sorted(pairs, key=lambda pair: pair.name), problems)


def is_one_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file; paths that lead nowhere do not."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def read_gray(path: str | Path) -> NDArray[np.float32]:
    """Return the luma of an image file as float32 (H, W) in [0, 1], as the node takes that of a visible image.

    Full scale is 1. Errors as :func:`~hkdnet_ros.images.files.read_image`, and for floats.
    """
    try:
        luma = color.luma(*read_visible(path))
    except ImageError as error:
        raise SourceError(f"{path}: {error}") from error
    return luma if luma.dtype == np.float32 else np.divide(luma, np.float32(255), dtype=np.float32)


def read_conditioned(path: str | Path) -> NDArray[np.float32]:
    """Return a thermal image file as float32 (H, W) in [0, 1], as the node would condition it as a first frame.

    Counts, floats, and 8 bits of few levels are stretched between percentiles of the scene, for a camera's 14 bits in
    16 would be nearly black; a scene without contrast stays flat. Margins are cut off and the palette of a rendering is
    undone. All else is as :func:`read_gray` gives it. Errors as :func:`~hkdnet_ros.images.files.read_image`, and for
    floats most of which are not finite.
    """
    image, encoding = read_thermal(path)
    try:
        return ThermalConditioner(log=_log).condition(ThermalIntake(log=_log).take(Frame(image, 0, "", encoding)))
    except ImageError as error:
        raise SourceError(f"{path}: {error}") from error


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


def check_usable(pairs: Sequence[PairPaths], problems: Sequence[str]) -> None:
    """Raise :class:`SourceError` where ``problems``, a line for each of these pairs that cannot be used, is not empty.

    A set to train or to measure on is used whole or not at all, but who mends it wants to hear of all that is wrong.
    """
    if problems:
        some = "; ".join(problems[:3]) + "; ..." * (len(problems) > 3)
        raise SourceError(f"{len(problems)} of {len(pairs)} pairs cannot be used, mend or remove them: {some}")


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--match {pattern!r} is no regular expression: {error}") from error
    if not expression.groups:
        raise ConfigError(f"--match {pattern!r} has no group; put what both names share in parentheses, as 'ir_(.*)'")
    return expression


def _by_key(folder: Path, expression: re.Pattern[str] | None, problems: list[str]) -> dict[Key, Path]:
    """Return the images of ``folder`` by what pairs them; a line about those that share it goes to ``problems``."""
    found: dict[Key, list[Path]] = {}
    for path in _images(folder, inside="/" in expression.pattern if expression else False):
        key = _key(path.relative_to(folder), expression)
        if key is not None:
            found.setdefault(key, []).append(path)
    for paths in found.values():
        if len(paths) > 1:
            names = " and ".join(str(path.relative_to(folder)) for path in paths)
            problems.append(f"{folder}: {names} {'bear' if expression is None else 'match as'} one name")
    return {key: paths[0] for key, paths in found.items() if len(paths) == 1}


def _key(path: Path, expression: re.Pattern[str] | None) -> Key | None:
    # One letter with a dot above may be written as one character or as two, and archives differ in it.
    name = unicodedata.normalize("NFC", path.as_posix())
    if expression is None:
        return PurePosixPath(name).stem
    match = expression.fullmatch(name.removesuffix(PurePosixPath(name).suffix)) or expression.fullmatch(name)
    return match.groups() if match else None


def _images(folder: Path, inside: bool) -> Iterator[Path]:
    """Yield the image files of ``folder``, and of the folders inside it, in the order of their names.

    Hidden ones are left out: macOS puts a ``._a.png`` beside each ``a.png``. A link that leads nowhere is there to be
    missed by who reads it.
    """
    _check_folder(folder)
    try:
        entries = sorted(folder.iterdir())
    except OSError as err:
        raise SourceError(f"{folder}: cannot be listed ({err.strerror})") from err
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if inside and not path.is_symlink():  # a link may lead back up
                yield from _images(path, inside)
        elif path.suffix.lower() in IMAGE_SUFFIXES and (path.is_file() or path.is_symlink()):
            yield path


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; pairs are expected as thermal/NAME and visible/NAME")


def _nothing(thermal_folder: Path, visible_folder: Path, problems: list[str]) -> str:
    """Return why there is no pair."""
    if problems:
        return f"no pair of images: {'; '.join(problems)}"
    return f"{thermal_folder} and {visible_folder} hold no images; expected files of the same names"


def _some(names: Iterable[str], most: int = 3) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:most]) + (", ..." if len(ordered) > most else "")
