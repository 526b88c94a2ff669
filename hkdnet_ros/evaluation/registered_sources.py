"""Pairs of two cameras that stand apart, brought to one view by the node's own registration before they are measured.

What both cameras see is kept. Registered pairs of the same places can stand beside: the truth, cut to the same part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, RegistrationError, SourceError
from ..geometry.calibration_files import load_calibration
from ..images.color import to_uint8
from ..images.frames import THERMAL, VISIBLE, Frame
from ..perception.registered_view import View
from ..perception.registration import Registration
from ..perception.registration_config import CROP, HOMOGRAPHY, RECTIFY, RegistrationConfig
from ..sources.pairs import PairPaths, list_pairs, read_conditioned, read_gray
from .measurements import Image, ReadSources, full_size

DISTANCE = RegistrationConfig().distance


@dataclass(frozen=True, slots=True)
class Registering:
    """How pairs come to one view: by the file ``calibration``, at ``distance`` metres where that has lenses and pose.

    ``truth`` is a folder of registered pairs of the same names, against which results are measured.
    """

    calibration: Path
    truth: Path | None = None
    distance: float = DISTANCE

    def facts(self) -> dict[str, str]:
        """Return what a report says of it."""
        facts = {"registered by": f"{self.calibration}; measured is what both cameras see"}
        if self.truth is not None:
            facts["measured against"] = f"the pairs of {self.truth}"
        return facts


class RegisteredSources:
    """Reads pairs as :func:`~.measurements.read_sources` does, registered by a calibration."""

    def __init__(self, registering: Registering, pairs: Sequence[PairPaths]) -> None:
        """Raises :class:`ConfigError` for a calibration that cannot be read or believed, and for true pairs missing."""
        file = str(registering.calibration)
        known = load_calibration(file)
        mode = HOMOGRAPHY if known.thermal_to_visible is None else RECTIFY
        config = RegistrationConfig(mode=mode, calibration=file, border=CROP, distance=registering.distance)
        self._frame_ids = {
            stream: model.frame_id if model else ""
            for stream, model in ((THERMAL, known.thermal), (VISIBLE, known.visible))
        }
        self._registration = Registration(config)
        self._true = _named_as(pairs, registering.truth) if registering.truth is not None else {}

    @property
    def reads(self) -> list[ReadSources]:
        """What reads the registered pairs, and the true ones where there are such."""
        return [self.sources, self.truth] if self._true else [self.sources]

    def sources(self, paths: PairPaths, scale: int) -> tuple[Image, Image]:
        """Return thermal and visible as both cameras see them, in the visible camera's view.

        Raises what :func:`~.measurements.read_sources` does, and :class:`SourceError` for a pair that the calibration
        is not of.
        """
        thermal, visible = to_uint8(read_conditioned(paths.thermal)), to_uint8(read_gray(paths.visible))
        view = self._view(paths, thermal, visible)
        size = view.shown_size(visible)
        return full_size(paths, view.thermal(thermal, size), view.visible(visible, size), scale)

    def truth(self, paths: PairPaths, scale: int) -> tuple[Image, Image]:
        """Return the same part of the registered pair of the same name."""
        true = self._true[paths.name]
        thermal, visible = to_uint8(read_conditioned(true.thermal)), to_uint8(read_gray(true.visible))
        seen = to_uint8(read_gray(paths.visible))
        if not thermal.shape == visible.shape == seen.shape:
            shapes = ", ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (thermal, visible, seen))
            raise SourceError(
                f"{true.name}: the registered pair and the visible image of the other one are {shapes}; expected one "
                "size"
            )
        view = self._view(paths, to_uint8(read_conditioned(paths.thermal)), seen)
        left, top, width, height = view.window or (0, 0, *view.shown_size(seen))
        part = np.s_[top : top + height, left : left + width]
        return full_size(true, thermal[part], visible[part], scale)

    def _view(self, paths: PairPaths, thermal: Image, visible: Image) -> View:
        frames = [
            Frame(image, 0, self._frame_ids[stream], "mono8")
            for stream, image in ((THERMAL, thermal), (VISIBLE, visible))
        ]
        try:
            return self._registration.view(*frames)
        except RegistrationError as error:
            raise SourceError(f"{paths.name}: {error}") from error


def _named_as(pairs: Sequence[PairPaths], folder: Path) -> dict[str, PairPaths]:
    """Return the pairs of ``folder`` by the names, without suffix, of ``pairs``."""
    there = {Path(pair.name).stem: pair for pair in list_pairs(folder)}
    missing = [pair.name for pair in pairs if Path(pair.name).stem not in there]
    if missing:
        raise ConfigError(
            f"{folder}: has no pair for {len(missing)} of {len(pairs)}, as {missing[0]}; expected registered pairs of "
            "the same names"
        )
    return {pair.name: there[Path(pair.name).stem] for pair in pairs}
