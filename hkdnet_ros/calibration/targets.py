"""Finds a calibration target in an image by heat or by light: both cameras see its pattern, though not the same way.

What is black in one may be bright in the other, so that an image and its negative are both looked through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..options import check_options, option

CHECKERBOARD, CIRCLES, OFFSET_CIRCLES, APRILTAG, CHARUCO = (
    "checkerboard", "circles", "offset_circles", "apriltag", "charuco",
)  # fmt: skip
TARGETS = (CHECKERBOARD, CIRCLES, OFFSET_CIRCLES, APRILTAG, CHARUCO)
_LEAST_SIDE = 480  # px, to which smaller images are enlarged: detectors were made for finer ones
_MOST_ENLARGED = 3
_MARKERS = {APRILTAG: cv2.aruco.DICT_APRILTAG_36h11, CHARUCO: cv2.aruco.DICT_4X4_250}
_FEWEST_POINTS = 6  # of a target of which part may be hidden


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """A flat calibration target."""

    target: str = option(
        CHECKERBOARD,
        "The cameras see this target: offset_circles is the asymmetric grid of circles, apriltag a grid of the family "
        "36h11 in OpenCV's order (GridBoard), charuco has markers of DICT_4X4_250.",
        choices=TARGETS,
    )
    grid: tuple[int, int] = option(
        (9, 6),
        "The target has this many inner corners (checkerboard), circles, tags or squares (charuco) across and down.",
        low=2,
        high=100,
    )
    spacing: float = option(
        0.05,
        "From one corner, circle or tag to the next, and of a square of charuco from edge to edge, it is this far; "
        "half of it is that from column to column of offset_circles.",
        unit="m",
        low=0.001,
        high=10.0,
    )
    marker: float = option(0.7, "The side of a tag or marker is this share of the spacing.", low=0.1, high=0.95)

    def __post_init__(self) -> None:
        check_options(self)
        if self.target == CHECKERBOARD and min(self.grid) < 3:
            raise ConfigError(f"grid is {self.grid[0]}x{self.grid[1]}; expected at least 3x3 inner corners")


class Sighting(NamedTuple):
    """A target in one image: numbers of its points, rising, and where they are, (N, 2) pixels."""

    ids: NDArray[np.int64]
    pixels: NDArray[np.float64]


class Target:
    """A target that can be found. Its points lie in the plane z = 0 of its own axes, in metres."""

    def __init__(self, config: TargetConfig) -> None:
        self.config = config
        columns, rows = config.grid
        self._board: Any = None
        across, down = np.meshgrid(np.arange(columns, dtype=np.float64), np.arange(rows, dtype=np.float64))
        if config.target == OFFSET_CIRCLES:
            across, down = across + down % 2 * 0.5, down * 0.5
        places: Any = np.stack([across, down, 0 * across], axis=-1).reshape(-1, 3) * config.spacing
        if config.target in _MARKERS:
            words = cv2.aruco.getPredefinedDictionary(_MARKERS[config.target])
            side = config.spacing * config.marker
            if config.target == APRILTAG:
                self._board = cv2.aruco.GridBoard(config.grid, side, config.spacing - side, words)
                places = np.concatenate(self._board.getObjPoints())
            else:
                self._board = cv2.aruco.CharucoBoard(config.grid, config.spacing, side, words)
                places = self._board.getChessboardCorners()
        self.points: NDArray[np.float64] = np.asarray(places, np.float64)

    @property
    def is_symmetric(self) -> bool:
        """Whether the target looks the same upside down, so that two cameras may count its points from either end."""
        return self.config.target in (CHECKERBOARD, CIRCLES)

    def picture(self, pixels_per_spacing: int = 100) -> NDArray[np.uint8]:
        """Return the target to print, (H, W) uint8, with a white border of one spacing."""
        columns, rows = self.config.grid
        unit = pixels_per_spacing
        if self._board is not None:
            # Between tags is a gap, and none after the last one.
            gap = round(unit * (1 - self.config.marker)) if self.config.target == APRILTAG else 0
            size = (columns + 2) * unit - gap, (rows + 2) * unit - gap
            return np.asarray(self._board.generateImage(size, marginSize=unit))
        if self.config.target == CHECKERBOARD:
            y, x = np.indices((rows + 1, columns + 1))
            squares = np.where((x + y) % 2, np.uint8(255), np.uint8(0)).astype(np.uint8)
            return np.pad(np.kron(squares, np.ones((unit, unit), np.uint8)), unit, constant_values=255)
        extent = self.points.max(axis=0)[:2] / self.config.spacing
        image = np.full((int((extent[1] + 2) * unit), int((extent[0] + 2) * unit)), 255, np.uint8)
        radius = unit * (0.15 if self.config.target == OFFSET_CIRCLES else 0.3)
        for x, y, _ in self.points / self.config.spacing:
            place = (round((x + 1) * unit * 16), round((y + 1) * unit * 16))
            cv2.circle(image, place, round(radius * 16), 0, -1, cv2.LINE_AA, 4)
        return image

    def find(self, image: NDArray[Any]) -> Sighting | None:
        """Return where the target is in a gray image (H, W) in [0, 1], to a fraction of a pixel; None where it is not.

        Of a grid of corners or circles all have to be seen; of markers, six points at least.
        """
        low, high = np.percentile(image, (0.5, 99.5))
        levels = np.clip((image - low) * (255 / max(float(high - low), 1e-6)), 0, 255).astype(np.uint8)
        factor = int(np.clip(np.ceil(_LEAST_SIDE / max(image.shape)), 1, _MOST_ENLARGED))
        if factor > 1:
            levels = cv2.resize(levels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        for seen in (levels, 255 - levels):
            found = self._find(seen, factor)
            if found is not None:
                return Sighting(found.ids, (found.pixels + 0.5) / factor - 0.5)
        return None

    def _find(self, levels: NDArray[np.uint8], factor: int) -> Sighting | None:
        if self.config.target == CHECKERBOARD:
            flags = cv2.CALIB_CB_NORMALIZE_IMAGE
            is_found, corners = cv2.findChessboardCornersSB(levels, self.config.grid, flags=flags)
            return _all(_crossings(corners, levels, self.config.grid)) if is_found else None
        if self.config.target in (CIRCLES, OFFSET_CIRCLES):
            flags = cv2.CALIB_CB_SYMMETRIC_GRID if self.config.target == CIRCLES else cv2.CALIB_CB_ASYMMETRIC_GRID
            is_found, centres = cv2.findCirclesGrid(levels, self.config.grid, flags=flags, blobDetector=_blobs(levels))
            return _all(centres) if is_found else None
        if self.config.target == CHARUCO:
            corners, ids, _, _ = cv2.aruco.CharucoDetector(self._board).detectBoard(levels)
            return _some(ids, corners, levels, factor)
        squares, ids, _ = cv2.aruco.ArucoDetector(self._board.getDictionary()).detectMarkers(levels)
        if ids is None:
            return None
        known = [(4 * int(tag), square) for tag, square in zip(ids.ravel(), squares, strict=True)
                 if 4 * int(tag) < len(self.points)]  # fmt: skip
        if not known:
            return None
        numbers = np.concatenate([np.arange(first, first + 4) for first, _ in known])
        return _some(numbers, np.concatenate([square.reshape(4, 2) for _, square in known]), levels, factor)


def counted_alike(thermal: Sighting, visible: Sighting) -> Sighting:
    """Return what thermal sees of a symmetric target, counted from the end that the visible camera counts from.

    Neither camera hangs upside down beside the other.
    """
    ways = [sighting.pixels[-1] - sighting.pixels[0] for sighting in (thermal, visible)]
    return thermal if float(ways[0] @ ways[1]) > 0 else Sighting(thermal.ids, thermal.pixels[::-1].copy())


def _all(points: NDArray[Any]) -> Sighting:
    pixels = points.reshape(-1, 2).astype(np.float64)
    return Sighting(np.arange(len(pixels)), pixels)


def _some(ids: Any, corners: Any, levels: NDArray[np.uint8], factor: int) -> Sighting | None:
    """Return the points of markers, refined where their edges cross."""
    if ids is None or len(ids) < _FEWEST_POINTS:
        return None
    numbers = np.asarray(ids, np.int64).ravel()
    refined: NDArray[Any] = np.ascontiguousarray(corners, np.float32).reshape(-1, 1, 2)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 0.005)
    reach = 2 * factor + 1  # px; further out lie the marker's own cells
    refined = cv2.cornerSubPix(levels, refined, (reach, reach), (-1, -1), criteria)
    order = np.argsort(numbers)
    return Sighting(numbers[order], refined.reshape(-1, 2)[order].astype(np.float64))


def _crossings(corners: NDArray[Any], levels: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[Any]:
    """Return the corners of a checkerboard where its edges cross, looked for within a quarter of a square."""
    places = corners.reshape(grid[1], grid[0], 2)
    nearest = min(float(np.linalg.norm(np.diff(places, axis=axis), axis=-1).min()) for axis in (0, 1))
    reach = max(2, int(nearest / 4))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 0.002)
    return cv2.cornerSubPix(levels, corners.astype(np.float32).reshape(-1, 1, 2), (reach, reach), (-1, -1), criteria)


def _blobs(levels: NDArray[np.uint8]) -> Any:
    """Return a finder of dark blobs whose limits go with the image's size."""
    wanted = cv2.SimpleBlobDetector.Params()
    wanted.minArea, wanted.maxArea = 12.0, levels.size / 50
    wanted.minDistBetweenBlobs = 4.0
    return cv2.SimpleBlobDetector.create(wanted)
