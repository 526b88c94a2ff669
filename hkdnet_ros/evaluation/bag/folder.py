"""The folder of a result: whose it is, and how far it has come, so that a run goes on and none is overwritten."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import SourceError
from ...files import sync, written_whole

NAME = "run.json"


class ResultFolder:
    """A folder that one run owns: ``asked`` is all that its result follows from, ``found`` what came of it."""

    def __init__(self, path: Path, asked: Mapping[str, Any]) -> None:
        """Take a new or empty folder, or one of a run that was asked the same, for as long as this is not closed.

        Raises :class:`SourceError` for any other folder, for one that another process has, and where it cannot be
        written.
        """
        self.path = path
        self.is_new = not (path / NAME).is_file()
        asked = json.loads(json.dumps(asked))  # tuples become lists, as they are read back
        self.found: dict[str, Any] = {}
        if not self.is_new:
            there = read_run(path)
            if there["asked"] != asked:
                raise SourceError(f"{path}: holds the result of another run ({_difference(there['asked'], asked)}); "
                                  "choose another --out, or remove it")  # fmt: skip
            self.found = there["found"]
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise SourceError(f"{path}: is there and no result of an evaluation; choose another --out")
        self._asked = asked
        with _one_line(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise SourceError(
                f"{path}: another process writes a result there; wait for it, or choose another --out"
            ) from error
        except OSError:
            pass  # a file system that locks no folders, as NFS does not
        if self.is_new:
            with _one_line(path):
                self._write()

    def close(self) -> None:
        """Let others have the folder."""
        os.close(self._lock)

    @property
    def is_finished(self) -> bool:
        """Whether all that belongs to the result is there."""
        return bool(self.found)

    def finish(self, found: Mapping[str, Any]) -> None:
        """Say that all is there, and what was found: what can be written as JSON, not empty."""
        self.found = dict(found)
        with _one_line(self.path):
            self._write()

    def remove(self) -> None:
        """Remove the folder, where nothing came of a run that began in it."""
        if self.is_new:
            shutil.rmtree(self.path, ignore_errors=True)

    def _write(self) -> None:
        text = json.dumps({"asked": self._asked, "found": self.found}, indent=1, sort_keys=True)
        with written_whole(self.path / NAME) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
            sync(partial)


def read_run(path: Path) -> dict[str, Any]:
    """Return what was ``asked`` of a run and ``found`` by it, empty where it is not finished.

    Raises :class:`SourceError` where there is none.
    """
    try:
        run = json.loads((path / NAME).read_text(encoding="utf-8"))
        return {"asked": run["asked"], "found": run["found"]}
    except OSError as error:
        raise SourceError(f"{path}: holds no result of `hkdnet evaluate bag`; name its --out folder") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path / NAME}: is damaged; remove the folder and evaluate again") from error


def title_of(spec: str) -> str:
    """Return what a recording is called: by its file or folder, and two files of one folder by that."""
    paths = [Path(word) for word in spec.split(",")]
    parents = {path.parent for path in paths}
    if len(paths) > 1 and len(parents) == 1 and (name := parents.pop().name):
        return name
    return ", ".join(path.name for path in paths)


def _difference(there: Any, asked: Any, name: str = "") -> str:
    """Return the first thing in which two requests differ, in words."""
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in sorted({*there, *asked}):
            if there.get(key) != asked.get(key):
                return _difference(there.get(key), asked.get(key), f"{name}.{key}".strip("."))
    return f"{name} was {there}, now {asked}"


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
