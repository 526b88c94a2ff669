"""What the executables answer to words that are not ROS's: help, and one line where a word is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from rigging import TIMEOUT_S

from hkdnet_ros.node.schema import PARAMETERS
from hkdnet_ros.node.usage import answer, own_words, usage
from hkdnet_ros.replay.config import ReplayConfig
from hkdnet_ros.schema import Schema

SCHEMAS = {"fusion_node": PARAMETERS, "replay_node": Schema(ReplayConfig)}
MODULES = {"fusion_node": "hkdnet_ros.node.fusion_node", "replay_node": "hkdnet_ros.replay.replay_node"}
each_executable = pytest.mark.parametrize("name", SCHEMAS)


def run(name, *words, before="pass"):
    """Return what executable ``name`` printed and its status; it must end by itself."""
    program = f"import sys; {before}; from {MODULES[name]} import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, f"/opt/lib/{name}", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=os.environ)
    return done.returncode, done.stdout, done.stderr


@each_executable
@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--ros-args", "--help"], ["--ros-args", "-r", "a:=b", "-h"]])
def test_help_lists_every_parameter_and_starts_nothing(name, words):
    status, out, err = run(name, *words, before="sys.modules['rclpy'] = sys.modules['torch'] = None")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: {name} [--ros-args")
    assert re.findall(r"^  (\S+)$", out, re.MULTILINE) == [spec.name for spec in SCHEMAS[name].specs]


def test_help_need_not_be_read_to_its_end():
    program = "from hkdnet_ros.node.fusion_node import main; raise SystemExit(main(['fusion_node', '--help']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, timeout=TIMEOUT_S)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@each_executable
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--source", "my.mcap"], "--source my.mcap"),
        (["my.mcap"], "my.mcap"),
        (["--version"], "--version"),
        (["--ros-args", "-p", "seed:=1", "--", "loop"], "loop"),
        (["loop", "--ros-args", "-r", "__ns:=/front"], "loop"),
    ],
)
def test_a_word_that_it_does_not_know_is_refused_in_one_line(name, words, named):
    status, out, err = run(name, *words)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"{name}: {named!r} is nothing that it knows")


@each_executable
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--no-such"], "ROS does not know the arguments ['--no-such']"),
        (["stray"], "ROS does not know the arguments ['stray']"),
        (["--params-file", "/nowhere.yaml"], "/nowhere.yaml"),
        (["--log-level", "loud"], "--log-level loud"),
        (["-r", "a:=b:=c"], "a:=b:=c"),
        (["-p"], "-p"),
    ],
)
def test_what_ros_refuses_is_said_in_one_line(name, words, named):
    pytest.importorskip("rclpy", reason="needs ROS 2")
    status, _, err = run(name, "--ros-args", *words)
    assert status == 2
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith(f"{name}: ")
    assert named in last


def test_words_of_ros_are_left_to_ros():
    assert own_words(["x", "--ros-args", "-p", "a:=1", "--", "--ros-args", "-r", "b:=c"]) == []
    assert own_words(["x", "image:=/camera/image", "__node:=left"]) == []  # taken by ROS with a warning
    assert own_words(["x", "a", "--ros-args", "b", "--", "c"]) == ["a", "c"]
    assert answer(["x", "--ros-args", "-p", "a:=1"], str) is None
    assert answer(["x"], str) is None


def test_a_parameter_is_told_with_its_limits_and_its_default():
    lines = usage("replay_node", "Plays.", SCHEMAS["replay_node"]).splitlines()
    begin = lines.index("  rate")
    text = " ".join(line.strip() for line in lines[begin + 1 : lines.index("  loop")])
    assert text.endswith("(from 0.01 to 100) Default: 1.0")
    assert max(map(len, lines)) <= 120
