"""A contact sheet: one row per pair, one labelled column per image, to judge by eye what no measure shows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_Image = NDArray[np.uint8]

STRIP = 28
MARGIN = 4
PAPER = 255


def contact_sheet(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[_Image]]], width: int) -> _Image:
    """Return the sheet, gray: column titles on top, each row (name, gray images of one size) under its name.

    Images wider than ``width`` pixels are reduced to it by area, narrower ones stay as they are.
    """
    across = len(columns) * (width + MARGIN) + MARGIN
    strips = [
        np.hstack([_margin(STRIP), *(part for title in columns for part in (_text(title, width), _margin(STRIP)))])
    ]
    for name, images in rows:
        strips.append(_text(name, across))
        cells = [_fitted(image, width) for image in images]
        height = cells[0].shape[0]
        strips.append(np.hstack([_margin(height), *(part for cell in cells for part in (cell, _margin(height)))]))
    return np.vstack([*strips, np.full((MARGIN, across), PAPER, np.uint8)])


def _margin(height: int) -> _Image:
    return np.full((height, MARGIN), PAPER, np.uint8)


def _fitted(image: _Image, width: int) -> _Image:
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    cell = np.full((image.shape[0], width), PAPER, np.uint8)
    cell[:, : image.shape[1]] = image
    return cell


def _text(text: str, width: int) -> _Image:
    """Return a strip of ``width`` with ``text``, made smaller where it would not fit."""
    strip = np.full((STRIP, width), PAPER, np.uint8)
    (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)
    size = 0.6 * min(1.0, (width - 2 * MARGIN) / max(length, 1))
    cv2.putText(strip, text, (MARGIN, STRIP - 9), cv2.FONT_HERSHEY_SIMPLEX, size, 0, 1, cv2.LINE_AA)
    return strip
