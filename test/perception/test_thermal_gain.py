"""How much of thermal the fused image shows: all of it, or the visible image as it is published alone."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import slope
from toy_backend import GuidedToyBackend, ToyBackend

from hkdnet_ros import fuse
from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import THERMAL, VISIBLE, Frame, Pair
from hkdnet_ros.inference import engine_api
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import Engine, load_engine
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.plan import PipelineConfig


@pytest.fixture(params=[ToyBackend, GuidedToyBackend], ids=["one size", "guided"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setitem(engine_api.BACKENDS, "toy", f"toy_backend:{request.param.__name__}")
    return load_engine(EngineConfig(backend="toy", precision="fp32"))


def visible(encoding: str = "bgr8") -> Frame:
    image = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
    gray = {"mono8": image[..., 0], "mono16": image[..., 0].astype(np.uint16) * 257}
    return Frame(gray.get(encoding, image), 2, "visible", encoding)


THERMAL_FRAME = Frame(slope(24, 32, 7000, 9000, np.uint16), 1, "thermal", "mono16")


def pipeline(engine: Engine, gain: float, **settings: object) -> FusionPipeline:
    return FusionPipeline(engine, PerceptionConfig(PipelineConfig(thermal_gain=gain, **settings)))


@pytest.mark.parametrize("encoding", ["bgr8", "mono8", "mono16"])
@pytest.mark.parametrize("size", [(0, 0), (80, 60)])
def test_0_is_the_visible_image_as_it_is_published_alone(engine: Engine, encoding: str, size: tuple[int, int]) -> None:
    at_0 = pipeline(engine, 0.0, output_size=size)
    fused = at_0.process(Pair(THERMAL_FRAME, visible(encoding)))
    alone = at_0.process_alone(VISIBLE, visible(encoding))
    np.testing.assert_array_equal(fused.image, alone.image)
    assert (fused.mode, fused.stamp_ns, fused.frame_id) == ("fused", 2, "visible")
    assert fused.thermal is not None


def test_1_is_the_default_and_changes_no_pixel(engine: Engine) -> None:
    pair = Pair(THERMAL_FRAME, visible())
    np.testing.assert_array_equal(pipeline(engine, 1.0).process(pair).image, FusionPipeline(engine).process(pair).image)


@pytest.mark.parametrize("encoding", ["mono8", "mono16"])
def test_between_them_the_picture_moves_in_proportion(engine: Engine, encoding: str) -> None:
    pair = Pair(THERMAL_FRAME, visible(encoding))
    none, part, whole = (pipeline(engine, gain).process(pair).image.astype(float) for gain in (0.0, 0.3, 1.0))
    np.testing.assert_allclose(part, none + 0.3 * (whole - none), atol=1.1)
    assert np.abs(whole - none).max() > 50


def test_thermal_alone_is_shown_whatever_the_gain(engine: Engine) -> None:
    shown = [pipeline(engine, gain).process_alone(THERMAL, THERMAL_FRAME).image for gain in (0.0, 1.0)]
    np.testing.assert_array_equal(*shown)


def test_it_may_be_turned_while_images_come(engine: Engine) -> None:
    pair, turned = Pair(THERMAL_FRAME, visible()), pipeline(engine, 1.0)
    turned.process(pair)
    turned.reconfigure(PerceptionConfig(PipelineConfig(thermal_gain=0.4)))
    np.testing.assert_array_equal(turned.process(pair).image, pipeline(engine, 0.4).process(pair).image)
    options = {field.name: field.metadata["option"] for field in PipelineConfig.__dataclass_fields__.values()}
    assert options["thermal_gain"].live


def test_fuse_takes_it(engine: Engine) -> None:
    image, colour = THERMAL_FRAME.image, visible().image
    at_0 = pipeline(engine, 0.0).process(Pair(THERMAL_FRAME, visible())).image
    np.testing.assert_array_equal(fuse(image, colour, engine=engine, thermal_gain=0.0), at_0)


@pytest.mark.parametrize("wrong", [-0.1, 1.01, float("nan")])
def test_other_gains_are_refused(wrong: float) -> None:
    with pytest.raises(ConfigError, match="thermal_gain"):
        PipelineConfig(thermal_gain=wrong)
