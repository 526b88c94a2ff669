"""Thermal conditioning: encodings, ranges and their way through time, local contrast, bad pixels."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pictures import slope

from hkdnet_ros.errors import ConfigError, ImageError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.thermal import ThermalConditioner, ThermalConfig, raise_local_contrast
from hkdnet_ros.perception.thermal_range import percentiles

SECOND = 1_000_000_000


def frame(image: NDArray[np.generic], seconds: float = 0.0, encoding: str = "mono16") -> Frame:
    return Frame(image, round((100 + seconds) * SECOND), "thermal", encoding)


def scene(turn: int = 0, low: int = 7000, high: int = 9000) -> NDArray[np.generic]:
    """Counts from ``low`` to ``high``."""
    return slope(120, 160, low, high, np.uint16, turn)


def shown_range(conditioner: ThermalConditioner, counts: Frame) -> tuple[float, float]:
    """The counts shown as 0 and as 1, from the straight line between two pixels that are neither."""
    shown = conditioner.condition(counts).astype(float)
    inside = np.flatnonzero((shown.ravel() > 0.01) & (shown.ravel() < 0.99))
    values = counts.image.ravel().astype(float)
    a, b = inside[np.argmin(values[inside])], inside[np.argmax(values[inside])]
    gain = (shown.ravel()[b] - shown.ravel()[a]) / (values[b] - values[a])
    low = values[a] - shown.ravel()[a] / gain
    return low, low + 1 / gain


@pytest.mark.parametrize("counts", [(0, 0), (7000, 9000)])
def test_eight_bits_are_divided_by_255_whatever_range_is_fixed_for_counts(counts: tuple[float, float]) -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for encoding in ("mono8", "8UC1"):
        shown = ThermalConditioner(ThermalConfig(*counts)).condition(frame(image, 0, encoding))
        assert shown.dtype == np.float32
        np.testing.assert_array_equal(shown, (image.astype(float) / 255).astype(np.float32))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_colour_gives_its_luma(encoding: str) -> None:
    image = np.stack([slope(20, 30, low, 255) for low in (0, 30, 60, 90)[: len(encoding) - 1]], axis=-1)
    red, green, blue = (image[..., encoding.index(channel)].astype(float) for channel in "rgb")
    shown = ThermalConditioner(ThermalConfig(palette="gray")).condition(frame(image, 0, encoding))
    np.testing.assert_allclose(shown, (0.299 * red + 0.587 * green + 0.114 * blue) / 255, atol=0.51 / 255)


@pytest.mark.parametrize(
    ("image", "encoding"),
    [
        (np.array([[27000, 28000], [29000, 40000]], np.uint16), "mono16"),
        (np.array([[27000, 28000], [29000, 40000]], np.uint16), "16UC1"),
        (np.array([[27000.0, 28000.0], [29000.0, 4e37]], np.float32), "32FC1"),
        (np.array([[27, 28], [29, 255]], np.uint8), "mono8"),
    ],
)
def test_fixed_range_is_stretched_and_clipped(image: NDArray[np.generic], encoding: str) -> None:
    unit = 1 if encoding == "mono8" else 1000
    conditioner = ThermalConditioner(ThermalConfig(range_low=27.5 * unit, range_high=29.5 * unit))
    np.testing.assert_allclose(conditioner.condition(frame(image, 0, encoding)), [[0, 0.25], [0.75, 1]], atol=1e-6)


def test_first_frame_sets_the_range_to_its_percentiles() -> None:
    counts = frame(scene())
    config = ThermalConfig(percentile_low=2, percentile_high=90)
    assert shown_range(ThermalConditioner(config), counts) == pytest.approx(np.percentile(counts.image, (2, 90)), abs=1)


@pytest.mark.parametrize("shape", [(512, 640), (1024, 1280), (17, 1000)])
def test_percentiles_of_large_images_come_from_a_sample_that_is_close(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(2).normal(300.0, 5.0, shape).astype(np.float32)
    assert percentiles(image, 0.5, 99.5) == pytest.approx(np.percentile(image, (0.5, 99.5)), abs=1.0)


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


@pytest.mark.parametrize("begins_anew", [True, False])
def test_a_stream_that_begins_anew_and_another_encoding_start_the_range_anew(begins_anew: bool) -> None:
    other = scene(1, 100, 300)
    changed = frame(other, -50.0) if begins_anew else frame(other.astype(np.float32), 1.0, "32FC1")
    conditioner = ThermalConditioner()
    conditioner.condition(frame(scene()))
    if begins_anew:
        conditioner.begin_anew()
    assert shown_range(conditioner, changed) == pytest.approx(np.percentile(changed.image, (0.5, 99.5)), abs=1)


@pytest.mark.parametrize("back", [0.5, 50.0, 3600.0])
def test_without_being_told_a_stamp_that_goes_back_starts_the_range_anew(back: float) -> None:
    conditioner = ThermalConditioner()
    conditioner.condition(frame(scene(), 4000.0))
    changed = frame(scene(1, 100, 300), 4000.0 - back)
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
    "wrong",
    [
        {"range_low": 300.0, "range_high": 290.0},
        {"percentile_low": 50.0, "percentile_high": 50.0},
        {"percentile_high": 101.0},
        {"time_constant": -1.0},
        {"local_contrast": 1.1},
        {"mend_pixels": -1.0},
    ],
)
def test_contradicting_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=list(wrong)[-1]):
        ThermalConfig(**wrong)


# Settings exchanged while frames come


def test_what_a_running_node_may_change_is_marked_so() -> None:
    live = {field.name for field in dataclasses.fields(ThermalConfig) if field.metadata["option"].live}
    percentiles, looks = {"percentile_low", "percentile_high"}, {"palette", "polarity"}
    assert live == {"range_low", "range_high", *percentiles, "time_constant", "local_contrast", "mend_pixels", *looks}


def test_new_percentiles_are_approached_with_the_time_constant() -> None:
    conditioner = ThermalConditioner()
    old = shown_range(conditioner, frame(scene()))
    conditioner.reconfigure(ThermalConfig(percentile_low=20, percentile_high=80, time_constant=2.0))
    assert shown_range(conditioner, frame(scene())) == pytest.approx(old, abs=1)
    new = np.percentile(scene(), (20, 80))
    expected = [n + (o - n) * math.exp(-1) for o, n in zip(old, new, strict=True)]
    assert shown_range(conditioner, frame(scene(), 2.0)) == pytest.approx(expected, abs=2)


def test_fixed_range_applies_at_once_and_gives_way_to_the_scene_at_once() -> None:
    conditioner = ThermalConditioner()
    following = shown_range(conditioner, frame(scene()))
    conditioner.reconfigure(ThermalConfig(range_low=5000, range_high=15000))
    assert shown_range(conditioner, frame(scene(), 1.0)) == pytest.approx((5000, 15000), abs=2)
    conditioner.reconfigure(ThermalConfig())
    assert shown_range(conditioner, frame(scene(), 1.1)) == pytest.approx(following, abs=1)


# Local contrast


def waves(amplitude: float, ramp: float) -> NDArray[np.float32]:
    """Fine waves on a ramp across the image, float32 in units of the range."""
    y, x = np.mgrid[:120, :160]
    return (0.5 + ramp * (x / 159 - 0.5) + amplitude * np.sin(x * 1.3) * np.sin(y * 1.1)).astype(np.float32)


def spread_of_rows(image: NDArray[np.float32], columns: slice) -> float:
    """Standard deviation down the columns, which a ramp across does not add to."""
    return float(image[:, columns].std(axis=0).mean())


def test_local_contrast_is_off_by_default() -> None:
    counts = frame(scene())
    off = ThermalConditioner(ThermalConfig(local_contrast=0.0)).condition(counts)
    np.testing.assert_array_equal(ThermalConditioner().condition(counts), off)


@pytest.mark.parametrize(("strength", "gain"), [(0.0, 1.0), (0.5, 2.0), (1.0, 3.0)])
def test_local_contrast_raises_weak_detail_by_its_strength(strength: float, gain: float) -> None:
    image = waves(0.005, ramp=0.6)
    inside = slice(20, 140)
    raised = raise_local_contrast(image, strength)
    assert spread_of_rows(raised, inside) / spread_of_rows(image, inside) == pytest.approx(gain, rel=0.1)


def test_local_contrast_shows_detail_in_what_the_range_clips() -> None:
    counts = (10000 + 2000 * waves(0.02, ramp=0.6)).astype(np.uint16)
    hot = slice(120, 160)
    config = ThermalConfig(range_low=9000, range_high=10800)
    plain = ThermalConditioner(config).condition(frame(counts))
    raised = ThermalConditioner(dataclasses.replace(config, local_contrast=1.0)).condition(frame(counts))
    assert (plain[:, hot] == 1).all()
    assert spread_of_rows(raised, hot) > 0.01


@pytest.mark.parametrize("height", [0.02, 0.1, 0.3, 0.8])
def test_local_contrast_leaves_no_halo_beside_an_edge(height: float) -> None:
    image = np.full((120, 160), 0.5 - height / 2, np.float32)
    image[:, 80:] += height
    raised = raise_local_contrast(image, 1.0)
    assert raised.max() - raised[60, -1] < 0.06
    assert raised[60, 0] - raised.min() < 0.06


def test_hot_object_changes_nothing_far_from_it_with_local_contrast() -> None:
    background = waves(0.02, ramp=0.3)
    hot = background.copy()
    hot[50:70, 60:90] = 1.5
    changed = np.abs(raise_local_contrast(hot, 1.0) - raise_local_contrast(background, 1.0)) > 1e-5
    assert changed[50:70, 60:90].all()
    changed[40:80, 50:100] = False
    assert not changed.any()


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)), st.floats(0, 1))
def test_local_contrast_of_any_counts_stays_within_0_and_1(counts: NDArray[np.uint16], strength: float) -> None:
    shown = ThermalConditioner(ThermalConfig(local_contrast=strength)).condition(frame(counts))
    assert shown.dtype == np.float32
    assert shown.shape == counts.shape
    assert np.isfinite(shown).all()
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_local_contrast_takes_floats_of_any_size() -> None:
    image = np.array([[280.0, 4e37], [-4e37, 300.0]] * 8, np.float32)
    shown = ThermalConditioner(ThermalConfig(range_low=270, range_high=310, local_contrast=1.0)).condition(
        frame(image, 0, "32FC1")
    )
    assert np.isfinite(shown).all()


# Dead and hot pixels

STUCK, WEAK, TARGET = (20, 30), (40, 50), (30, 120)  # two faults of the sensor, and a hot spot in the scene


def panning(step: int, *, encoding: str = "mono16") -> Frame:
    """One of five frames a second of a camera that pans over hills with a target of one pixel, 2 px to the next."""
    rng = np.random.default_rng(step)
    y, x = np.mgrid[:60, :80]
    x = x + 2 * step
    image = 8000 + 300 * np.sin(x / 9) * np.cos(y / 7) + 200 * np.sin(x / 23) + rng.normal(0, 2, x.shape)
    image[(y == TARGET[0]) & (x % 400 == TARGET[1])] += 900
    image[STUCK] = 20000
    image[WEAK] -= 200
    return frame(image.round().astype(np.uint16 if encoding == "mono16" else np.float32), step / 5, encoding)


MENDING = ThermalConfig(range_low=0, range_high=30000, mend_pixels=8)


def mended(shown: NDArray[np.float32], counts: Frame) -> set[tuple[int, int]]:
    """Pixels shown as another count than the camera sent."""
    return {(int(y), int(x)) for y, x in np.argwhere(np.abs(shown * 30000 - counts.image) > 1)}


@pytest.mark.parametrize("encoding", ["mono16", "32FC1"])
def test_faulty_pixels_are_mended_when_the_scene_has_moved_and_a_moving_target_never(encoding: str) -> None:
    conditioner = ThermalConditioner(MENDING)
    for step in range(150):
        counts = panning(step, encoding=encoding)
        found = mended(conditioner.condition(counts), counts)
        assert found <= {STUCK, WEAK}
        assert step >= 20 or not found
    assert found == {STUCK, WEAK}
    good = np.delete(counts.image[18:23, 28:33].ravel(), 12)
    assert conditioner.condition(counts)[STUCK] * 30000 == pytest.approx(np.median(good), abs=1)


def test_nothing_is_mended_where_nothing_moves() -> None:
    conditioner = ThermalConditioner(MENDING)
    target = panning(0).image.copy()
    for step in range(100):
        noise = np.random.default_rng(step).integers(-2, 3, target.shape)
        counts = frame((target + noise).astype(np.uint16), step / 5)
        assert not mended(conditioner.condition(counts), counts)


def test_pixels_stay_mended_through_new_settings_and_a_looping_bag_but_not_at_another_size() -> None:
    conditioner = ThermalConditioner(MENDING)
    for step in range(150):
        conditioner.condition(panning(step))
    conditioner.reconfigure(dataclasses.replace(MENDING, mend_pixels=9.0))
    conditioner.begin_anew()
    counts = panning(0)
    assert mended(conditioner.condition(counts), counts) == {STUCK, WEAK}
    cropped = frame(counts.image[:50], 1.0)
    assert not mended(conditioner.condition(cropped), cropped)


def test_recovered_pixel_is_shown_again() -> None:
    conditioner = ThermalConditioner(MENDING)
    for step in range(300):
        counts = panning(step)
        if step >= 150:
            counts.image[STUCK] = np.median(counts.image[18:23, 28:33]) + 3
        found = mended(conditioner.condition(counts), counts)
    assert STUCK not in found
    assert WEAK in found


def test_mending_is_off_by_default_and_leaves_the_message_as_it_is() -> None:
    plain, mending = ThermalConditioner(dataclasses.replace(MENDING, mend_pixels=0.0)), ThermalConditioner(MENDING)
    for step in range(150):
        counts = panning(step)
        before = counts.image.copy()
        counts.image.flags.writeable = False
        mending.condition(counts)
        np.testing.assert_array_equal(counts.image, before)
        assert not mended(plain.condition(counts), counts)
