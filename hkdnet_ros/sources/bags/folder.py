"""Which files a bag has: what its metadata.yaml lists, or what lies in its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from ...errors import SourceError

SUFFIXES = (".mcap", ".db3", ".bag")
_NAME = re.compile(r"(.*?)(?:_(\d+))?(\.(?:mcap|db3|bag))(?:\.zstd|\.active)?")


def is_bag(path: Path) -> bool:
    """Tell whether ``path`` is a bag's file or folder, by its name and the names in it."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or bool(_files_in(path))
    return path.is_file() and _is_named_so(path)


def bag_files(bag: Path) -> tuple[list[Path], str]:
    """Return the files of a bag in the order they were written, and what is wrong with its metadata.yaml, else ``""``.

    Without one, as a recorder leaves a folder that was killed, they are those in the folder. Raises
    :class:`SourceError` where there are none, or those of several bags.
    """
    if not bag.is_dir():
        return [bag], ""
    there = _files_in(bag)
    listed, problem = _listed(bag / "metadata.yaml")
    if listed:
        found = [path for name in listed if (path := _named(bag, name)) is not None]
        missing = [name for name in listed if _named(bag, name) is None]
        others = [path.name for path in there if path not in found]
        if missing and found:
            problem = f"lacks {_some(missing)}, which its metadata.yaml lists; the other files are read"
        elif others and found:
            problem = f"{_some(others)} beside it is not listed in its metadata.yaml and not read"
        if problem:
            problem += f"; `ros2 bag reindex {bag.name}` lists what is there"
        if found:
            return found, problem
    if not there:
        lacking = f", not even {_some(listed)}" if listed else ""
        raise SourceError(f"{bag}: no file of a recording is in it{lacking}; expected {', '.join(SUFFIXES)}")
    names = sorted({_without_number(path.name) for path in there})
    if len(names) > 1:
        raise SourceError(
            f"{bag}: holds several recordings: {_some(path.name for path in there)}; name one, or those that were "
            "recorded side by side as A,B"
        )
    if not problem and len(there) > 1 and there[0].suffix != ".bag":
        problem = "has no metadata.yaml, as after a recorder that was killed"
    if problem:
        problem += f"; every one of its {len(there)} files is read; `ros2 bag reindex {bag.name}` writes a new one"
    return there, problem


def _listed(metadata: Path) -> tuple[list[str], str]:
    """Return the names of the files in a metadata.yaml and what is wrong with it; none and ``""`` without it."""
    if not metadata.is_file():
        return [], ""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        information = YAML(typ="safe").load(metadata)["rosbag2_bagfile_information"]
        return [PurePath(str(path)).name for path in information["relative_file_paths"]], ""
    except (OSError, YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return [], "has a metadata.yaml that cannot be read"


def _named(folder: Path, name: str) -> Path | None:
    """Return the file of that name, also where it was compressed or unpacked since."""
    for wanted in (name, f"{name}.zstd", name.removesuffix(".zstd")):
        if (folder / wanted).is_file():
            return folder / wanted
    return None


def _files_in(folder: Path) -> list[Path]:
    try:
        files = [path for path in folder.iterdir() if path.is_file() and _is_named_so(path)]
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed ({error.strerror})") from error
    unpacked = {path.name for path in files}
    return sorted((path for path in files if path.name.removesuffix(".zstd") not in unpacked - {path.name}), key=_order)


def _is_named_so(path: Path) -> bool:
    return _NAME.fullmatch(path.name) is not None and not path.name.startswith(".")


def _order(path: Path) -> tuple[str, int]:
    """Sort NAME_2 before NAME_10."""
    parts = _NAME.fullmatch(path.name)
    return _without_number(path.name), int(parts[2] or -1) if parts else -1


def _without_number(name: str) -> str:
    """Return what the files of one split bag share: NAME_0.db3, or NAME_2026-01-31-10-00-00_0.bag of ROS 1."""
    parts = _NAME.fullmatch(name)
    assert parts is not None
    stem, number, suffix = parts.groups()
    return (stem if number is None else re.sub(r"_?\d{4}(-\d\d){5}$", "", stem)) + suffix


def _some(names: Iterable[str], most: int = 4) -> str:
    ordered = list(names)
    return ", ".join(ordered[:most]) + (f" and {len(ordered) - most} more" if len(ordered) > most else "")
