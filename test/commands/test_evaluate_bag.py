"""``hkdnet evaluate bag``, ``evaluate compare`` and ``view`` from the command line, with a stand-in for the network."""

from __future__ import annotations

import pytest
from recordings import write_bag
from rigging import FakeEngine

from hkdnet_ros import cli
from hkdnet_ros.commands import view
from hkdnet_ros.evaluation.bag import evaluate


@pytest.fixture(autouse=True)
def engines(monkeypatch):
    configs = []

    def load(config):
        configs.append(config)
        return FakeEngine()

    monkeypatch.setattr(evaluate, "load_engine", load)
    return configs


def test_a_bag_becomes_a_report_by_the_parameters_of_the_node(tmp_path, capsys, engines):
    bag = write_bag(tmp_path / "drive", "mcap", count=6)
    params = tmp_path / "my_robot.yaml"
    params.write_text("/**:\n  ros__parameters:\n    model: guided\n    sync: {slop: 0.01}\n")
    words = ["evaluate", "bag", str(bag), "--out", str(tmp_path / "out"), "--params", str(params), "-p", "scale:=3"]
    assert cli.main([*words, "--no-video", "--merge"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "report.html")
    assert (engines[0].model, engines[0].scale) == ("guided", 3)
    text = (tmp_path / "out" / "report.html").read_text()
    assert "0.01" in text
    assert not (tmp_path / "out" / "side_by_side.mp4").exists()
    assert "/thermal/image_raw" in (tmp_path / "out" / "fused" / "metadata.yaml").read_text()
    assert cli.main([*words, "--merge"]) == 1  # the same folder for another request
    assert "another run (video was False, now True)" in capsys.readouterr().err


def test_several_bags_get_a_folder_each_and_a_page_over_all(tmp_path, capsys):
    bags = [str(write_bag(tmp_path / day / "drive", "mcap", count=6)) for day in ("monday", "tuesday")]
    out = tmp_path / "out"
    words = ["evaluate", "bag", *bags, str(tmp_path / "gone"), "--out", str(out), "--no-video"]
    assert cli.main(words) == 1
    captured = capsys.readouterr()
    reports = [out / name / "report.html" for name in ("drive", "drive_2")]
    assert captured.out.split() == list(map(str, (*reports, out / "report.html")))
    assert f"hkdnet: {tmp_path / 'gone'}: no such file or folder" in captured.err
    assert "hkdnet: 1 of 3 recordings could not be evaluated" in captured.err
    text = (out / "report.html").read_text()
    assert 'href="drive_2/report.html"' in text
    assert "gone: no such file or folder" in text


def test_ctrl_c_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    class Stopping(FakeEngine):
        def fuse(self, thermal, visible):
            raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "load_engine", lambda config: Stopping())
    words = ["evaluate", "bag", str(write_bag(tmp_path / "drive", "mcap")), "--out", str(tmp_path / "out")]
    assert cli.main(words) == 130
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(evaluate, "load_engine", lambda config: FakeEngine())
    assert cli.main(words) == 0


@pytest.mark.parametrize("option", ["--limit", "--every", "--jobs", "--cores"])
def test_a_number_below_one_is_refused(tmp_path, capsys, option):
    assert cli.main(["evaluate", "bag", "simulator", "--out", str(tmp_path / "out"), option, "0"]) == 1
    assert f"{option} is 0" in capsys.readouterr().err


def test_results_are_compared_and_shown(tmp_path, capsys, monkeypatch):
    bag = str(write_bag(tmp_path / "drive", "mcap", count=12))
    for name in "ab":
        assert cli.main(["evaluate", "bag", bag, "--out", str(tmp_path / name), "--no-video"]) == 0
    words = ["evaluate", "compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "compared")]
    assert cli.main(words) == 0
    assert "no difference that can be told" in capsys.readouterr().out
    assert (tmp_path / "compared" / "compare.html").is_file()

    opened = []
    monkeypatch.setattr(view.webbrowser, "open", opened.append)
    monkeypatch.setattr(view.Viewer, "serve", lambda viewer: viewer._server.server_close())
    assert cli.main(["view", str(tmp_path / "a"), "--port", "0"]) == 0
    (address,) = opened
    assert address in capsys.readouterr().out
