"""Two numpy images to a fused one, in one call: the pipeline of the node for those who have no stream."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ImageError
from ..images.bit_depth import BitDepth
from ..images.fitting import fitted
from ..images.frames import THERMAL, VISIBLE, Frame, Pair
from ..inference.config import EngineConfig
from ..inference.engine_api import Engine, load_engine
from .config import PerceptionConfig
from .pipeline import FusionPipeline
from .plan import NO_SIZE, PipelineConfig
from .thermal import ThermalConfig

# (type, dimensions) of an array -> the encoding of a camera image like it
_ENCODINGS = {("uint8", 2): "mono8", ("uint16", 2): "mono16", ("float32", 2): "32FC1", ("uint8", 3): "bgr8"}


def fuse(
    thermal: NDArray[Any],
    visible: NDArray[Any],
    *,
    engine: Engine | None = None,
    thermal_config: ThermalConfig | None = None,
    output_size: tuple[int, int] = NO_SIZE,
    thermal_gain: float = 1.0,
    fit: str | None = None,
    **settings: Any,
) -> NDArray[np.uint8]:
    """Return the fusion of two images that show the same view.

    ``thermal`` is (H, W): uint8 gray levels, uint16 counts, or float32 in any unit, such as kelvin. Counts, floats and
    8 bits of few levels are stretched between percentiles of this image, or as ``thermal_config`` says; a scene without
    contrast stays flat (:func:`~hkdnet_ros.perception.thermal_range.scene_range`). ``thermal_gain`` is the share of
    what thermal adds that is shown: 1 is the fusion, 0 the visible image as it is published alone. ``visible`` may
    have another size: uint8, gray (H, W) or colour (H, W, 3) with blue first, as OpenCV reads it, or uint16, gray, of
    10, 12, 14 or 16 bits. The result is uint8, gray for a gray visible image, (..., 3) with blue first for colour. It
    has ``output_size`` (width, height); without one the visible image's size where that is sharper than thermal (model
    ``guided``), and ``scale`` times the thermal image's where both are of about one size (model ``realtime``). Images
    whose aspect ratios differ are refused without ``fit``: "crop" keeps the middle of the visible one, "stretch"
    squeezes it.

    ``settings`` are those of :class:`~hkdnet_ros.inference.config.EngineConfig`: ``model``, ``scale``, ``device``,
    ``precision``, ``threads``. Without ``engine`` each call loads the network anew. To fuse many images, load it once,
    ``engine = load_engine(EngineConfig(scale=3))``, and pass it on, ``fuse(thermal, visible, engine=engine)``. For a
    video use :class:`~hkdnet_ros.perception.pipeline.FusionPipeline`, whose thermal range follows the scene from frame
    to frame.

    Raises :class:`ImageError` for arrays that are no such images, are smaller than 16x16, hold NaN or cannot show the
    same view,
    :class:`ConfigError` for settings that cannot be had or that come beside an ``engine``, and
    :class:`CheckpointError` for weights that cannot be loaded.
    """
    pair = Pair(_frame(thermal, THERMAL), _frame(visible, VISIBLE))
    pair = dataclasses.replace(
        pair, visible=dataclasses.replace(pair.visible, image=fitted(pair.visible.image, thermal.shape, fit))
    )
    config = PerceptionConfig(
        pipeline=PipelineConfig(output_size=output_size, thermal_gain=thermal_gain),
        thermal=thermal_config or ThermalConfig(),
    )

    def fused(engine: Engine) -> NDArray[np.uint8]:
        return FusionPipeline(engine, config).process(pair).image

    if engine is not None:
        if settings:
            raise ConfigError(f"{', '.join(settings)} cannot be set beside an engine; give one or the other")
        return fused(engine)
    loaded = load_engine(EngineConfig(**settings))
    try:
        return fused(loaded)
    finally:
        loaded.close()


def _frame(image: NDArray[Any], stream: str) -> Frame:
    encoding = _ENCODINGS.get((str(image.dtype), image.ndim))
    if encoding is None or image.shape[2:] not in ((), (3,)):
        raise ImageError(
            f"{stream} image is {image.dtype} of shape {image.shape}; expected uint8, uint16 or float32 (H, W), or "
            "uint8 (H, W, 3) with blue first"
        )
    return Frame(BitDepth().full_scale(image) if stream == VISIBLE else image, 0, stream, encoding)
