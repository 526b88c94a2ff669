"""The way of one pair: taken in, conditioned, registered, fused in luma at high resolution, coloured."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images import color
from ..images.blank import BLANK, is_blank
from ..images.frames import THERMAL, VISIBLE, Frame, FusedFrame, Pair
from ..images.outlines import outlined
from ..images.resampling import resample
from ..inference.engine_api import Engine
from ..inference.memory import keep_large_buffers
from ..stage_clock import StageClock
from .config import PerceptionConfig
from .intake import ThermalIntake
from .log import Log
from .mode import FUSED
from .plan import NO_SIZE, Plan, Planner, Size, check_size, size_of
from .raw_pairs import raw_pair
from .registered_view import RegisteredView, View
from .registration import Registration
from .registration_config import KEEP
from .temperature import kelvin
from .thermal import Levels, ThermalConditioner

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extras:
    """What is wanted besides the fused image."""

    validity: bool = False
    temperature: bool = False
    overlay: bool = False
    conditioned: bool = True  # the thermal image, which is not made where a device does all of a pair


NO_EXTRAS = Extras()


class FusionPipeline:
    """Turns pairs into fused frames, one after the other (the thermal range is carried from frame to frame)."""

    def __init__(
        self,
        engine: Engine,
        config: PerceptionConfig | None = None,
        *,
        log: Log = _log,
        is_taken: bool = False,
    ) -> None:
        """``config`` is that of all stages, of which the pipeline has its own, registration's and those of thermal.

        Thermal frames are cropped and mended where they are not finite (:class:`~.intake.ThermalIntake`), unless they
        are that already (``is_taken``), as those of a session. Raises :class:`ConfigError` for a file of bad pixels
        or a calibration that cannot be read, and for one that cannot be believed.
        """
        keep_large_buffers()  # several a frame are beyond what malloc keeps: a third of what the node costs besides
        config = config or PerceptionConfig()
        self._config = config.pipeline
        self._temperature = config.temperature
        self._intake = None if is_taken else ThermalIntake(config.thermal, log)
        self._conditioner = ThermalConditioner(config.thermal, log)
        self._planner = Planner(engine)
        self.registration = Registration(config.registration)

    def reconfigure(self, config: PerceptionConfig) -> None:
        """Go by other settings from the next frame on; the thermal range is kept. Any thread may call this."""
        self._config = config.pipeline
        self._temperature = config.temperature
        self._conditioner.reconfigure(config.thermal)
        self.registration.reconfigure(config.registration)

    def plan(self, thermal: Frame | None, visible: Frame | None, depth: Frame | None = None) -> Plan:
        """Return how a pair, or the one image where the other is None, will be fused; thermal is cropped already.

        ``depth`` is that of the :class:`Pair`. Raises :class:`ImageError` for an image that is smaller than 16x16 where
        no grid enlarges it, and :class:`RegistrationError` for a pair that cannot be registered.
        """
        for frame, stream in ((thermal, THERMAL), (visible, VISIBLE)):
            if frame is not None:
                check_size(frame, stream, self._config)
        if thermal is None:
            assert visible is not None
            return self._planner.visible(visible, self._config)
        if visible is None:
            return self._planner.thermal(thermal, self._config)
        view = self.registration.view(thermal, visible, depth)
        if isinstance(view, RegisteredView):
            return self._planner.registered(thermal, view.reference, view.size, self._config)
        return self._planner.pair(thermal, visible, self._config)

    def begin_anew(self) -> None:
        """Forget the thermal range with which the next frame has nothing to do: its stream's clock has jumped back."""
        self._conditioner.begin_anew()

    def show_shutter(self, frame: Frame) -> None:
        """Let an image of a closed shutter show which thermal pixels are bad. Any thread may call this."""
        self._conditioner.show_shutter(frame)

    def process(self, pair: Pair, extras: Extras = NO_EXTRAS) -> FusedFrame:
        """Fuse one pair to the output size of its :meth:`plan`, with stamp and frame of the reference image.

        ``thermal_gain`` moves the result from what :meth:`process_alone` gives of the visible image (0) to the fusion
        (1). Where a network takes the visible image in full, its result is blended with that image. One that enlarges
        the visible image, too, gets a blend in the place of thermal, which saves a second run.

        A visible image that shows nothing (:func:`~hkdnet_ros.images.blank.is_blank`) is no guide, and would whiten or
        flatten what thermal shows: then the thermal image itself is enlarged, and the mode of the result is THERMAL.

        ``timings`` has "thermal", "registration", "color", "temperature" where that is wanted, and the engine's own
        stages; where an engine's device does all of a pair, "registration" and "color" are among those. Raises
        :class:`ImageError` for an image that is smaller than 16x16 where no grid enlarges it, for a thermal one that is
        mostly NaN, and for a visible one of floats, and :class:`RegistrationError` for a pair that cannot be
        registered.
        """
        clock = StageClock()
        taken = self._taken(pair.thermal)
        plan = self.plan(taken, pair.visible, pair.depth)
        view = self.registration.view(taken, pair.visible, pair.depth)
        levels = self._conditioner.levels(taken)
        fused = self._on_device(levels, pair.visible, plan, view, clock) if plan.engine.takes_raw else None
        if fused is None:
            fused = self._on_cpu(levels, Pair(taken, pair.visible), plan, view, clock)
        elif extras.conditioned or extras.overlay:
            fused = dataclasses.replace(fused, thermal=levels.shown())
        temperature = self._measured(taken, view, plan, clock) if extras.temperature else None
        return dataclasses.replace(
            fused,
            reference=view.reference,  # in mode THERMAL too: the guide that shows nothing still has the pixels
            timings={**fused.timings, **clock.timings},
            validity=_validity(view, plan.output) if extras.validity else None,
            temperature=temperature,
            overlay=_overlay(fused.thermal, pair.visible, view, plan.output) if extras.overlay else None,
        )

    def _on_device(
        self, levels: Levels, visible: Frame, plan: Plan, view: View, clock: StageClock
    ) -> FusedFrame | None:
        """Return the fused frame of a pair, all of it made by the engine's device; None where that is not for it."""
        config = self._config
        pair = raw_pair(
            levels, visible, plan, view,
            is_gray=config.output != "auto", border=self.registration.border, gain=config.thermal_gain,
        )  # fmt: skip
        clock.lap("thermal")
        fused = None if pair is None else plan.engine.fuse_raw(pair)
        clock.skip()
        if fused is None or fused.visible_spread < BLANK <= fused.thermal_spread:
            return None
        return FusedFrame(
            fused.image, visible.stamp_ns, visible.frame_id, FUSED, timings=plan.engine.timings, window=view.window
        )

    def _on_cpu(self, levels: Levels, pair: Pair, plan: Plan, view: View, clock: StageClock) -> FusedFrame:
        """Return the fused frame of a pair, of which the engine does what the network is for."""
        thermal = levels.shown()
        clock.lap("thermal")
        registered = view.thermal(thermal, plan.thermal)
        clock.lap("registration")
        luma, chroma = self._visible(pair.visible, plan, view, clock)
        gain, mode = self._config.thermal_gain, FUSED
        if gain > 0 and is_blank(luma) and not is_blank(thermal):
            shown = _blend(view.thermal(thermal, plan.output), _registered(luma, plan.output, clock), gain)
            clock.lap("registration")
            plan, registered, luma, mode = dataclasses.replace(plan, thermal=NO_SIZE), shown, shown, THERMAL
        alone: NDArray[Any] | None = None
        if plan.needs_network and self.registration.border != KEEP and view.validity(plan.output) is not None:
            alone = luma if view.reference == VISIBLE else view.thermal(thermal, plan.output)
            registered, luma = _filled(view, plan, registered, luma)
            clock.lap("registration")
        if plan.needs_network and plan.engine.sizes.visible > 1 and gain < 1:
            registered, gain = _blend(registered, _registered(luma, plan.thermal, clock), gain), 1.0
        source = pair.visible if view.reference == VISIBLE else pair.thermal
        fused = self._fuse(plan, registered, luma, chroma, source, mode, clock, view, gain, alone)
        return dataclasses.replace(fused, thermal=thermal)

    def process_alone(self, stream: str, frame: Frame, extras: Extras = NO_EXTRAS) -> FusedFrame:
        """Return the image of one stream at the output's size; the mode of the result is ``stream``.

        A network that takes both images at one size gets the luma of that image as both of its inputs: what two equal
        images have in common is the image itself, so that what it adds is the resolution. One that takes the visible
        image at the output's size has nothing to add to it, and gets black in its place beside a thermal image. The
        thermal image gives gray with its own stamp and frame. The view is that of ``stream``, cut as that of the pair
        before where that was it. Nothing is valid for both. Raises what :meth:`process` does.
        """
        clock = StageClock()
        view = self.registration.alone(stream)
        temperature: NDArray[np.float32] | None = None
        if stream == VISIBLE:
            plan = self.plan(None, frame)
            luma, chroma = self._visible(frame, plan, view, clock)
            thermal = _registered(luma, plan.thermal, clock) if plan.needs_network else luma
            fused = self._fuse(plan, thermal, luma, chroma, frame, stream, clock, view)
            if extras.temperature and self._temperature.is_on:
                temperature = np.full(fused.image.shape[:2], np.nan, np.float32)
            overlay = _overlay(None, frame, view, plan.output) if extras.overlay else None
        else:
            frame = self._taken(frame)
            plan = self.plan(frame, None)
            conditioned = self._thermal(frame, clock)
            registered = view.thermal(conditioned, plan.thermal)
            clock.lap("registration")
            if plan.engine.sizes.visible == 1:
                luma = np.zeros(plan.visible[::-1], np.uint8)
            else:
                luma = _registered(registered, plan.visible, clock)
            fused = self._fuse(plan, registered, luma, None, frame, stream, clock, view)
            fused = dataclasses.replace(fused, thermal=conditioned)
            if extras.temperature:
                temperature = self._measured(frame, view, plan, clock)
            overlay = _overlay(conditioned, None, view, plan.output) if extras.overlay else None
        validity = np.zeros(fused.image.shape[:2], np.uint8) if extras.validity else None
        return dataclasses.replace(fused, validity=validity, temperature=temperature, overlay=overlay)

    def condition(self, frame: Frame) -> NDArray[np.float32]:
        """Return the thermal image that would be fused, (H, W) float32 in [0, 1] at its own size, and fuse nothing.

        Raises what :meth:`process` does.
        """
        taken = self._taken(frame)
        check_size(taken, THERMAL, self._config)
        return self._conditioner.condition(taken)

    def _taken(self, thermal: Frame) -> Frame:
        if self._intake is None:
            return thermal
        self.registration.cut(size_of(thermal), self._intake.margins(thermal))
        return self._intake.take(thermal)

    def _thermal(self, frame: Frame, clock: StageClock) -> NDArray[np.float32]:
        thermal = self._conditioner.condition(frame)
        clock.lap("thermal")
        return thermal

    def _measured(self, frame: Frame, view: View, plan: Plan, clock: StageClock) -> NDArray[np.float32] | None:
        """Return the temperatures under the output's pixels; None where the thermal image measures none."""
        measured = kelvin(frame, self._temperature)
        if measured is None:
            return None
        temperature = view.thermal(measured, plan.output, cv2.INTER_LINEAR)
        unseen = view.validity(plan.output) if view.reference == VISIBLE else None
        if unseen is not None:
            temperature[unseen == 0] = np.nan
        clock.lap("temperature")
        return temperature

    def _visible(
        self, frame: Frame, plan: Plan, view: View, clock: StageClock
    ) -> tuple[NDArray[Any], color.Chroma | None]:
        """Return luma at the size that the engine takes, and chroma where the output has colour."""
        width, height = plan.engine.sizes.output_for(plan.visible)
        if view.reference == VISIBLE:
            # More visible pixels than the output has serve nothing after this. Means of means over whole pixels are
            # means, so that shrinking twice, to the output and then to the grid, is still correct in area.
            columns, rows = view.shown_size(frame.image)
            width, height = min(columns, width), min(rows, height)
        visible = view.visible(frame.image, (width, height))
        clock.lap("registration")
        luma: NDArray[Any]
        chroma: color.Chroma | None = None
        if self._config.output == "auto" and color.is_color(frame.encoding):
            luma, chroma = color.split(visible, frame.encoding)
        else:
            luma = color.luma(visible, frame.encoding)
        clock.lap("color")
        return _registered(luma, plan.visible, clock), chroma

    def _fuse(
        self,
        plan: Plan,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        chroma: color.Chroma | None,
        source: Frame,
        mode: str,
        clock: StageClock,
        view: View,
        gain: float = 1.0,
        alone: NDArray[Any] | None = None,
    ) -> FusedFrame:
        """Return the fused frame of two lumas, by ``gain`` of it, with stamp and frame of ``source``.

        ``alone`` is the luma of the reference camera, which is shown where the other sees nothing; None for nowhere.
        """
        stages: Mapping[str, float] = {}
        fused: NDArray[Any] = visible
        if plan.needs_network and gain > 0:
            fused = plan.engine.fuse(thermal, visible)
            stages = plan.engine.timings
            clock.skip()
            fused = _blend(fused, visible, gain)
        elif fused.dtype == np.uint8:
            fused = np.multiply(fused, np.float32(1 / 255), dtype=np.float32)
        fused = _registered(fused, plan.output, clock)
        if alone is not None:
            fused = _weighted(fused, resample(_unit(alone), *plan.output), view.weight(plan.output))
            clock.lap("registration")
        image = color.to_uint8(fused) if chroma is None else color.recombine(fused, chroma)
        clock.lap("color")
        return FusedFrame(
            image, source.stamp_ns, source.frame_id, mode, timings={**clock.timings, **stages},
            reference=THERMAL if mode == THERMAL else view.reference, window=view.window,
        )  # fmt: skip


def _registered(image: NDArray[Any], size: Size, clock: StageClock) -> NDArray[Any]:
    registered = resample(image, *size)
    clock.lap("registration")
    return registered


def _blend(image: NDArray[np.float32], other: NDArray[Any], share: float) -> NDArray[Any]:
    """Return ``share`` of ``image`` with the rest of ``other``, uint8 or float32 in [0, 1] of the same size.

    The one or the other as it is where the share is 1 or 0.
    """
    if share == 1:
        return image
    if share == 0:
        return other
    full = 255 if other.dtype == np.uint8 else 1
    return cv2.addWeighted(image, share, other, (1 - share) / full, 0, dtype=cv2.CV_32F)


def _filled(view: View, plan: Plan, thermal: NDArray[Any], visible: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both lumas, the source's with the reference's in the places that its camera does not see.

    A network fuses two equal images to themselves, so that no edge is made there.
    """
    if view.reference == VISIBLE:
        return _weighted(thermal, _unit(resample(visible, *plan.thermal)), view.weight(plan.thermal)), visible
    return thermal, _weighted(_unit(visible), resample(thermal, *plan.visible), view.weight(plan.visible))


def _weighted(image: NDArray[Any], other: NDArray[Any], weight: NDArray[np.float32] | None) -> NDArray[Any]:
    """Return ``image`` where ``weight`` is 1 and ``other`` where it is 0; all (H, W), of floats."""
    if weight is None:
        return image
    return np.asarray(cv2.blendLinear(image, other, weight, np.float32(1) - weight), np.float32)


def _unit(luma: NDArray[Any]) -> NDArray[np.float32]:
    """Return a luma as float32 in [0, 1]."""
    if luma.dtype != np.uint8:
        return luma
    unit: NDArray[np.float32] = np.multiply(luma, np.float32(1 / 255), dtype=np.float32)
    return unit


def _overlay(thermal: NDArray[np.float32] | None, visible: Frame | None, view: View, size: Size) -> NDArray[np.uint8]:
    """Return the outlines of heat over the visible image on the output's grid; a camera that is missing is black."""
    felt = np.zeros(size[::-1], np.float32) if thermal is None else view.thermal(thermal, size)
    if visible is None:
        return outlined(felt, np.zeros(size[::-1], np.uint8))
    seen = color.luma(view.visible(visible.image, size), visible.encoding)
    return outlined(felt, seen, view.validity(size) if thermal is not None and view.reference == VISIBLE else None)


def _validity(view: View, size: Size) -> NDArray[np.uint8]:
    validity = view.validity(size)
    return np.full(size[::-1], 255, np.uint8) if validity is None else validity
