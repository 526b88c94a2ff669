"""Reads a result back: its tables as arrays, in the memory that a day of frames takes."""

from __future__ import annotations

import zipfile
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import SourceError
from ...images.frames import THERMAL, VISIBLE
from .downstream.tracks import Followed, read_followed
from .folder import read_run
from .frame_products import BASE
from .panes import Image, entry, part_file
from .tables import columns_of, read_table

Array = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stream:
    """The images of one camera as they arrived: stamps and times of arrival in ns, and motion (NaN: not known)."""

    stamps: Times
    arrived: Times
    motion: Array


@dataclass(frozen=True, slots=True)
class Result:
    """What one recording gave; see :class:`~.run.Outcome` for ``found``.

    Times are in ns. ``skews`` are in ns, NaN where one image was taken alone. ``measures`` are by column and have a
    value, or NaN, for each of the frames ``measured``. ``timings`` are in ms by stage.
    """

    path: Path
    asked: Mapping[str, Any]
    found: Mapping[str, Any]
    streams: Mapping[str, Stream]
    stamps: Times
    recorded: Times
    skews: Array
    modes: tuple[str, ...]
    mode_of: NDArray[np.int32]
    checksums: tuple[str, ...]
    measured: NDArray[np.int64]
    measures: Mapping[str, Array]
    timings: Mapping[str, Array]
    drops: tuple[tuple[int, str], ...]
    changes: tuple[tuple[int, str, str], ...]
    log: tuple[tuple[int, str, str], ...]
    followed: Followed | None = None

    @property
    def start_ns(self) -> int:
        """When the first image arrived."""
        return min((int(stream.arrived.min()) for stream in self.streams.values() if len(stream.arrived)), default=0)

    @property
    def end_ns(self) -> int:
        """When the last image arrived."""
        return max((int(stream.arrived.max()) for stream in self.streams.values() if len(stream.arrived)), default=0)

    @property
    def title(self) -> str:
        """What the recording is called, for people."""
        return str(self.asked["title"])

    def seconds(self, times: Times) -> Array:
        """Return times as seconds since the first image arrived."""
        return (times - self.start_ns) / 1e9

    def mean(self, measure: str) -> float | None:
        """Return the mean of a measure over the frames that have it, None where none has."""
        values = self.measures.get(measure, np.zeros(0))
        return float(np.nanmean(values)) if np.isfinite(values).any() else None


def read_result(path: Path) -> Result:
    """Return the finished result in a folder; raises :class:`SourceError` where there is none."""
    run = read_run(path)
    if not run["found"]:
        raise SourceError(f"{path}: is not finished; run the same `hkdnet evaluate bag` again, it goes on")
    try:
        return _read(path, run)
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(f"{path}: is damaged ({error}); remove it and evaluate again") from error


def _read(path: Path, run: Mapping[str, Any]) -> Result:
    table = path / "frames.csv"
    names = [name for name in columns_of(table) if name not in BASE]
    stamps, recorded, skews, modes = array("q"), array("q"), array("d"), array("i")
    numbers: dict[str, int] = {}
    checksums = []
    measured = array("q")
    measures = {name: array("d") for name in names}
    for number, row in enumerate(read_table(table)):
        stamps.append(int(row["stamp_ns"]))
        recorded.append(int(row["recorded_ns"]))
        skews.append(float(row["skew_ns"] or "nan"))
        modes.append(numbers.setdefault(row["mode"], len(numbers)))
        checksums.append(row["crc32"])
        if any(row[name] for name in names):
            measured.append(number)
            for name, values in measures.items():
                values.append(float(row[name] or "nan"))
    return Result(
        path,
        run["asked"],
        run["found"],
        _streams(path),
        np.array(stamps, np.int64),
        np.array(recorded, np.int64),
        np.array(skews),
        tuple(numbers),
        np.array(modes, np.int32),
        tuple(checksums),
        np.array(measured, np.int64),
        {name: np.array(values) for name, values in measures.items()},
        _timings(path / "timings.csv"),
        tuple((int(row["arrived_ns"]), row["reason"]) for row in read_table(path / "drops.csv")),
        tuple((int(row["arrived_ns"]), row["mode"], row["cause"]) for row in read_table(path / "modes.csv")),
        tuple((int(row["arrived_ns"]), row["severity"], row["line"]) for row in read_table(path / "log.csv")),
        read_followed(path),
    )


def _streams(path: Path) -> dict[str, Stream]:
    columns = {stream: (array("q"), array("q"), array("d")) for stream in (THERMAL, VISIBLE)}
    for row in read_table(path / "images.csv"):
        stamps, arrived, motion = columns[row["stream"]]
        stamps.append(int(row["stamp_ns"]))
        arrived.append(int(row["arrived_ns"]))
        motion.append(float(row["motion"] or "nan"))
    return {
        stream: Stream(np.array(stamps, np.int64), np.array(arrived, np.int64), np.array(motion))
        for stream, (stamps, arrived, motion) in columns.items()
    }


def _timings(path: Path) -> dict[str, Array]:
    columns = {name: array("d") for name in columns_of(path) if name != "frame"}
    for row in read_table(path):
        for name, values in columns.items():
            values.append(float(row[name] or "nan"))
    return {name: np.array(values) for name, values in columns.items()}


def read_panes(path: Path, frame: int, part: int) -> dict[str, Image]:
    """Return the panes of a frame, of which each ``part`` has so many; those that there are, by name."""
    panes = {}
    with zipfile.ZipFile(part_file(path / "panes", frame // part)) as file:
        there = set(file.namelist())
        for name in (THERMAL, VISIBLE, "fused"):
            if entry(frame, name) in there:
                image = cv2.imdecode(np.frombuffer(file.read(entry(frame, name)), np.uint8), cv2.IMREAD_UNCHANGED)
                assert image is not None
                panes[name] = image.astype(np.uint8, copy=False)
    return panes


def drop_counts(result: Result) -> Counter[str]:
    """Return the drops by reason."""
    return Counter(reason for _, reason in result.drops)
