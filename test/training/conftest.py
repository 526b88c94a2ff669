from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def pair_folder(tmp_path: Path) -> Path:
    """Six registered pairs of different sizes, 8 bit: a texture seen dim by thermal, with a hot spot."""
    folder = tmp_path / "pairs"
    random = np.random.default_rng(0)
    for index in range(6):
        size = (100 + 4 * index, 120)
        visible = cv2.GaussianBlur(random.random(size, dtype=np.float32), (0, 0), 2)
        visible = (visible - visible.min()) / (visible.max() - visible.min())
        thermal = 0.3 * visible
        cv2.circle(thermal, (60, 50), 10, 0.9, -1)
        for name, image in (("thermal", thermal), ("visible", visible)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name / f"{index}.png"), (255 * image).astype(np.uint8))
    return folder
