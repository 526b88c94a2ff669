"""Thermal images that are renderings in colour: which palette they look like, and the gray levels behind it.

A palette is a curve through the colours, from cold to hot. A rendering's pixels lie along it, those of an ordinary
colour image do not. Luma follows few of these curves: in jet the hottest are dark.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images import color
from ..images.frames import Frame
from .log import Log

_log = logging.getLogger(__name__)

AUTO, GRAY, IRONBOW = "auto", "gray", "ironbow"

# OpenCV's, by applyColorMap. Left out are those whose two ends are one colour (hsv, twilight): they cannot be undone.
_OPENCV = {
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "rainbow": cv2.COLORMAP_RAINBOW,
    "hot": cv2.COLORMAP_HOT,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "plasma": cv2.COLORMAP_PLASMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "parula": cv2.COLORMAP_PARULA,
    "bone": cv2.COLORMAP_BONE,
    "pink": cv2.COLORMAP_PINK,
    "cool": cv2.COLORMAP_COOL,
    "ocean": cv2.COLORMAP_OCEAN,
    "autumn": cv2.COLORMAP_AUTUMN,
    "winter": cv2.COLORMAP_WINTER,
    "spring": cv2.COLORMAP_SPRING,
    "summer": cv2.COLORMAP_SUMMER,
    "deepgreen": cv2.COLORMAP_DEEPGREEN,
}

# Red, green and blue at equal steps of heat: the hot half of "ironblack" in the example programs for FLIR's Lepton
# (GroupGets, LeptonModule), which is what its cameras and apps call ironbow or iron. Its cold half is white to black.
_IRONBOW = (
    (0, 0, 0),
    (31, 0, 118),
    (111, 1, 135),
    (186, 7, 141),
    (223, 55, 59),
    (238, 109, 12),
    (247, 167, 13),
    (255, 224, 30),
    (255, 255, 249),
)

PALETTES = (GRAY, IRONBOW, "ironblack", *_OPENCV)
"""The palettes that can be undone."""

_LUMA_WEIGHT = 2.0  # JPEG keeps luma at each pixel, and colour as a mean over 2x2
_BITS = 6  # of each colour in the table that undoes a palette: steps of 4 levels, as long as the curves' own
_SAMPLES = 1024
_NEAR = 30.0  # levels from the curve
_SHARE = 0.85  # of the pixels, and of those with colour, that must be near; a logo or a scale may cover the others
_MEAN = 9.5  # levels from the curve, of those that are near; photographs are further off, JPEG at quality 75 is not
_PARTS = frozenset({"autumn", "spring", "summer", "winter", "cool", "pink", "bone"})  # near a part of another palette
_LEAD = 1.5  # levels by which one of these must be nearer
_GRAY_CHROMA = 8.0  # levels; noise of JPEG around gray is 3
_SPREAD = 24.0  # levels of a palette between 5 % and 95 % of the pixels, or too little of it is seen to know it
_PERIOD_NS = 1_000_000_000  # between two looks at what palette it is


@functools.cache
def curve(palette: str) -> NDArray[np.uint8]:
    """Return the colours of a palette from cold to hot, (256, 3) with blue first."""
    levels = np.arange(256, dtype=np.uint8)
    if palette in _OPENCV:
        mapped: NDArray[Any] = cv2.applyColorMap(levels[:, None], _OPENCV[palette])[:, 0]
        return mapped
    if palette == GRAY:
        return np.repeat(levels[:, None], 3, axis=1)
    if palette == "ironblack":
        return np.concatenate([curve(GRAY)[::-2], curve(IRONBOW)[::2]])
    knots = np.array(_IRONBOW, np.float64)[:, ::-1]
    at = np.linspace(0, 255, len(knots))
    colours: NDArray[np.uint8] = np.stack([np.interp(levels, at, channel) for channel in knots.T], axis=1).astype("u1")
    return colours


def undo(image: NDArray[np.uint8], palette: str) -> NDArray[np.uint8]:
    """Return the level, 0 to 255, of the colour of ``palette`` that is nearest to each pixel.

    ``image`` is (H, W, 3) with blue first; the result is (H, W). The nearest is looked up in a table of 64x64x64
    colours, so that it may be off by a level or two.
    """
    shift = 8 - _BITS
    blue, green, red = (image[..., channel] >> shift for channel in range(3))
    index = blue.astype(np.int32) << (2 * _BITS)
    index |= green.astype(np.int32) << _BITS
    index |= red
    levels: NDArray[np.uint8] = _table(palette)[index]
    return levels


def recognise(image: NDArray[np.uint8]) -> str | None:
    """Return the palette of ``image`` (H, W, 3), blue first; empty if none is known, None if too little is seen.

    A palette is recognised where 85 % of the pixels, and of those with colour, are near its curve, on average nearer
    than to any other, and where they reach along it. An image without colour is gray.
    """
    stride = max(1, round((image.shape[0] * image.shape[1] / _SAMPLES) ** 0.5))
    sample = np.ascontiguousarray(image[stride // 2 :: stride, stride // 2 :: stride]).reshape(-1, 3)
    points = _ycc(sample)
    chroma = np.hypot(points[:, 1], points[:, 2])
    if np.quantile(chroma, _SHARE) < _GRAY_CHROMA:
        # Of black, or of a uniform image, nothing can be said: many palettes begin with black, or have a gray in them.
        return GRAY if _reach(sample[:, 1]) >= _SPREAD else None
    has_colour = chroma >= 2 * _GRAY_CHROMA
    best, best_distance, reach = "", np.inf, 0.0
    for palette in PALETTES[1:]:
        squared, nearest = _nearest(points, palette)
        distances = np.sqrt(np.maximum(squared, 0))
        is_near = distances <= _NEAR
        if not has_colour.any() or min(is_near.mean(), is_near[has_colour].mean()) < _SHARE:
            continue
        if distances[is_near].mean() > _MEAN:
            continue
        # Those that are not near count as well: what is hot, and little, tells a palette from one with the same colds.
        distance = float(np.minimum(distances, 2 * _NEAR).mean()) + _LEAD * (palette in _PARTS)
        if distance < best_distance:
            best, best_distance, reach = palette, distance, _reach(nearest)
    return best if not best or reach >= _SPREAD else None


def _reach(levels: NDArray[Any]) -> float:
    low, high = np.quantile(levels.astype(np.float32), (0.05, 0.95))
    return float(high - low)


class PaletteReader:
    """Brings the colour renderings of one thermal camera to gray levels; says once what they are taken for."""

    def __init__(self, log: Log = _log) -> None:
        self._log = log
        self._palette = ""  # that is seen; empty: none that is known, or none yet
        self._candidate: str | None = None
        self._looked_ns: int | None = None
        self._said: set[str] = set()

    def begin_anew(self) -> None:
        """Go by the next image alone: the stream's clock has jumped back, or it is another file."""
        self._looked_ns = None

    def to_gray(self, frame: Frame, palette: str) -> Frame:
        """Return ``frame`` with the gray levels of its colours, mono8; itself where it has no colours.

        ``palette`` is one of PALETTES, or AUTO to go by what the images look like. That is looked at every second and
        changes when two looks agree, so that no single image makes a video flicker. Luma is what a palette that is gray
        or not known gives.
        """
        if not color.is_color(frame.encoding):
            return frame
        if palette == AUTO:
            palette = self._seen(frame)
        is_luma = palette in ("", GRAY)
        levels = color.luma(frame.image, frame.encoding) if is_luma else undo(_bgr(frame), palette)
        return Frame(levels, frame.stamp_ns, frame.frame_id, "mono8")

    def _seen(self, frame: Frame) -> str:
        """Return the palette that images look like, empty if it is none that is known."""
        looked_ns, stamp_ns = self._looked_ns, frame.stamp_ns
        if looked_ns is not None and 0 < stamp_ns - looked_ns < _PERIOD_NS:
            return self._palette
        found = recognise(_bgr(frame))
        # The first of a stream, or files, which are no video and of one stamp.
        is_alone = not self._said or looked_ns is None or looked_ns == stamp_ns
        self._looked_ns = stamp_ns
        if found is not None:
            if is_alone or found == self._candidate:
                self._palette = found
                self._say(found, frame.encoding)
            self._candidate = found
        return self._palette

    def _say(self, palette: str, encoding: str) -> None:
        if palette in self._said:
            return
        self._said.add(palette)
        begin = f"thermal images ({encoding}) are a rendering"
        if palette == GRAY:
            self._log.info(f"{begin} in gray: luma is taken; counts of 16 bits, where the camera has them, show more")
        elif palette:
            self._log.warning(
                f"{begin} that looks like the palette {palette}, which is undone; counts of 16 bits, where the camera "
                "has them, show more (thermal.palette: gray takes luma)"
            )
        else:
            self._log.warning(
                f"{begin} in colours of no palette that is known: luma is taken, in which hot may be dark; have the "
                f"camera send counts or gray, or set thermal.palette to one of {', '.join(PALETTES)}"
            )


def _bgr(frame: Frame) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = frame.image[..., :3].astype(np.uint8, copy=False)
    return image[..., ::-1] if frame.encoding.startswith("rgb") else image


def _ycc(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (N, 3) luma and chroma of (N, 3) colours with blue first, around 0 and in the measure of distances."""
    ycc = cv2.cvtColor(np.ascontiguousarray(colours)[:, None], cv2.COLOR_BGR2YCrCb)[:, 0].astype(np.float32)
    ycc[:, 1:] -= 128
    ycc[:, 0] *= _LUMA_WEIGHT
    return ycc


def _nearest(points: NDArray[np.float32], palette: str) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return for each point of :func:`_ycc` its squared distance from the nearest colour of a palette, and which."""
    colours = _ycc(curve(palette))
    # |p - c|^2 = |p|^2 + (p, 1) . (-2 c, |c|^2), where the first term is the same for all colours.
    terms = np.column_stack([-2 * colours, np.square(colours).sum(axis=1)]).astype(np.float32)
    rest = np.column_stack([points, np.ones(len(points), np.float32)]) @ terms.T
    nearest = rest.argmin(axis=1)
    return rest[np.arange(len(points)), nearest] + np.square(points).sum(axis=1), nearest


@functools.cache
def _table(palette: str) -> NDArray[np.uint8]:
    """Return the level of each colour of 6 bits a channel, by blue, green and red."""
    side = np.arange(1 << _BITS)
    middle = ((side << (8 - _BITS)) + (1 << (7 - _BITS))).astype(np.uint8)
    blue, green, red = np.meshgrid(middle, middle, middle, indexing="ij")
    colours = np.stack([blue.ravel(), green.ravel(), red.ravel()], axis=1)
    parts = np.array_split(colours, 128)  # or the distances of all from all would take 256 MiB
    return np.concatenate([_nearest(_ycc(part), palette)[1] for part in parts]).astype(np.uint8)
