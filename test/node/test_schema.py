"""Parameters derived from the configuration dataclasses, and the parameter file written from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.node.parameter_file import parameter_file, parameter_reference
from hkdnet_ros.node.schema import PARAMETERS, SPECS, FusionConfig, build
from hkdnet_ros.schema import unknown_parameter

CONFIG_FILE = Path(__file__).parents[2] / "config" / "fusion.yaml"


def flat(tree, prefix=""):
    """Return a tree of dictionaries as one with dotted names."""
    result = {}
    for name, value in tree.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return result


def test_every_option_of_every_stage_is_a_parameter_under_its_prefix():
    expected = {
        PARAMETERS.prefixes[section] + field.name
        for section, config in PARAMETERS.sections.items()
        for field in dataclasses.fields(config)
    }
    assert {spec.name for spec in SPECS} == expected
    assert {"model", "scale", "device", "precision", "grid", "sync.slop", "autostart"} < expected


def test_no_values_give_the_defaults_of_the_dataclasses():
    assert build({}) == FusionConfig()


def test_values_go_to_their_fields():
    config = build({"scale": 3, "grid": [64, 48], "sync.slop": 0.1, "thermal.time_constant": 5, "autostart": False})
    assert (config.engine.scale, config.pipeline.grid, config.sync.slop) == (3, (64, 48), 0.1)
    assert (config.thermal.time_constant, config.node.autostart) == (5.0, False)


def test_an_integer_becomes_the_float_it_means():
    slop = build({"sync.slop": 1}).sync.slop
    assert (slop, type(slop)) == (1.0, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": "two"}, "scale is 'two'; it must be an integer"),
        ({"scale": 2.0}, "scale is 2.0; it must be an integer"),
        ({"scale": True}, "scale is True; it must be an integer"),
        ({"scale": 5}, "scale is 5; choose one of 2, 3, 4"),
        ({"sync.slop": "long"}, "sync.slop is 'long'; it must be a number"),
        ({"sync.slop": True}, "sync.slop is True; it must be a number"),
        ({"sync.slop": -1.0}, "sync.slop is -1.0; it must lie in"),
        ({"model": 3}, "model is 3; it must be a text"),
        ({"autostart": 1}, "autostart is 1; it must be true or false"),
        ({"grid": 640}, "grid is 640; it must be a list of 2 values, each an integer"),
        ({"grid": "640x480"}, "grid is '640x480'; it must be a list of 2 values"),
        ({"grid": [640]}, "grid is [640]; it must be a list of 2 values"),
        ({"grid": [640.0, 480.0]}, "grid is [640.0, 480.0]; it must be a list of 2 values, each an integer"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(values, message):
    with pytest.raises(ConfigError) as caught:
        build(values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_parameter_file_is_the_one_written_from_the_schema():
    assert CONFIG_FILE.read_text() == parameter_file(), "run python -m hkdnet_ros.node.parameter_file"


def test_the_reference_is_the_one_written_from_the_schema():
    reference = (CONFIG_FILE.parents[1] / "docs" / "parameters.md").read_text()
    assert reference == parameter_reference(), "run python -m hkdnet_ros.node.parameter_file --markdown"


def test_an_unknown_name_comes_with_the_nearest_known_one():
    names = [spec.name for spec in SPECS]
    assert unknown_parameter("sync.slopp", names) == "no parameter is called 'sync.slopp'; did you mean 'sync.slop'?"
    assert unknown_parameter("zzz", names) == "no parameter is called 'zzz'"


def test_the_parameter_file_holds_every_parameter_at_its_default():
    tree = yaml.safe_load(parameter_file())
    values = flat(tree["/**"]["ros__parameters"])
    assert set(values) == {spec.name for spec in SPECS}
    assert build(values) == FusionConfig()


def test_every_parameter_in_the_file_has_its_description_above_it():
    lines = [line.strip() for line in parameter_file().splitlines()]
    for spec in SPECS:
        prefix, _, name = spec.name.rpartition(".")
        begin = lines.index(f"{prefix}:") if prefix else 0
        index = next(i for i, line in enumerate(lines) if i > begin and line.startswith(f"{name}:"))
        comment = []
        while lines[index - 1].startswith("# "):
            index -= 1
            comment.insert(0, lines[index].removeprefix("# "))
        assert spec.info.description in " ".join(comment)
