"""The benchmark of the whole: its cameras, its search for the highest rate, what it prints and writes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import time
from pathlib import Path

import pytest

from hkdnet_ros.cli import main
from hkdnet_ros.errors import ConfigError
from hkdnet_ros.trials.benchmark import benchmark
from hkdnet_ros.trials.benchmark.benchmark import BenchmarkConfig, write
from hkdnet_ros.trials.benchmark.figures import Benchmark, EngineFigures, NodeBenchmark, NodeFigures, Scaling
from hkdnet_ros.trials.benchmark.page import benchmark_page
from hkdnet_ros.trials.benchmark.peak import HIGHEST, sustained_rate
from hkdnet_ros.trials.benchmark.report import markdown
from hkdnet_ros.trials.children import Children


@pytest.mark.parametrize("peak", [1.5, 7.0, 28.0, 33.0, 111.0])
@pytest.mark.parametrize("guess", [2.0, 30.0, 100.0])
def test_the_highest_rate_is_found_to_15_percent(peak, guess):
    tried = []

    def dropped_at(rate):
        tried.append(rate)
        return 0.0 if rate <= peak else 1 - peak / rate

    found = sustained_rate(dropped_at, guess)
    assert peak / 1.15 <= found <= peak / 0.95  # five percent may be dropped
    assert len(tried) <= 12


def test_a_node_that_keeps_up_with_anything_and_one_that_never_does():
    assert sustained_rate(lambda rate: 0.0, 30.0) == HIGHEST
    assert sustained_rate(lambda rate: 1.0, 30.0) == 0.0


def node_figures(rate, received, cores):
    return NodeFigures(rate, 100, received, (10.0, 20.0, 30.0), 1.5, cores, 400.0, 0.25, (2.0, 4.0))


def figures(**changes):
    times = {"torch eager fp32": (50.0, 60.0), "torch bf16": (25.0, 30.0), "paper": (900.0, 950.0)}
    beside = {"spin": {"torch eager fp32": (100.0, 140.0), "torch bf16": (40.0, 60.0)}}
    rates = [node_figures(10.0, 100, 0.3), node_figures(30.0, 90, 0.9)]
    plain = Benchmark(
        "2 cores of X", {"torch": "2.1"}, "abc", "guided on cpu",
        EngineFigures("320x240", "640x480", "640x480", times, beside), {"network": 20.0},
        Scaling(["80x60", "160x120"], [4800, 19200], [1.0, 4.0], 1.0),
        NodeBenchmark(28.0, rates, node_figures(30.0, 100, 0.15), node_figures(30.0, 100, 0.06),
                      {"spin": node_figures(30.0, 60, 0.8)}),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def test_the_tables_have_every_figure():
    text = markdown(figures())
    assert "2 cores of X; torch 2.1; revision abc" in text
    assert "| torch bf16 | 25.0 | 30.0 | 2.00 | 40.0 | 60.0 | 1.60, 2.00 |" in text
    assert "| paper | 900.0 | 950.0 | 0.06 |  |  |  |" in text
    assert "| 30, beside spin | 40% |" in text
    assert "| network | 20.00 |" in text
    assert "to the power of 1.00" in text
    assert "28 pairs a second with less than 5 % dropped" in text
    assert "| 30 | 10% | 10.0 | 20.0 | 30.0 | 1.5 | 2.0 | 4.0 | 0.90 | 33.3 | 400 | +0.2 |" in text
    assert "| 30, without the network | 0% | 10.0 | 20.0 | 30.0 | 1.5 | 2.0 | 4.0 | 0.15 | 5.0 | 400 | +0.2 |" in text
    assert "Without the network the node costs 2.5 times as much" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_draws_every_plot(scheme, browser, tmp_path):
    write(figures(), tmp_path)
    page = browser.open((tmp_path / "benchmark.html").as_uri(), scheme=scheme)
    assert page.locator("figure.chart canvas").count() == 8
    assert "2 cores of X; torch 2.1; revision abc" in page.locator("header").inner_text()
    page.locator("#ways_spin .u-over").hover(position={"x": 10, "y": 10})
    assert page.locator("#ways_spin .u-value").all_inner_texts() == ["torch eager fp32", "140", "100"]


def test_what_was_not_measured_has_no_plot():
    page = benchmark_page(figures(scaling=None, node=None))
    assert 'id="ways_spin"' in page
    assert 'id="by_size"' not in page
    assert 'id="age"' not in page


def test_a_trial_of_which_nothing_came_leaves_a_gap():
    node = figures().node
    silent = dataclasses.replace(node.rates[1], received=0, age_ms=(), own_ms=())
    page = benchmark_page(figures(node=dataclasses.replace(node, rates=[node.rates[0], silent])))
    assert '"name":"p99","values":[30.0,null,' in page


def test_what_was_not_measured_has_no_table():
    text = markdown(figures(scaling=None, node=None))
    assert "power" not in text
    assert "DDS" not in text


def test_the_command_prints_and_writes(capsys, tmp_path):
    words = ["--size", "64x48", "--thermal-size", "16x16", "--device", "cpu", "--backend", "torch", "--frames", "1"]
    assert main(["benchmark", *words, "--out", str(tmp_path / "bench")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("guided on cpu, thermal 32x24 and visible 64x48 to 64x48, ms per frame")
    written = json.loads((tmp_path / "bench" / "benchmark.json").read_text())
    assert written["engine"]["output"] == "64x48"
    assert (tmp_path / "bench" / "benchmark.md").read_text() == printed


@pytest.mark.parametrize("cannot", ["out", "node"])
def test_what_cannot_be_done_is_said_before_anything_is_measured(cannot, capsys, tmp_path, monkeypatch):
    words = {"out": ["--out", str(tmp_path / "file" / "bench")], "node": ["--node"]}[cannot]
    (tmp_path / "file").touch()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "rclpy" else find(name, *rest))
    monkeypatch.setattr(benchmark, "_time", None)
    assert main(["benchmark", *words]) == 1
    expected = {"out": "choose another --out", "node": "--node needs ROS 2"}[cannot]
    assert expected in capsys.readouterr().err


def test_a_load_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="--load is stress; choose of spin, torch"):
        BenchmarkConfig((64, 48), (16, 16), loads=["spin", "stress"])


@pytest.mark.parametrize("kind", ["spin", "torch"])
def test_a_load_takes_the_processor_until_it_is_ended(kind, tmp_path):
    def ticks():
        return sum(map(int, Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    with Children() as children:
        child = children.start("load", ["-m", "hkdnet_ros.trials.benchmark.load", kind], tmp_path / "log")
        deadline = time.monotonic() + 60
        while child.status() is None and ticks() < 2 * os.sysconf("SC_CLK_TCK") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert child.status() is None
        assert ticks() >= os.sysconf("SC_CLK_TCK")
    assert child.status() is not None


def test_a_node_is_tried_over_dds(tmp_path):
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from hkdnet_ros.trials.benchmark.node_trial import Setting, try_node

    cameras = ((40, 30), (80, 60))
    passed = try_node(Setting.of_pass_through(*cameras, 1.0), 10.0, tmp_path)
    bare = try_node(Setting.of_bare(*cameras, 1.0), 10.0, tmp_path)
    fused = try_node(Setting.of_fusion(*cameras, 1.0, {"backend": "torch"}), 10.0, tmp_path)
    assert passed.own_ms == ()  # which only the node says
    for found in (bare, fused):
        assert 0 < found.own_ms[0] <= found.own_ms[1] < found.age_ms[2]
    for found in (passed, bare, fused):
        assert 0 < found.received <= found.sent + 1
        assert 0 < found.age_ms[0] <= found.age_ms[1] <= found.age_ms[2]
        assert found.resident_mb > 10


def test_processes_get_a_profile_for_large_images_unless_the_environment_names_one(monkeypatch, tmp_path):
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from hkdnet_ros.node.distributions import PROFILE_VARIABLES, profile_variable
    from hkdnet_ros.trials.benchmark.node_trial import large_images

    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with large_images((1280, 720), tmp_path):
        assert "4 bgr8 images of 1280x720" in Path(os.environ[profile_variable()]).read_text()
    assert profile_variable() not in os.environ
    monkeypatch.setenv(profile_variable(), "/my.xml")
    with large_images((1280, 720), tmp_path):
        assert os.environ[profile_variable()] == "/my.xml"


def test_a_stamp_is_written_into_a_serialised_message():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import Image

    from hkdnet_ros.trials.benchmark.cameras import image_message, stamped

    message = image_message((8, 6), "mono16", 0)
    again = deserialize_message(stamped(bytearray(serialize_message(message)), 5_000_000_007), Image)
    assert (again.header.stamp.sec, again.header.stamp.nanosec) == (5, 7)
    assert again.data == message.data
