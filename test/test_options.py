"""Options of configuration dataclasses, and what the command line makes of them."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest

import hkdnet_ros
from hkdnet_ros.arguments import add_options, read_options
from hkdnet_ros.errors import ConfigError
from hkdnet_ros.options import check_options, option, option_specs

PACKAGE = Path(hkdnet_ros.__file__).parent


def declaring_modules() -> list[str]:
    """Return the names of the modules that declare options."""
    paths = [path for path in PACKAGE.rglob("*.py") if re.search(r" = option\(", path.read_text())]
    return [".".join(("hkdnet_ros", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in sorted(paths)]


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    rate: float = option(15.0, "Images come at this rate, 98 % of them.", unit="Hz", low=1.0, high=100.0)
    mode: str = option("soft", "This is how.", choices=("soft", "hard"))
    size: tuple[int, int] = option((80, 60), "Images have this size.", unit="px", low=1)
    grid: tuple[int, int] = option((0, 0), "Images are brought to this size.", unit="px", low=0)
    loop: bool = option(False, "It begins again.")
    most_frames: int = option(0, "It ends after this many frames.", low=0)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_options(self)


def parse(*words: str, **others: object) -> Settings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, Settings)
    return read_options(parser.parse_args(list(words)), Settings, **others)


@pytest.mark.parametrize("name", declaring_modules())
def test_every_description_stands_alone_as_a_sentence(name: str) -> None:
    module = importlib.import_module(name)
    configs = [it for _, it in inspect.getmembers(module, dataclasses.is_dataclass) if it.__module__ == name]
    specs = [spec for config in configs for spec in option_specs(config)]
    assert specs
    for spec in specs:
        assert re.fullmatch(r"[A-Z][^\n]* [^\n]*\.", spec.info.description), f"{name}: {spec.name}"


def test_no_words_give_the_defaults_of_the_dataclass() -> None:
    assert parse() == Settings()


def test_each_option_takes_the_value_of_its_field() -> None:
    words = ("--rate", "30", "--mode", "hard", "--size", "640x480", "--grid", "32x24", "--loop", "--most-frames", "7")
    assert parse(*words, names=("a", "b")) == Settings(30.0, "hard", (640, 480), (32, 24), True, 7, ("a", "b"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rate", "0.5"), "rate is 0.5; it must lie in [1.0, 100.0] Hz"),
        (("--mode", "odd"), "choose one of soft, hard"),
    ],
)
def test_a_value_that_the_dataclass_refuses_is_one_line(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(*words)
    assert message in str(caught.value)


def test_the_help_has_description_unit_choices_and_default() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_options(parser, Settings, skip=("most_frames",), metavars={"rate": "SPEED"})
    text = " ".join(parser.format_help().split())
    assert "--rate SPEED Images come at this rate, 98 % of them. [Hz] (default: 15.0)" in text
    assert "--mode {soft,hard} This is how. (default: soft)" in text
    assert "--size WxH Images have this size. (default: 80x60)" in text
    assert "--grid WxH Images are brought to this size. --loop It begins again." in text  # nothing is their default
    assert "most-frames" not in text
