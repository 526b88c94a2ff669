"""The node's parameter file read without ROS, as the node would read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import assert_one_line

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.node.parameter_values import read_config, values_of
from hkdnet_ros.node.schema import SPECS, FusionConfig

CHECKOUT = Path(__file__).resolve().parents[2]


def written(tmp_path, text):
    path = tmp_path / "my_robot.yaml"
    path.write_text(text)
    return path


def test_the_file_to_copy_says_the_defaults():
    assert read_config(CHECKOUT / "config" / "fusion.yaml") == FusionConfig() == read_config(None)


def test_groups_wildcards_and_the_nodes_own_section_are_read_in_order(tmp_path):
    path = written(
        tmp_path,
        "/**:\n  ros__parameters:\n    sync: {slop: 0.02, queue_size: 5}\n    scale: 3\n"
        "/robot/fusion:\n  ros__parameters:\n    sync.slop: 0.03\n    use_sim_time: true\n"
        "other:\n  ros__parameters: {sync.slop: 9}\n",
    )
    config = read_config(path, ["sync.queue_size:=7", "output_size:=[640, 480]", "model:=guided", "mode.limit:=2"])
    assert (config.sync.slop, config.sync.queue_size, config.engine.scale) == (0.03, 7, 3)
    assert (config.pipeline.output_size, config.engine.model, config.mode.limit) == ((640, 480), "guided", 2.0)


def test_numbers_are_read_as_ros_reads_them(tmp_path):
    path = written(tmp_path, "/**:\n  ros__parameters:\n    sync: {thermal_offset: 1e-3}\n")
    assert read_config(path).sync.thermal_offset == 0.001


def test_all_values_are_told_by_name():
    values = values_of(read_config(None, ["sync.slop:=0.5"]))
    assert list(values) == [spec.name for spec in SPECS]
    assert values["sync.slop"] == 0.5


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("/**:\n  ros__parameters:\n    sync.slip: 1\n", ["sync.slip", "did you mean 'sync.slop'"]),
        ("/**:\n  ros__parameters:\n    sync.slop: wide\n", ["sync.slop", "a number"]),
        ("camera:\n  ros__parameters:\n    fps: 1\n", ["no ros__parameters", "fusion", "camera"]),
        ("[1, 2]", ["holds no parameters"]),
        ("a: [", ["is no YAML"]),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, text, facts):
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, text))
    assert_one_line(caught.value, *facts)


def test_a_missing_file_and_a_wrong_assignment_are_one_line(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / "gone.yaml")
    assert_one_line(caught.value, "gone.yaml", "cannot be read")
    for assignment in ("sync.slop=1", ":=1", "sync.slip:=1"):
        with pytest.raises(ConfigError) as caught:
            read_config(None, [assignment])
        assert_one_line(caught.value)
