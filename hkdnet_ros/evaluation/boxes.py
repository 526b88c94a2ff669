"""Objects as boxes with scores and classes: overlap, suppression of double ones, and matching one to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIZES = {"small": 32.0**2, "medium": 96.0**2, "large": np.inf}
"""COCO's sizes of objects, by the area in pixels that a box stays below."""

SAME_OBJECT = 0.5
"""Two boxes of one class from this IoU on are of one object."""

COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""The 80 classes of COCO in the order of detectors' outputs (Lin et al. 2014)."""


@dataclass(frozen=True, slots=True)
class Objects:
    """N objects: ``boxes`` (N, 4) as left, top, right, bottom in pixels, ``scores`` (N,), ``classes`` (N,) of COCO."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Objects:
        """Return the ``chosen``, by a mask or by their places in that order."""
        return Objects(self.boxes[chosen], self.scores[chosen], self.classes[chosen])

    def transformed(self, scale: tuple[float, float], shift: tuple[float, float]) -> Objects:
        """Return the objects where x and y are multiplied by ``scale`` and then moved by ``shift``, both (x, y)."""
        boxes = self.boxes * np.asarray(2 * scale, np.float32) + np.asarray(2 * shift, np.float32)
        return Objects(boxes, self.scores, self.classes)

    def clipped(self, width: int, height: int) -> Objects:
        """Return the objects cut at the border of an image, without those that lie outside."""
        boxes = np.clip(self.boxes, 0, np.asarray((width, height, width, height), np.float32))
        return Objects(boxes, self.scores, self.classes).where(areas(boxes) > 0)


def joined(parts: Sequence[Objects]) -> Objects:
    """Return the objects of all ``parts``, of which there is at least one."""
    return Objects(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.classes for part in parts]),
    )


def areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the areas (N,) of ``boxes`` (N, 4)."""
    area: NDArray[np.float32] = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area


def overlaps(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the IoU (N, M), intersection over union, of boxes (N, 4) and (M, 4); 0 where neither has an area."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    union = areas(first)[:, None] + areas(second)[None] - shared
    iou: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def without_doubles(objects: Objects, iou: float) -> Objects:
    """Return ``objects`` without those that overlap a surer one of their class by more than ``iou``, surest first."""
    kept: list[int] = []
    for kind in np.unique(objects.classes):
        (places,) = np.nonzero(objects.classes == kind)
        corners = objects.boxes[places]
        sides = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        # Every score counts here: who wants sure objects alone has chosen before.
        chosen = cv2.dnn.NMSBoxes(sides.tolist(), objects.scores[places].tolist(), 0.0, iou)
        kept += places[np.asarray(chosen, np.int64).ravel()].tolist()
    order = np.asarray(kept, np.int64)
    return objects.where(order[np.argsort(-objects.scores[order], kind="stable")])


def matched(sought: Objects, found: Objects) -> NDArray[np.bool_]:
    """Return for each of ``sought`` (N,) whether it is among ``found``: of its class, and the IoU SAME_OBJECT or more.

    One to one: what is found once answers for one that is sought.
    """
    answer = np.zeros(len(sought), np.bool_)
    answer[[row for row, _ in assigned(sought, found, SAME_OBJECT)]] = True
    return answer


def assigned(first: Objects, second: Objects, iou: float) -> list[tuple[int, int]]:
    """Return pairs of places, in ``first`` and in ``second``, of one class and with ``iou`` or more, one to one.

    The pairs that overlap most are taken first.
    """
    left = _overlaps_in_class(first, second)
    pairs = []
    while left.size and left.max() >= iou:
        row, column = divmod(int(left.argmax()), left.shape[1])
        pairs.append((row, column))
        left[row], left[:, column] = 0, 0
    return pairs


def covered(objects: Objects, others: Objects) -> NDArray[np.bool_]:
    """Return for each of ``objects`` (N,) whether any of ``others`` is the same object; one may be so for several."""
    same: NDArray[np.bool_] = np.any(_overlaps_in_class(objects, others) >= SAME_OBJECT, axis=1)
    return same


def _overlaps_in_class(first: Objects, second: Objects) -> NDArray[np.float32]:
    """Return the IoU (N, M) where the classes are the same, elsewhere 0."""
    iou = overlaps(first.boxes, second.boxes)
    iou[first.classes[:, None] != second.classes[None]] = 0
    return iou


def size_names(boxes: NDArray[np.float32]) -> list[str]:
    """Return the name in SIZES of each of ``boxes``."""
    return [next(name for name, limit in SIZES.items() if area < limit) for area in areas(boxes)]
