"""Through the shipped networks: a wall leaves the visible image as it is, and somebody before it is seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

from hkdnet_ros.images import color
from hkdnet_ros.images.frames import VISIBLE, Frame, Pair
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import Engine, load_engine
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.thermal import ThermalConfig
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.simulator import Simulator

SECOND = 1_000_000_000
HIM = np.s_[50:90, 70:84]  # of 160x120
UNITS = {
    "centikelvin": ("mono16", np.uint16, 100, 27315),
    "Celsius": ("32FC1", np.float32, 1, 0),
    "8 bits": ("mono8", np.uint8, 10, -80),
}


@pytest.fixture(scope="module", params=["guided", "realtime", "fast"])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine = load_engine(EngineConfig(model=request.param, device="cpu", precision="fp32"))
    yield engine
    engine.close()


def seen(setting: str) -> Frame:
    image = Simulator(SceneConfig(setting=setting, seed=1, people=0)).render(40).visible.image
    return Frame(cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA), SECOND, VISIBLE, "bgr8")


@pytest.fixture(scope="module")
def street() -> Frame:
    """By night, when there is least in it to hide noise."""
    return seen("night")


def wall(unit: str = "centikelvin", warmer: float = 0.0, seed: int = 0) -> Frame:
    """A wall at 20 deg C with 0.05 K of noise, and somebody in front of it."""
    encoding, dtype, gain, zero = UNITS[unit]
    celsius = 20 + 0.05 * np.random.default_rng(seed).standard_normal((120, 160))
    celsius[HIM] += warmer
    values = celsius * gain + zero
    return Frame((values if dtype is np.float32 else np.rint(values)).astype(dtype), SECOND, "thermal", encoding)


def luma(image: NDArray[np.generic], size: tuple[int, int]) -> NDArray[np.float32]:
    gray = image if image.ndim == 2 else color.luma(image, "bgr8")
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def detail_kept(fused: NDArray[np.generic], visible: NDArray[np.generic]) -> float:
    """Correlation of what both images have of fine detail."""
    size = min(fused.shape[1::-1], visible.shape[1::-1])
    details = [image - cv2.GaussianBlur(image, (0, 0), 3) for image in (luma(fused, size), luma(visible, size))]
    return float(np.corrcoef(*(detail.ravel() for detail in details))[0, 1])


@pytest.mark.parametrize(("unit", "setting"), [*((unit, "night") for unit in UNITS), ("centikelvin", "day")])
def test_before_a_wall_the_fused_image_is_the_visible_one(engine: Engine, unit: str, setting: str) -> None:
    visible = seen(setting)
    fused = FusionPipeline(engine).process(Pair(wall(unit), visible)).image
    is_guided = engine.sizes.visible == 1
    assert detail_kept(fused, visible.image) > (0.95 if is_guided else 0.85)
    size = 160, 120
    assert np.abs(luma(fused, size) - luma(visible.image, size)).mean() < (3 if is_guided else 18)


def test_the_same_noise_over_the_whole_range_is_snow(engine: Engine, street: Frame) -> None:
    stretched = PerceptionConfig(thermal=ThermalConfig(range_low=29302, range_high=29328))
    fused = FusionPipeline(engine, stretched).process(Pair(wall(), street)).image
    assert detail_kept(fused, street.image) < 0.5


@pytest.mark.parametrize("warmer", [1.0, 10.0])
def test_somebody_in_front_of_the_wall_is_seen(engine: Engine, street: Frame, warmer: float) -> None:
    without, with_him = (
        luma(FusionPipeline(engine).process(Pair(wall(warmer=kelvin), street)).image, (160, 120))
        for kelvin in (0.0, warmer)
    )
    assert (with_him - without)[HIM].mean() > (15 if warmer == 1 else 40)


def test_a_wall_alone_is_a_flat_picture(engine: Engine) -> None:
    alone = FusionPipeline(engine).process_alone("thermal", wall()).image
    assert alone.std() < 8


def test_the_background_stays_when_somebody_comes_and_goes(engine: Engine, street: Frame) -> None:
    pipeline = FusionPipeline(engine)
    levels = []
    for step in range(10):
        thermal = wall(warmer=10.0 if 2 <= step < 6 else 0.0, seed=step)
        thermal = Frame(thermal.image, SECOND + step * SECOND // 2, "thermal", thermal.encoding)
        fused = luma(pipeline.process(Pair(thermal, street)).image, (160, 120))
        levels.append(fused[:, 110:].mean())
    assert np.ptp(levels) < 12
    assert np.abs(np.diff(levels)).max() < 5
