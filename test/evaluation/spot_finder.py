"""A stand-in for a detector: each bright spot in the image is a car, whose score is the spot's brightness."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from hkdnet_ros.evaluation.boxes import COCO_CLASSES, Objects

DARKEST = 26  # of 255; no spot is darker


class SpotFinder:
    """Finds spots in images of 64x48."""

    size = (48, 64)

    def __init__(self, path: Path | None = None) -> None:
        self.seen = 0

    def __call__(self, image: np.ndarray) -> Objects:
        assert image.shape == self.size
        assert image.dtype == np.uint8
        self.seen += 1
        boxes, scores = [], []
        count, spots, stats, _ = cv2.connectedComponentsWithStats((image >= DARKEST).astype(np.uint8))
        for number in range(1, count):
            left, top, width, height = stats[number][:4]
            boxes.append((left, top, left + width, top + height))
            scores.append(image[spots == number].max() / 255)
        return Objects(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.asarray(scores, np.float32),
            np.full(len(boxes), COCO_CLASSES.index("car")),
        )
