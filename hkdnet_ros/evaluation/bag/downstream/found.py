"""What a detector found in a frame of a finished result, looked up and drawn."""

from __future__ import annotations

import bisect
import csv
from array import array
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..panes import Image
from .tracks import OBJECT_COLUMNS


class FoundObjects:
    """The objects of objects.csv, found again by the number of their frame; none where there is no such file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames, self._places = array("q"), array("q")  # where the rows of a frame begin
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.readline()
            place = file.tell()
            for line in file:
                frame = int(line.partition(b",")[0])
                if not self._frames or self._frames[-1] != frame:
                    self._frames.append(frame)
                    self._places.append(place)
                place += len(line)
            self._places.append(place)

    def of(self, frame: int) -> dict[str, list[list[float]]]:
        """Return left, top, right, bottom and score of what was found in a frame, by image; nothing for any other."""
        at = bisect.bisect_left(self._frames, frame)
        found: dict[str, list[list[float]]] = {}
        if at == len(self._frames) or self._frames[at] != frame:
            return found
        with self._path.open("rb") as file:
            file.seek(self._places[at])
            lines = file.read(self._places[at + 1] - self._places[at]).decode().splitlines()
        for row in csv.DictReader(lines, OBJECT_COLUMNS):
            if row["class"]:
                sides = [float(row[name]) for name in ("left", "top", "right", "bottom", "score")]
                found.setdefault(row["image"], []).append(sides)
        return found


def drawn(image: Image, boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> Image:
    """Return an image with boxes drawn, white in black; they are in pixels of an image of ``size`` (width, height)."""
    picture: Image = image.copy() if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    scale = np.tile((picture.shape[1] / size[0], picture.shape[0] / size[1]), 2)
    for box in boxes:
        left, top, right, bottom = np.rint(np.array(box[:4]) * scale).astype(int).tolist()
        for level, width in ((0, 3), (255, 1)):
            cv2.rectangle(picture, (left, top), (right, bottom), (level,) * 3, width)
    return picture
