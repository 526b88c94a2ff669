"""What is timed, and what is said of it; how long it takes is for no test to say."""

from __future__ import annotations

import pytest

from hkdnet_ros.cli import main
from hkdnet_ros.errors import ConfigError
from hkdnet_ros.inference.benchmark import time_formats
from hkdnet_ros.inference.config import EngineConfig


@pytest.mark.parametrize(
    ("thermal_size", "model", "sizes"),
    [
        (None, "realtime_x2", ((48, 32), (48, 32), (96, 64))),
        ((40, 30), "realtime_x2", ((40, 30), (40, 30), (80, 60))),  # both are brought to thermal's size
        ((16, 16), "guided", ((24, 16), (48, 32), (48, 32))),  # thermal is enlarged to half of the output
    ],
)
def test_auto_times_the_network_that_the_node_would_run(thermal_size, model, sizes):
    found = time_formats(EngineConfig(device="cpu"), (48, 32), thermal_size=thermal_size, frames=2)
    assert (found.model, found.device) == (model, "cpu")
    assert (found.thermal, found.visible, found.output) == sizes
    assert {len(times) for times in found.times.values()} == {2}
    assert all(time > 0 for times in found.times.values() for time in times)


def test_guided_takes_the_visible_image_in_full_whatever_the_thermal_one_has():
    found = time_formats(EngineConfig(model="guided", device="cpu"), (49, 33), frames=1)
    assert (found.thermal, found.visible, found.output) == ((25, 17), (49, 33), (49, 33))


def test_the_command_says_which_network_was_timed_at_which_sizes(capsys):
    words = ["--size", "64x48", "--thermal-size", "16x16", "--device", "cpu", "--frames", "1"]
    assert main(["benchmark", *words]) == 0
    first, fp32, *_ = capsys.readouterr().out.splitlines()
    assert first == "guided, thermal 32x24 and visible 64x48 to 64x48 on cpu, 1 frames, ms per frame"
    assert fp32.split()[0] == "fp32"


def test_no_frames_are_refused():
    with pytest.raises(ConfigError, match="--frames is 0"):
        time_formats(EngineConfig(), (48, 32), frames=0)
