"""Thermal conditioning: encodings, ranges, and the range's way through time."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hkdnet_ros.errors import ConfigError, ImageError
from hkdnet_ros.perception.frames import Frame
from hkdnet_ros.perception.thermal import ThermalConditioner, ThermalConfig

SECOND = 1_000_000_000


def frame(image: NDArray[np.generic], seconds: float = 0.0, encoding: str = "mono16") -> Frame:
    return Frame(image, round((100 + seconds) * SECOND), "thermal", encoding)


def scene(seed: int = 0, low: int = 7000, high: int = 9000) -> NDArray[np.uint16]:
    """Counts spread evenly from ``low`` to ``high``."""
    ramp = np.linspace(low, high, 120 * 160).round().astype(np.uint16)
    return np.random.default_rng(seed).permutation(ramp).reshape(120, 160)


def shown_range(conditioner: ThermalConditioner, counts: Frame) -> tuple[float, float]:
    """The counts shown as 0 and as 1, from the straight line between two pixels that are neither."""
    shown = conditioner.condition(counts).astype(float)
    inside = np.flatnonzero((shown.ravel() > 0.01) & (shown.ravel() < 0.99))
    values = counts.image.ravel().astype(float)
    a, b = inside[np.argmin(values[inside])], inside[np.argmax(values[inside])]
    gain = (shown.ravel()[b] - shown.ravel()[a]) / (values[b] - values[a])
    low = values[a] - shown.ravel()[a] / gain
    return low, low + 1 / gain


def test_eight_bits_are_divided_by_255() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for encoding in ("mono8", "8UC1"):
        shown = ThermalConditioner(ThermalConfig(range_low=10, range_high=20)).condition(frame(image, 0, encoding))
        assert shown.dtype == np.float32
        np.testing.assert_array_equal(shown, (image.astype(float) / 255).astype(np.float32))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_colour_gives_its_luma(encoding: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, len(encoding) - 1), np.uint8)
    red, green, blue = (image[..., encoding.index(channel)].astype(float) for channel in "rgb")
    shown = ThermalConditioner().condition(frame(image, 0, encoding))
    np.testing.assert_allclose(shown, (0.299 * red + 0.587 * green + 0.114 * blue) / 255, atol=0.51 / 255)


@pytest.mark.parametrize(
    ("image", "encoding"),
    [
        (np.array([[27000, 28000], [29000, 40000]], np.uint16), "mono16"),
        (np.array([[27000, 28000], [29000, 40000]], np.uint16), "16UC1"),
        (np.array([[27000.0, 28000.0], [29000.0, 4e37]], np.float32), "32FC1"),
    ],
)
def test_fixed_range_is_stretched_and_clipped(image: NDArray[np.generic], encoding: str) -> None:
    conditioner = ThermalConditioner(ThermalConfig(range_low=27500, range_high=29500))
    np.testing.assert_allclose(conditioner.condition(frame(image, 0, encoding)), [[0, 0.25], [0.75, 1]], atol=1e-6)


def test_first_frame_sets_the_range_to_its_percentiles() -> None:
    counts = frame(scene())
    config = ThermalConfig(percentile_low=2, percentile_high=90)
    assert shown_range(ThermalConditioner(config), counts) == pytest.approx(np.percentile(counts.image, (2, 90)), abs=1)


@pytest.mark.parametrize("shape", [(512, 640), (1024, 1280), (17, 1000)])
def test_percentiles_of_large_images_come_from_a_sample_that_is_close(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(2).normal(300.0, 5.0, shape).astype(np.float32)
    assert shown_range(ThermalConditioner(), frame(image, 0, "32FC1")) == pytest.approx(
        np.percentile(image, (0.5, 99.5)), abs=1.0
    )


@pytest.mark.parametrize("rate", [9, 30])
def test_range_follows_a_change_with_the_time_constant_at_any_frame_rate(rate: int) -> None:
    conditioner = ThermalConditioner(ThermalConfig(time_constant=2.0))
    old = shown_range(conditioner, frame(scene()))
    new = shown_range(ThermalConditioner(), frame(scene(1, 8000, 12000)))
    for step in range(1, 2 * rate + 1):
        now = shown_range(conditioner, frame(scene(1, 8000, 12000), step / rate))
    expected = [n + (o - n) * math.exp(-1) for o, n in zip(old, new, strict=True)]
    assert now == pytest.approx(expected, abs=2)


def test_hot_object_entering_does_not_make_the_rest_jump() -> None:
    conditioner = ThermalConditioner()
    background = scene()
    shown = [conditioner.condition(frame(background, 0.0))[60:]]
    hot = background.copy()
    hot[:40, :60] = 30000
    shown += [conditioner.condition(frame(hot, n / 30))[60:] for n in range(1, 4)]
    per_frame = ThermalConditioner(ThermalConfig(time_constant=0)).condition(frame(hot))[60:]
    assert np.abs(per_frame - shown[0]).max() > 0.8
    assert max(np.abs(after - before).max() for before, after in pairwise(shown)) < 0.2


def test_backward_stamp_and_another_encoding_start_the_range_anew() -> None:
    for changed in (frame(scene(1, 100, 300), -50.0), frame(scene(1, 100, 300).astype(np.float32), 1.0, "32FC1")):
        conditioner = ThermalConditioner()
        conditioner.condition(frame(scene()))
        assert shown_range(conditioner, changed) == pytest.approx(np.percentile(changed.image, (0.5, 99.5)), abs=1)


def test_closed_shutter_leaves_the_range_as_it_is() -> None:
    conditioner = ThermalConditioner()
    before = shown_range(conditioner, frame(scene()))
    flat = conditioner.condition(frame(np.full((120, 160), 20000, np.uint16), 10.0))
    assert (flat == 1).all()
    assert shown_range(conditioner, frame(scene(), 10.0)) == pytest.approx(before, abs=1)


def test_uniform_first_frame_is_black_and_sets_no_range() -> None:
    conditioner = ThermalConditioner()
    assert (conditioner.condition(frame(np.full((120, 160), 7500, np.uint16))) == 0).all()
    first = shown_range(ThermalConditioner(), frame(scene()))
    assert shown_range(conditioner, frame(scene(), 1 / 9)) == pytest.approx(first, abs=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_counted_and_change_nothing(value: float) -> None:
    conditioner = ThermalConditioner()
    good = frame(np.random.default_rng(0).random((20, 30), np.float32), 0, "32FC1")
    before = conditioner.condition(good)
    bad = good.image.copy()
    bad[3, 4:7] = value
    with pytest.raises(ImageError, match="3 NaN or infinite pixels"):
        conditioner.condition(frame(bad, 1.0, "32FC1"))
    np.testing.assert_array_equal(conditioner.condition(good), before)


@given(
    st.lists(st.integers(0, 65535), min_size=16, max_size=16),
    st.floats(0, 10),
    st.floats(-1e9, 1e9) | st.just(0.0),
    st.floats(0, 1e9),
)
def test_any_counts_and_any_range_stay_within_0_and_1(
    counts: list[int], time_constant: float, low: float, span: float
) -> None:
    high = min(low + span, 1e9)
    conditioner = ThermalConditioner(ThermalConfig(low, high, time_constant=time_constant))
    for step in range(3):
        image = np.roll(np.array(counts, np.uint16), step).reshape(4, 4) // (step + 1)
        shown = conditioner.condition(frame(image, step / 9))
        assert shown.dtype == np.float32
        assert np.isfinite(shown).all()
        assert shown.min() >= 0
        assert shown.max() <= 1


@pytest.mark.parametrize(
    ("image", "encoding", "fact"),
    [
        (np.zeros((20, 30), np.uint8), "mono16", "thermal image is uint8"),
        (np.zeros((20, 30, 3), np.uint8), "mono8", r"shape \(20, 30, 3\)"),
        (np.zeros((20, 30), np.uint8), "yuv422", "yuv422"),
        (np.zeros((0, 30), np.uint16), "mono16", "30x0"),
        (np.zeros(30, np.uint8), "mono8", "shape"),
    ],
)
def test_image_that_does_not_fit_its_encoding_is_refused(image: NDArray[np.generic], encoding: str, fact: str) -> None:
    with pytest.raises(ImageError, match=fact):
        ThermalConditioner().condition(frame(image, 0, encoding))


@pytest.mark.parametrize(
    "wrong",
    [
        {"range_low": 300.0, "range_high": 290.0},
        {"percentile_low": 50.0, "percentile_high": 50.0},
        {"percentile_high": 101.0},
        {"time_constant": -1.0},
    ],
)
def test_contradicting_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=list(wrong)[-1]):
        ThermalConfig(**wrong)
