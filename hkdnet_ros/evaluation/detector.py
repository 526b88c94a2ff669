"""Any detector of COCO's classes from an ONNX file, and objects found by it in an image of any size.

A detector takes images of one size. A larger image is looked at in tiles at its own resolution, for small objects, and
once as a whole, for large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError, MissingDependencyError
from ..images.resampling import resample
from .boxes import COCO_CLASSES, Objects, joined, without_doubles

DOUBLE = 0.45
"""Two boxes of one class that overlap by more than this IoU are one object, found twice."""

USUAL_SIDE = 640
"""What a side of the input is taken to be that the file leaves open: that of most detectors of COCO."""

CUT = 2.0
"""A box that ends within so many pixels of a tile's inner border was cut by it; a neighbouring tile has it whole."""

_FEATURES = 5 + len(COCO_CLASSES)  # a box, how surely it is an object, and the classes


class Detector(Protocol):
    """What finds objects in gray images (H, W) of the one ``size`` it takes, (height, width)."""

    @property
    def size(self) -> tuple[int, int]: ...

    def __call__(self, image: NDArray[np.uint8]) -> Objects: ...


class OnnxDetector:
    """A detector from an ONNX file, run on the CPU by onnxruntime.

    Input is one image (1, 3, H, W), float32 in [0, 1]. Four layouts of output are known, told apart by their shapes:
    FastestDet's grid (1, 85, h, w), that of YOLOv5 to v7 (1, N, 85), that of YOLOv8 and later (1, 84, N), and boxes
    without doubles (1, N, 6), as of YOLOv10. Raises :class:`MissingDependencyError` where onnxruntime is missing,
    :class:`CheckpointError` for a file that is no such detector.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependencyError("a detector needs onnxruntime; pip install onnxruntime") from error
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; give a detector in ONNX form")
        self._path = path
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own have no root in common
            reason = " ".join(str(error).split())
            raise CheckpointError(f"{path}: cannot be loaded as an ONNX file ({reason})") from error
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or shape[1] != 3:
            raise CheckpointError(f"{path}: takes {inputs[0].type} {shape}; expected one image (1, 3, H, W), float32")
        self._input = inputs[0].name
        height, width = (side if isinstance(side, int) else USUAL_SIDE for side in shape[2:])
        self.size = (height, width)
        self(np.zeros(self.size, np.uint8))  # so that a wrong output is named now and not after the first fusion

    def __call__(self, image: NDArray[np.uint8]) -> Objects:
        """Return all that is seen in a gray ``image`` of ``size``, however unsure and as often as it is seen."""
        gray = np.divide(image, 255, dtype=np.float32)
        try:
            outputs = self._session.run(None, {self._input: np.repeat(gray[None, None], 3, axis=1)})
        except Exception as error:  # as above
            raise CheckpointError(f"{self._path}: cannot be run ({' '.join(str(error).split())})") from error
        shape = outputs[0].shape
        read = _layout(shape)
        if read is None:
            raise CheckpointError(
                f"{self._path}: gives {shape}; expected a detector of COCO's {len(COCO_CLASSES)} classes with "
                f"(1, {_FEATURES}, h, w), (1, N, {_FEATURES}), (1, {_FEATURES - 1}, N) or (1, N, 6)"
            )
        return read(outputs[0][0].astype(np.float32), *self.size)


def _layout(shape: tuple[int, ...]) -> Callable[[NDArray[np.float32], int, int], Objects] | None:
    """Return what reads an output of ``shape``, without its first axis."""
    if shape[:2] == (1, _FEATURES) and len(shape) == 4:
        return read_grid
    if len(shape) != 3 or shape[0] != 1:
        return None
    if shape[2] == _FEATURES:
        return read_rows
    if shape[1] == _FEATURES - 1:
        return read_columns
    return read_ready if shape[2] == 6 else None


def read_grid(output: NDArray[np.float32], height: int, width: int) -> Objects:
    """Return the objects of FastestDet (85, h, w): objectness, centre in the cell, sides, classes, for each cell.

    A centre is the cell's corner and the tanh of the offset, in cells; a side is the sigmoid's share of the input; the
    score is objectness ** 0.6 * class ** 0.4 (github.com/dog-qiuqiu/FastestDet).
    """
    rows, columns = output.shape[1:]
    y, x = np.mgrid[:rows, :columns]
    centres = (x + np.tanh(output[1])) * (width / columns), (y + np.tanh(output[2])) * (height / rows)
    sides = width / (1 + np.exp(-output[3])), height / (1 + np.exp(-output[4]))
    boxes = np.stack([*centres, *sides], axis=-1).reshape(-1, 4)
    classes = output[5:].reshape(len(COCO_CLASSES), -1).T
    return _of_surest_class(boxes, classes**0.4 * output[0].reshape(-1, 1) ** 0.6)


def read_rows(output: NDArray[np.float32], height: int, width: int) -> Objects:
    """Return the objects of YOLOv5 to v7 (N, 85): centre and sides in pixels, objectness, classes."""
    return _of_surest_class(output[:, :4], output[:, 5:] * output[:, 4:5])


def read_columns(output: NDArray[np.float32], height: int, width: int) -> Objects:
    """Return the objects of YOLOv8 and later (84, N): centre and sides in pixels, classes."""
    return _of_surest_class(output[:4].T, output[4:].T)


def read_ready(output: NDArray[np.float32], height: int, width: int) -> Objects:
    """Return the objects of YOLOv10 (N, 6): left, top, right, bottom in pixels, score, class."""
    return Objects(output[:, :4], output[:, 4], output[:, 5].astype(np.int64))


def _of_surest_class(boxes: NDArray[Any], scores: NDArray[np.float32]) -> Objects:
    """Return an object for each of ``boxes`` (N, 4), centre and sides, of that class of (N, 80) with the best score."""
    centres, halves = boxes[:, :2], boxes[:, 2:] / 2
    corners = np.hstack([centres - halves, centres + halves]).astype(np.float32)
    return Objects(corners, scores.max(axis=1).astype(np.float32), scores.argmax(axis=1))


def find_objects(
    image: NDArray[np.uint8], detector: Detector, *, score: float, classes: Collection[int] | None = None
) -> Objects:
    """Return what ``detector`` finds in a gray ``image`` (H, W) with ``score`` or more, each object once, surest first.

    Tiles of the detector's size overlap by half or more; a box that a tile's inner border cuts is dropped. The whole
    image is looked at too, brought to the detector's size. ``classes``, where given, are the only ones that count.
    """
    height, width = image.shape
    rows, columns = detector.size

    def sure(found: Objects) -> Objects:
        chosen = found.scores >= score
        return found.where(chosen if classes is None else chosen & np.isin(found.classes, list(classes)))

    whole = detector(resample(image, columns, rows))
    parts = [sure(whole).transformed((width / columns, height / rows), (0, 0))]
    # Repeated, not black: a black margin has an edge, in which something might be seen.
    below, right = max(0, rows - height), max(0, columns - width)
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    for top in tile_starts(height, rows):
        for left in tile_starts(width, columns):
            found = sure(detector(np.ascontiguousarray(padded[top : top + rows, left : left + columns])))
            low = CUT if left else -np.inf, CUT if top else -np.inf
            high = columns - CUT if left + columns < width else np.inf, rows - CUT if top + rows < height else np.inf
            uncut = np.hstack([found.boxes[:, :2] > low, found.boxes[:, 2:] < high])
            parts.append(found.where(np.logical_and.reduce(uncut, axis=1)).transformed((1, 1), (left, top)))
    return without_doubles(joined(parts).clipped(width, height), DOUBLE)


def tile_starts(side: int, tile: int) -> list[int]:
    """Return where tiles begin that cover ``side``, evenly spread, each overlapping the next by half or more."""
    if side <= tile:
        return [0]
    steps = -(-(side - tile) // (tile // 2))
    return [round(number * (side - tile) / steps) for number in range(steps + 1)]
