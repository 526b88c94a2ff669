"""How far many recordings are: each notes it in its own result, and one bar over all adds it up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

_EVERY_S = 1.0
_STEPS = 10_000  # of the bar over all


class Noted:
    """Stands in for a progress bar: notes frames done, of how many, in a file of the result, at most once a second."""

    def __init__(self, folder: Path, total: int | None, desc: str, unit: str) -> None:
        self._path = _file(folder)
        self._total = total or 0
        self._done = 0
        self._noted_at = 0.0

    def __enter__(self) -> Noted:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()

    def update(self) -> None:
        """Count a frame."""
        self._done += 1
        if (now := time.monotonic()) - self._noted_at >= _EVERY_S:
            self._noted_at = now
            with contextlib.suppress(OSError):  # a full disk is met, and said, where the frames are written
                self._path.write_text(f"{self._done} {self._total}")


def frames_of(folder: Path) -> tuple[int, int]:
    """Return how many frames an evaluation under way has done, and of how many; zeros where it has noted nothing."""
    try:
        done, total = map(int, _file(folder).read_text().split())
    except (OSError, ValueError):
        return 0, 0
    return done, total


def _file(folder: Path) -> Path:
    return folder / "parts" / "progress"


class OverallBar:
    """One bar over many recordings, each of which counts by its ``sizes``; the time left is told from them, too."""

    def __init__(self, folders: Sequence[Path], sizes: Sequence[int]) -> None:
        self._folders = folders
        self._sizes = [max(size, 1) for size in sizes]
        self._over: set[int] = set()
        self._failed = 0
        self._shares = [0.0] * len(folders)
        self._bar = tqdm(
            total=_STEPS,
            bar_format="{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]",
            desc=self._said,
        )

    @property
    def _said(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{len(self._over)} of {len(self._folders)} recordings{failed}"

    def show(self, over: Mapping[int, str], running: Sequence[int]) -> None:
        """Show what is ``over``, each with its error or "", and how far those are that are ``running``."""
        self._over.update(over)
        self._failed += sum(map(bool, over.values()))
        for number in over:
            self._shares[number] = 1.0
        for number in running:
            done, total = frames_of(self._folders[number])
            if total:  # else it begins, or begins anew elsewhere: what it had done still counts
                self._shares[number] = min(done / total, 1.0)
        whole = sum(share * size for share, size in zip(self._shares, self._sizes, strict=True)) / sum(self._sizes)
        self._bar.set_description_str(self._said, refresh=False)
        self._bar.n = round(whole * _STEPS)
        self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
