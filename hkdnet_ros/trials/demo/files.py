"""The folder that a demo leaves: fused images, a video, an overview, figures, and the logs of its processes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from ...errors import SourceError
from ...evaluation.side_by_side import Moment, evenly, side_by_side, stacked
from ...sources.video_writer import VideoWriter
from .report import DemoFigures, to_json, to_markdown

FRAMES = "frames"
VIDEO = "side_by_side.mp4"
OVERVIEW = "overview.png"
SUMMARY_PAGE, SUMMARY_DATA = "summary.md", "summary.json"
OVERVIEW_ROWS = 3


class DemoFiles:
    """What is in ``folder``. Raises :class:`SourceError` where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        """Create the folder; nothing in it changes yet."""
        self.folder = folder
        with _writing(folder):
            (folder / FRAMES).mkdir(parents=True, exist_ok=True)
            for path in (folder, folder / FRAMES):
                with tempfile.TemporaryFile(dir=path):
                    pass

    def clear(self) -> None:
        """Remove what an earlier demo left."""
        with _writing(self.folder):
            for old in (self.folder / FRAMES).glob("[0-9][0-9][0-9][0-9][0-9].png"):
                old.unlink()
            for name in (VIDEO, OVERVIEW, SUMMARY_PAGE, SUMMARY_DATA):
                (self.folder / name).unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """Return the file for the output of the process ``name``."""
        return self.folder / f"{name}.log"

    def write_pictures(self, moments: Iterable[Moment], count: int, fps: float, keep_every: int) -> None:
        """Write each of the ``count`` moments' fused image and all of them as a video, some as an overview.

        ``fps`` is the rate of the video; ``keep_every`` numbers the files by the fused images that they stand for.
        """
        rows = []
        chosen = set(evenly(count, OVERVIEW_ROWS))
        video: VideoWriter | None = None
        try:
            for index, moment in enumerate(moments):
                _write_png(self.folder / FRAMES / f"{index * keep_every:05d}.png", moment.fused)
                view = side_by_side(moment)
                if index in chosen:
                    rows.append(view)
                if video is None:
                    video = VideoWriter(self.folder / VIDEO, fps, (view.shape[1], view.shape[0]))
                video.write(view)
        finally:
            if video is not None:
                video.close()
        _write_png(self.folder / OVERVIEW, stacked(rows))

    def write_summary(self, figures: DemoFigures) -> None:
        """Write the figures as summary.md and summary.json."""
        _write(self.folder / SUMMARY_PAGE, to_markdown(figures, OVERVIEW).encode())
        _write(self.folder / SUMMARY_DATA, to_json(figures).encode())


def _write_png(path: Path, image: NDArray[Any]) -> None:
    # Level 1 takes a third of the time of the default and gives files a tenth larger.
    _write(path, cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def _write(path: Path, data: bytes) -> None:
    with _writing(path):
        path.write_bytes(data)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
