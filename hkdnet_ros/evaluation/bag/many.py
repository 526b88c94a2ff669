"""Many recordings, one report: a pool of workers evaluates them, and one that fails does not end the others."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import ConfigError, SourceError
from ...files import make_folder, write_file
from ...inference.auto_engine import AutoEngine
from ...inference.config import AUTO, EngineConfig
from ...inference.engine_api import load_engine
from ...sources.bags.folder import SUFFIXES as BAG_SUFFIXES
from ...sources.opening import VIDEO_SUFFIXES
from .evaluate import REPORT, Task, fingerprint
from .folder import NAME as RUN
from .folder import title_of
from .overview import overview_page
from .progress import OverallBar
from .summary import NAME as SUMMARY

NAME = "recordings.json"
"""In the folder of many results: the recordings that were named last, each with its error or ""."""

TRIES = 3
"""So often a recording is begun, where its worker was killed."""

TICK_S = 2.0
"""So often a pool says how it goes."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What a pool says now and then: the numbers of tasks that are over, each with its error or "", and of those at
    work."""

    over: Mapping[int, str]
    running: Sequence[int]


Pool = Callable[[Sequence[Task]], Generator[Tick, None, None]]


def evaluate_many(tasks: Sequence[Task], pool: Pool, out: Path) -> dict[str, str]:
    """Evaluate ``tasks``, whose results lie in ``out``, by ``pool``, and write the page over all of them there.

    Return what went wrong, by the name of the result. Raises :class:`SourceError` where ``out`` has anything but such
    results in it, and what the pool raises.
    """
    errors: dict[int, str] = {}
    with contextlib.closing(pool(tasks)) as ticks:
        _claim(out)
        sizes = [int(fingerprint(task.files)["bytes"]) for task in tasks]
        with contextlib.closing(OverallBar([task.out for task in tasks], sizes)) as bar:
            for tick in ticks:
                over = {number: error or _unseen(tasks[number]) for number, error in tick.over.items()}
                errors.update(over)
                bar.show(over, tick.running)
    said = {task.out.name: errors[number] for number, task in enumerate(tasks)}
    there = {"hkdnet_ros": __version__, "recordings": said}
    write_file(out / NAME, (json.dumps(there, indent=1) + "\n").encode())
    failed = {name: error for name, error in said.items() if error}
    done = [task.out for task in tasks if not said[task.out.name]]
    write_file(out / REPORT, overview_page(done, failed).encode())
    return failed


def folders_for(specs: Sequence[str], out: Path) -> list[Path]:
    """Return a folder in ``out`` for each recording: its name, with a number behind it where that is taken."""
    folders: list[Path] = []
    taken: set[Path] = set()
    for spec in specs:
        stem = _without_suffix(title_of(spec).split(",")[0]) or spec
        names = (stem, *(f"{stem}_{number}" for number in range(2, len(specs) + 2)))
        folders.append(next(folder for name in names if (folder := out / name) not in taken))
        taken.add(folders[-1])
    return folders


def _without_suffix(name: str) -> str:
    """Return the name of a recording without what says its format; dates and versions may have dots, too."""
    name = name.removesuffix(".zstd")
    path = Path(name)
    return path.stem if path.suffix.lower() in (*BAG_SUFFIXES, *VIDEO_SUFFIXES) else name


def settled(config: EngineConfig, cores: int) -> EngineConfig:
    """Return ``config`` for workers with ``cores`` cores each, with what ``auto`` means on this machine said by name.

    Else each worker would find it out by itself, under other load and on other machines, and the results might differ.
    Where CUDA is asked for, nothing is left to be measured. Raises what :func:`load_engine` does, and
    :class:`ConfigError` where the two networks of model ``auto`` got different ones.
    """
    config = dataclasses.replace(config, threads=config.threads or cores)
    if config.device.startswith("cuda"):
        return config
    chosen: dict[str, Any] = {}
    with contextlib.closing(load_engine(dataclasses.replace(config, threads=0))) as engine:
        engines = engine.engines if isinstance(engine, AutoEngine) else (engine,)
        for name in ("device", "backend", "precision"):
            found = list(dict.fromkeys(str(getattr(one, name)) for one in engines))
            if getattr(config, name) != AUTO:
                continue
            if len(found) > 1:
                raise ConfigError(
                    f"{name} {AUTO} is {' and '.join(found)} for the two networks here; name one for all workers, as "
                    f"in -p {name}:={found[0]}"
                )
            chosen[name] = found[0]
    return dataclasses.replace(config, **chosen)


def _claim(out: Path) -> None:
    """Take a folder that is new or empty, or has such results in it."""
    if (out / RUN).is_file():
        raise SourceError(f"{out}: holds the result of one recording; choose another --out for several")
    is_ours = (out / NAME).is_file()
    if out.exists() and not is_ours and (not out.is_dir() or any(out.iterdir())):
        raise SourceError(f"{out}: is there and holds no evaluated recordings; choose another --out")
    make_folder(out)
    if not is_ours:
        write_file(out / NAME, (json.dumps({"hkdnet_ros": __version__, "recordings": {}}) + "\n").encode())


def _unseen(task: Task) -> str:
    """Return what to say where a worker has done a task and nothing of it is to be seen here."""
    if (task.out / SUMMARY).is_file():
        return ""
    return f"{task.spec}: {task.out} does not show its result here; --out must be a folder that all machines share"
