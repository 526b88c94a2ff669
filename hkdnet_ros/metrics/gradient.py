"""Edges carried over into the fused image (Qabf) and edges that no source has (Nabf)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .images import Image, check_size

QUARTER_TURN = np.pi / 2


@dataclass(frozen=True, slots=True)
class _Edges:
    """Sobel strength (gray levels) and orientation in [-pi/2, pi/2], y upwards, of one image."""

    strength: NDArray[np.float64]
    angle: NDArray[np.float64]


def qabf(thermal: Image, visible: Image, fused: Image) -> float:
    """Return the edge preservation of Xydeas and Petrovic (Electronics Letters 2000), 0..1; 0 without source edges.

    Sobel strength and orientation, zeros outside the image; orientations are compared without wrapping, so that the
    two sides of a vertical edge's quarter turn count as opposite. Sigmoids 0.9994, -15, 0.5 for strength and 0.9879,
    -22, 0.8 for orientation; weights are the source strengths.
    """
    target = _edges(fused, cv2.BORDER_CONSTANT, 1.0)
    kept = weights = 0.0
    for source in (thermal, visible):
        edges = _edges(source, cv2.BORDER_CONSTANT, 1.0)
        agreement = 1 - np.abs(edges.angle - target.angle) / QUARTER_TURN
        kept_strength = _sigmoid(_strength_ratio(edges, target), 0.9994, 15, 0.5)
        kept_angle = _sigmoid(agreement, 0.9879, 22, 0.8)
        kept += float((kept_strength * kept_angle * edges.strength).sum())
        weights += float(edges.strength.sum())
    return kept / weights if weights > 0 else 0.0


def nabf(thermal: Image, visible: Image, fused: Image) -> float:
    """Return the fusion artefacts of Shreyamsha Kumar (Signal, Image and Video Processing 2013), 0..1, less is better.

    The loss of edge preservation, weighted by the sources, where the fused edge is stronger than in both sources.
    Sobel divided by 8, border mirrored without the edge pixel, orientations compared modulo a half turn. Weights are
    strength^1.5 from strength 2 on and 0.001 below; sigmoids 0.9999, 19, 0.5 and 0.9995, 22, 0.5. Raises
    :class:`ImageError` under 2 pixels.
    """
    check_size(fused, 2, "Nabf")
    target = _edges(fused, cv2.BORDER_REFLECT_101, 1 / 8)
    sources = [_edges(source, cv2.BORDER_REFLECT_101, 1 / 8) for source in (thermal, visible)]
    artefact = (target.strength > sources[0].strength) & (target.strength > sources[1].strength)
    lost = weights = 0.0
    for edges in sources:
        agreement = np.abs(np.abs(edges.angle - target.angle) - QUARTER_TURN) / QUARTER_TURN
        kept_strength = _sigmoid(_strength_ratio(edges, target), 0.9999, 19, 0.5)
        kept_angle = _sigmoid(agreement, 0.9995, 22, 0.5)
        weight = np.where(edges.strength >= 2, edges.strength**1.5, 0.001)
        lost += float(((1 - np.sqrt(kept_strength * kept_angle)) * weight)[artefact].sum())
        weights += float(weight.sum())
    return lost / weights


def _edges(image: Image, border: int, scale: float) -> _Edges:
    along_x = cv2.Sobel(image, cv2.CV_64F, 1, 0, ksize=3, scale=scale, borderType=border)
    along_y = cv2.Sobel(image, cv2.CV_64F, 0, 1, ksize=3, scale=scale, borderType=border)
    angle = np.full(image.shape, QUARTER_TURN)  # of vertical gradients and, as usual in the field, of flat places
    np.divide(-along_y, along_x, out=angle, where=along_x != 0)
    np.arctan(angle, out=angle, where=along_x != 0)
    return _Edges(np.hypot(along_x, along_y), angle)


def _strength_ratio(source: _Edges, target: _Edges) -> NDArray[np.float64]:
    """Return the weaker strength over the stronger one, 0 where both are flat."""
    stronger = np.maximum(source.strength, target.strength)
    weaker = np.minimum(source.strength, target.strength)
    return np.divide(weaker, stronger, out=np.zeros_like(stronger), where=stronger > 0)


def _sigmoid(value: NDArray[np.float64], top: float, slope: float, middle: float) -> NDArray[np.float64]:
    sigmoid: NDArray[np.float64] = top / (1 + np.exp(-slope * (value - middle)))
    return sigmoid
