"""The simulator's promises: repeatable, one geometry for both cameras, truth behind the camera images."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.simulator.config import SETTINGS, SceneConfig
from hkdnet_ros.simulator.sensor import MAX_COUNT, counts_of
from hkdnet_ros.simulator.simulator import SimulatedPair, Simulator

SMALL = (96, 72)
CROSSING_INDEX = 250  # people are on the crossing
CLEAN = {"netd": 0.0, "fixed_pattern": 0.0, "drift": 0.0}


def arrays(pair: SimulatedPair) -> list[np.ndarray]:
    return [pair.thermal.image, pair.visible.image, pair.truth_thermal, pair.truth_visible]


@pytest.mark.parametrize("setting", SETTINGS)
def test_equal_settings_give_equal_images_in_any_order(setting: str) -> None:
    config = SceneConfig.of_one_size(SMALL, setting=setting)
    forwards, backwards = Simulator(config), Simulator(config)
    first = [forwards.render(index) for index in (3, 40, 250)]
    second = [backwards.render(index) for index in (250, 40, 3)][::-1]
    for one, other in zip(first, second, strict=True):
        for image, same in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_array_equal(image, same)


def test_another_seed_or_index_gives_another_image() -> None:
    simulator = Simulator(SceneConfig.of_one_size(SMALL))
    other = Simulator(SceneConfig.of_one_size(SMALL, seed=1)).render(0)
    assert (np.abs(simulator.render(0).truth_visible.astype(int) - other.truth_visible) > 20).mean() > 0.2
    assert (simulator.render(0).truth_visible != simulator.render(250).truth_visible).any()


@pytest.mark.parametrize(
    ("size", "scale"), [((96, 72), 2), ((67, 49), 3), ((48, 64), 1), ((50, 40), 4), ((620, 420), 2)]
)
def test_images_have_the_promised_types_and_sizes(size: tuple[int, int], scale: int) -> None:
    simulator = Simulator(SceneConfig.of_one_size(size, scale=scale, fps=20.0, setting="smoke"))
    pair = simulator.render(5)
    width, height = size
    assert (pair.thermal.image.shape, pair.thermal.image.dtype) == ((height, width), np.uint16)
    assert (pair.visible.image.shape, pair.visible.image.dtype) == ((height, width, 3), np.uint8)
    assert pair.truth_thermal.shape == (height * scale, width * scale)
    assert pair.truth_thermal.dtype == np.float32
    assert pair.truth_visible.shape == (height * scale, width * scale, 3)
    assert (pair.thermal.encoding, pair.visible.encoding) == ("mono16", "bgr8")
    assert pair.thermal.stamp_ns == pair.visible.stamp_ns == 250_000_000
    assert pair.truth_thermal.min() >= 0.0
    assert pair.truth_thermal.max() <= 1.0
    assert pair.thermal.image.max() <= MAX_COUNT
    for stream, frame in (("thermal", pair.thermal), ("visible", pair.visible)):
        model = simulator.camera_model(stream)
        assert (model.width, model.height, model.frame_id) == (width, height, frame.frame_id)
        assert (model.k[2], model.k[5]) == ((width - 1) / 2, (height - 1) / 2)


def test_cameras_of_different_sizes_look_at_one_truth() -> None:
    config = SceneConfig(thermal_size=(48, 36), visible_size=(192, 144), setting="night", **CLEAN)
    simulator = Simulator(config)
    colour, temperature = simulator.truth(CROSSING_INDEX)
    pair = simulator.render(CROSSING_INDEX)
    assert pair.truth_thermal.shape == pair.visible.image.shape[:2] == colour.shape[:2] == (144, 192)
    mean = temperature.reshape(36, 4, 48, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(pair.thermal.image, np.clip(counts_of(mean), 0, MAX_COUNT), atol=0.51)
    assert abs((pair.visible.image - colour.astype(float)).mean()) < 0.2
    for stream, (width, height), focal in (("thermal", (48, 36), 0.25), ("visible", (192, 144), 1.0)):
        model = simulator.camera_model(stream)
        assert (model.width, model.height) == (width, height)
        assert (model.k[2], model.k[5]) == ((width - 1) / 2, (height - 1) / 2)
        assert model.k[0] == model.p[0] == pytest.approx(focal * simulator.camera_model("visible").k[0])


def test_the_default_is_a_visible_camera_four_times_as_sharp_whose_truth_has_its_size() -> None:
    config = SceneConfig()
    assert (config.thermal_size, config.visible_size, config.truth_size) == ((160, 120), (640, 480), (640, 480))
    one = SceneConfig.of_one_size((320, 240), 3, setting="night")
    assert (one.thermal_size, one.visible_size, one.truth_size) == ((320, 240), (320, 240), (960, 720))


def test_clean_thermal_counts_are_the_area_mean_of_the_true_temperature() -> None:
    simulator = Simulator(SceneConfig.of_one_size(SMALL, **CLEAN))
    _, temperature = simulator.truth(CROSSING_INDEX)
    mean = temperature.reshape(SMALL[1], 2, SMALL[0], 2).mean(axis=(1, 3))
    counts = simulator.render(CROSSING_INDEX).thermal.image
    np.testing.assert_allclose(counts, np.clip(counts_of(mean), 0, MAX_COUNT), atol=0.51)


def test_thermal_range_maps_counts_onto_the_truth() -> None:
    simulator = Simulator(SceneConfig.of_one_size(SMALL, scale=1, **CLEAN))
    pair = simulator.render(CROSSING_INDEX)
    low, high = simulator.thermal_range
    stretched = np.clip((pair.thermal.image - low) / (high - low), 0.0, 1.0)
    np.testing.assert_allclose(stretched, pair.truth_thermal, atol=1e-3)


def test_visible_image_is_the_area_mean_of_its_truth_up_to_noise() -> None:
    pair = Simulator(SceneConfig.of_one_size(SMALL)).render(CROSSING_INDEX)
    expected = cv2.resize(pair.truth_visible, SMALL, interpolation=cv2.INTER_AREA).astype(float)
    error = pair.visible.image - expected
    assert abs(error.mean()) < 0.2
    assert 0.3 < error.std() < 3.0


def people_mask(setting: str) -> tuple[np.ndarray, np.ndarray]:
    """Change of temperature (H, W) and of luma (H, W) that the people make, in an otherwise equal scene."""
    config = SceneConfig.of_one_size((160, 120), setting=setting, cars=0)
    colour, temperature = Simulator(config).truth(CROSSING_INDEX)
    empty_colour, empty_temperature = Simulator(dataclasses.replace(config, people=0)).truth(CROSSING_INDEX)
    lumas = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float) for image in (colour, empty_colour)]
    return temperature - empty_temperature, lumas[0] - lumas[1]


def test_both_modalities_show_people_at_the_same_place() -> None:
    warmer, luma = people_mask("day")
    people = warmer > 4.0
    assert people.sum() > 200
    assert (np.abs(luma)[people] > 3).mean() > 0.85


def test_at_night_people_are_warm_but_hardly_seen() -> None:
    warmer, luma = people_mask("night")
    people = warmer > 4.0
    assert people.sum() > 200
    assert warmer[people].mean() > 10.0
    assert np.abs(luma[people]).mean() < 12.0


def test_smoke_hides_what_stands_behind_from_the_eye_but_not_from_the_thermal_camera() -> None:
    simulator = Simulator(SceneConfig.of_one_size((160, 120), setting="smoke", people=0, cars=0))
    colour, temperature = simulator.truth(90)
    simulator._rendering._sheets = []
    clear_colour, clear_temperature = simulator.truth(90)
    veiled = np.abs(colour.astype(int) - clear_colour).max(axis=2) > 20
    assert 0.05 < veiled.mean() < 0.9
    detail = [cv2.Laplacian(image, cv2.CV_32F)[veiled].std() for image in (colour, clear_colour)]
    assert detail[0] < 0.6 * detail[1]
    heat = [cv2.Laplacian(image, cv2.CV_32F)[veiled].std() for image in (temperature, clear_temperature)]
    assert heat[0] > 0.85 * heat[1]


def test_scene_holds_things_colder_than_the_air_and_hotter_than_a_body() -> None:
    _, temperature = Simulator(SceneConfig.of_one_size((160, 120))).truth(30)
    assert temperature.min() < 0.0
    assert temperature.max() > 45.0


def test_cars_pass_and_are_gone_when_people_cross() -> None:
    config = SceneConfig.of_one_size(SMALL, people=0)
    empty = Simulator(dataclasses.replace(config, cars=0))
    driven = Simulator(config)
    changed = [
        float((np.abs(driven.truth(i)[0].astype(int) - empty.truth(i)[0]).max(axis=2) > 8).mean()) for i in (30, 300)
    ]
    assert changed[0] > 10 * changed[1]
    assert changed[0] > 0.03


@pytest.mark.parametrize(
    "bad",
    [
        {"setting": "fog"},
        {"thermal_size": (0, 240)},
        {"visible_size": (320,)},
        {"thermal_size": (648, 480)},
        {"visible_size": (2048, 2048), "scale": 2},
        {"scale": 5},
        {"fps": 0.0},
        {"seed": -1},
        {"netd": -0.1},
    ],
)
def test_a_setting_out_of_range_is_one_clear_line(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        SceneConfig(**bad)  # type: ignore[arg-type]
