"""Registered pairs in memory, and random crops of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import SourceError
from ..sources.pairs import check_usable, list_pairs, read_pair
from .distributed import is_first

FRAME_ROWS = 16
"""Rows of pixels that stand for a whole frame, where only its statistics matter."""


class Batch(NamedTuple):
    """Two lumas of one scene, float32 (B, 1, H, W) in [0, 1]."""

    thermal: Tensor
    visible: Tensor


class PairSet:
    """All pairs of a folder, held as 8 bit in memory: a few hundred VGA pairs are well under a gigabyte."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        paths = list_pairs(folder)
        self.names = [pair.name for pair in paths]
        self.images: list[Tensor] = []  # (2, H, W) uint8 each, thermal first
        problems: list[str] = []
        text = f"read {self.folder.name}"
        with tqdm(paths, desc=text, unit="pair", leave=False, disable=not is_first()) as bar:
            for pair in bar:
                try:
                    image = np.stack(read_pair(pair))
                except SourceError as error:
                    problems.append(str(error))
                    continue
                self.images.append(torch.from_numpy(np.rint(255 * image).astype(np.uint8)))
        check_usable(paths, problems)

    def __len__(self) -> int:
        return len(self.images)

    def pair(self, index: int) -> Batch:
        """Return one whole pair as a batch of one."""
        image = self.images[index].float().div(255)[:, None, None]
        return Batch(image[0], image[1])

    @property
    def smallest_side(self) -> int:
        """The least width or height of any pair, in pixels."""
        return min(min(image.shape[1:]) for image in self.images)

    def check_size(self, size: int) -> None:
        """Raise :class:`SourceError` where a pair is too small for crops of ``size`` pixels."""
        for name, image in zip(self.names, self.images, strict=True):
            height, width = image.shape[1:]
            if min(height, width) < size:
                raise SourceError(f"{self.folder}/{name} is {width}x{height}; crops of {size} px need a larger image")

    def crops(self, count: int, size: int, generator: torch.Generator) -> Batch:
        """Return ``count`` crops of ``size`` x ``size``, randomly turned and mirrored."""
        return self.crops_of_frames(count, size, generator)[0]

    def crops_of_frames(self, count: int, size: int, generator: torch.Generator) -> tuple[Batch, Batch]:
        """Return crops as :meth:`crops` does, and of the frame of each ``FRAME_ROWS`` x ``size`` pixels in a grid."""
        crops, frames = [], []
        draws = torch.rand(count, 4, generator=generator, dtype=torch.float64).tolist()
        for pick, row, column, turn in draws:
            image = self.images[int(pick * len(self.images))]
            top = int(row * (image.shape[1] - size + 1))
            left = int(column * (image.shape[2] - size + 1))
            crop = image[:, top : top + size, left : left + size]
            variant = int(turn * 8)  # the eight symmetries of the square
            if variant & 1:
                crop = crop.flip(2)
            if variant & 2:
                crop = crop.flip(1)
            if variant & 4:
                crop = crop.transpose(1, 2)
            crops.append(crop)
            rows = torch.linspace(0, image.shape[1] - 1, FRAME_ROWS).long()
            columns = torch.linspace(0, image.shape[2] - 1, size).long()
            frames.append(image[:, rows][:, :, columns])
        whole = [torch.stack(images).float().div(255) for images in (crops, frames)]  # (B, 2, H, W)
        first, second = (Batch(images[:, :1], images[:, 1:]) for images in whole)
        return first, second
