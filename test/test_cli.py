"""The front of the command line: help of every verb, and what it says where something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from hkdnet_ros.cli import VERBS, main
from hkdnet_ros.commands.evaluate import KINDS


def test_help_names_every_verb(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert set(VERBS) <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_each_of_its_options(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: hkdnet {verb}" in out
    _, _, options = out.partition("options:")
    assert "--" in options or verb == "evaluate"
    for line in options.splitlines():
        if line.startswith("  -"):  # an option's help stands behind it or, where that is long, on the next line
            assert line.strip().count("  ") or f"{line}\n      " in out, f"{line.strip()} is not explained"


@pytest.mark.parametrize("words", [*([verb] for verb in VERBS), *(["evaluate", kind] for kind in KINDS)], ids=" ".join)
def test_help_says_which_options_are_required_and_no_default_that_is_none(words, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    out = capsys.readouterr().out
    assert not re.findall(r"\(default:\s(?:None|False|\[\]|\(\)|)\)", out)
    usage, _, explained = out.partition("\n\n")
    bare = re.sub(r"\[[^\]]*\]", "", usage)  # what is optional is in brackets
    assert len(re.findall(r"\s--[a-z-]+", bare)) == explained.count("(required)")


def test_a_package_that_is_not_installed_is_named_in_one_line(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "hkdnet_ros.inference.export", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["export", "--out", "student.onnx"]) == 1
    assert capsys.readouterr().err == "hkdnet: export needs the Python package torch, which is not installed\n"


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"train", "distill", "train-guided"}))
def test_help_waits_for_neither_torch_nor_ros(verb):
    program = f"""
import sys
from hkdnet_ros.cli import main
try:
    main(["{verb}", "--help"])
except SystemExit:
    assert not {{"torch", "rclpy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)


def test_a_reader_that_has_gone_ends_a_command_quietly(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["fastdds", "--size", "640x480", "--scale", "2"]) == 141
