"""Counts to kelvin: the formulas of the makers, and no value where none was measured."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.intake import ThermalIntake
from hkdnet_ros.perception.temperature import TemperatureConfig, kelvin


def frame(values, dtype=np.uint16):
    encoding = {np.uint8: "mono8", np.uint16: "mono16", np.float32: "32FC1"}[dtype]
    return Frame(np.array([values], dtype), 0, "thermal", encoding)


@pytest.mark.parametrize(
    ("source", "count", "celsius"),
    [
        ("lepton", 30115, 28.0),
        ("lepton_low_gain", 3012, 28.05),
        ("boson", 30115, 28.0),
        ("boson_low_gain", 3012, 28.05),
        ("optris", 1280, 28.0),  # (1280 - 1000) / 10
        ("infiray", 19274, 28.00625),  # 19274 / 64 - 273.15
        ("kelvin", 301, 27.85),
        ("celsius", 28, 28.0),
    ],
)
def test_presets_read_counts_as_their_cameras_mean_them(source, count, celsius):
    found = kelvin(frame([count]), TemperatureConfig(source=source))
    assert found.dtype == np.float32
    assert found[0, 0] - 273.15 == pytest.approx(celsius, abs=1e-4)


def test_gain_and_offset_can_be_given():
    found = kelvin(frame([5000]), TemperatureConfig(source="linear", gain=0.0125, offset=223.15))
    assert found[0, 0] == pytest.approx(285.65, abs=1e-4)


def test_neighbouring_counts_stay_apart():
    found = kelvin(frame([30000, 30001]), TemperatureConfig(source="boson"))
    assert found[0, 1] - found[0, 0] == pytest.approx(0.01, abs=1e-4)


def test_floats_are_taken_in_their_unit():
    found = kelvin(frame([20.5, np.nan, -300.0, np.inf], np.float32), TemperatureConfig(source="celsius"))
    assert found[0, 0] == pytest.approx(293.65)
    assert np.isnan(found[0, 1:]).all()


def test_counts_of_nothing_and_at_the_limit_are_no_measurement():
    found = kelvin(frame([0, 1, 65534, 65535]), TemperatureConfig(source="lepton"))
    np.testing.assert_array_equal(np.isnan(found), [[True, False, False, True]])


def test_images_for_the_eye_and_source_none_measure_nothing():
    assert kelvin(frame([100], np.uint8), TemperatureConfig(source="lepton")) is None
    assert kelvin(frame([30000]), TemperatureConfig()) is None
    with pytest.raises(ConfigError, match="gain is 0"):
        TemperatureConfig(source="linear", gain=0.0)


def test_a_value_that_was_put_in_for_a_missing_one_is_no_measurement():
    image = np.full((20, 20), 300.0, np.float32)
    image[4, 5] = np.nan
    taken = ThermalIntake().take(Frame(image, 0, "thermal", "32FC1"))
    assert taken.image[4, 5] == pytest.approx(300)
    found = kelvin(taken, TemperatureConfig(source="kelvin"))
    assert np.isnan(found[4, 5])
    assert np.count_nonzero(np.isnan(found)) == 1
