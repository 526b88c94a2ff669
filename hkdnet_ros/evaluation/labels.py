"""Labelled objects beside a folder's pairs, in YOLO's text files: ``labels/NAME.txt``, and ``labels/classes.txt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import SourceError
from .boxes import COCO_CLASSES, Objects

NAMES = "classes.txt"


class Labels:
    """The labels in a folder.

    A line of ``NAME.txt`` is an object in the pair NAME: class, x and y of the centre, width and height, the last four
    as shares of the image's sides. The class is the number of a line of ``classes.txt``, from 0; without that file
    it is COCO's. Classes whose names are not COCO's are passed over, for no detector of COCO finds them. A pair
    without a file has no objects. Raises :class:`SourceError` where no class is COCO's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: Sequence[str] = COCO_CLASSES
        if (folder / NAMES).exists():
            self._names = [line.strip().lower() for line in _lines(folder / NAMES) if line.strip()]
        self.classes = {COCO_CLASSES.index(name) for name in self._names if name in COCO_CLASSES}
        if not self.classes:
            raise SourceError(f"{folder / NAMES}: names none of COCO's classes, such as {', '.join(COCO_CLASSES[:3])}")

    def of(self, stem: str, width: int, height: int) -> Objects:
        """Return what is labelled in the pair of the name ``stem``, whose images are ``width`` x ``height``.

        Raises :class:`SourceError`, naming the line, for what is no label.
        """
        path = self._folder / f"{stem}.txt"
        boxes, classes = [], []
        for number, line in enumerate(_lines(path) if path.exists() else [], start=1):
            if not line.strip():
                continue
            try:
                kind, x, y, w, h = int(line.split()[0]), *(float(word) for word in line.split()[1:])
                if min(w, h) <= 0 or not 0 <= kind < len(self._names):
                    raise ValueError
            except ValueError as err:
                raise SourceError(
                    f"{path}: line {number} is {line.strip()!r}; expected a class from 0 to {len(self._names) - 1}, "
                    "x and y of the centre, width and height as shares of the image"
                ) from err
            if self._names[kind] in COCO_CLASSES:
                classes.append(COCO_CLASSES.index(self._names[kind]))
                boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        corners = np.asarray(boxes, np.float32).reshape(-1, 4) * np.asarray((width, height, width, height), np.float32)
        return Objects(corners, np.ones(len(classes), np.float32), np.asarray(classes, np.int64))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise SourceError(f"{path}: cannot be read ({err})") from err
