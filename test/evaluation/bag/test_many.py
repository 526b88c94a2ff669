"""Many recordings in processes of this machine: equal to one process, and what ends a worker costs no recording."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal

import many_rig
import pytest
from many_rig import begun, of_result, task_for
from recordings import assert_one_line
from rigging import FakeEngine

from hkdnet_ros.errors import ConfigError, SourceError
from hkdnet_ros.evaluation.bag import many
from hkdnet_ros.evaluation.bag.folder import read_run, title_of
from hkdnet_ros.evaluation.bag.many import TRIES, Tick, evaluate_many, folders_for, settled
from hkdnet_ros.evaluation.bag.overview import overview_page
from hkdnet_ros.evaluation.bag.processes import in_processes
from hkdnet_ros.evaluation.bag.progress import Noted, OverallBar, frames_of
from hkdnet_ros.evaluation.bag.summary import write_summary
from hkdnet_ros.inference.config import EngineConfig


def pool(work, most=2):
    return lambda tasks: in_processes(tasks, most, work)


def test_processes_give_what_one_gives_and_a_recording_whose_worker_is_killed_goes_on_in_another(
    drive, result, tmp_path
):
    tasks = [task_for(drive, tmp_path / "out" / name) for name in ("one", "killed")]
    assert evaluate_many(tasks, pool(many_rig.killed_once_if_asked), tmp_path / "out") == {}
    assert len(set(begun(tasks[1]))) == 2
    assert read_run(tasks[1].out)["found"]["begun_at"] in (16, 32, 48)
    expected = of_result(result)
    for task in tasks:
        found = of_result(task.out)
        assert found.keys() == expected.keys()
        assert [name for name in found if found[name] != expected[name]] == []
    text = (tmp_path / "out" / "report.html").read_text()
    assert all(f'href="{task.out.name}/report.html"' in text for task in tasks)


def test_the_page_over_all_can_be_clicked_through(drive, result, browser, tmp_path):
    """Of results that one process made: their page and its links."""
    names = ("one", "50 % & <two>", "night:3")
    for name in names:
        shutil.copytree(result, tmp_path / name)
        write_summary(tmp_path / name)
    (tmp_path / "report.html").write_text(overview_page([tmp_path / name for name in names], {"gone": "no such file"}))
    for width, scheme in ((1280, "light"), (390, "dark")):
        page = browser.open((tmp_path / "report.html").as_uri(), width=width, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".chart canvas").count() == 2
        assert page.get_by_text("gone: no such file").is_visible()
        for name in names:
            page.get_by_role("link", name=name, exact=True).click()
            assert page.title() == "drive"
            page.go_back()


def test_a_recording_that_kills_every_worker_ends_the_others_do_not_and_the_same_command_tries_it_again(
    drive, tmp_path
):
    out = tmp_path / "out"
    tasks = [task_for(drive, out / name) for name in ("bad", "good")]
    errors = evaluate_many(tasks, pool(many_rig.killed_if_asked, most=1), out)
    assert list(errors) == ["bad"]
    assert_one_line(SourceError(errors["bad"]), drive, f"killed {TRIES} times (by SIGKILL)", "--jobs", "same command")
    assert len(begun(tasks[0])) == TRIES
    assert "SIGKILL" in (out / "report.html").read_text()
    before = (out / "good" / "report.html").stat().st_mtime_ns
    assert evaluate_many(tasks, pool(many_rig.work, most=1), out) == {}
    assert (out / "good" / "report.html").stat().st_mtime_ns == before
    assert read_run(out / "bad")["found"]


def test_what_cannot_be_opened_and_what_is_defective_is_a_line_and_the_others_are_evaluated(drive, tmp_path):
    tasks = [task_for(drive, tmp_path / "out" / name) for name in ("bad", "good")]
    tasks.append(task_for(tmp_path / "gone", tmp_path / "out" / "gone"))
    tasks.append(task_for(drive, tmp_path / "out" / "old", version="0.0.1"))
    errors = evaluate_many(tasks, pool(many_rig.defective_if_asked, most=1), tmp_path / "out")
    assert errors.keys() == {"bad", "gone", "old"}
    assert_one_line(SourceError(errors["gone"]), "gone: no such file")
    assert_one_line(SourceError(errors["old"]), "not 0.0.1", "install the same everywhere")
    said = json.loads((tmp_path / "out" / "recordings.json").read_text())["recordings"]
    assert said == {**errors, "good": ""}


def test_a_pool_that_is_closed_ends_its_processes(drive, tmp_path):
    task = task_for(drive, tmp_path / "a")
    ticks = in_processes([task], 1, many_rig.hanging)
    while not task.out.with_suffix(".begun").exists():
        next(ticks)
    ticks.close()
    with pytest.raises(ProcessLookupError):
        os.kill(begun(task)[0], 0)


def test_a_worker_that_is_killed_while_it_waits_costs_nothing(drive, tmp_path):
    tasks = [task_for(drive, tmp_path / "a"), task_for(tmp_path / "gone", tmp_path / "b")]
    ticks = in_processes(tasks, 2, many_rig.noted)
    over = {}
    for tick in ticks:
        over.update(tick.over)
        if 1 in tick.over:  # the other has none to do now
            os.kill(begun(tasks[1])[0], signal.SIGKILL)
    assert over[0] == ""
    assert "no such file" in over[1]


def test_the_folder_of_something_else_is_left_alone(drive, result, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    for folder, fact in ((tmp_path / "notes", "no evaluated recordings"), (result, "one recording")):
        with pytest.raises(SourceError) as caught:
            evaluate_many([task_for(drive, folder / "a")], pool(many_rig.work), folder)
        assert_one_line(caught.value, folder, fact, "--out")
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]


def test_a_result_that_cannot_be_seen_here_is_told(drive, tmp_path):
    def elsewhere(tasks):
        yield Tick({0: ""}, [])

    errors = evaluate_many([task_for(drive, tmp_path / "out" / "a")], elsewhere, tmp_path / "out")
    assert_one_line(SourceError(errors["a"]), "all machines share")


def test_progress_is_noted_and_added_up_by_size(tmp_path, capsys):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        (folder / "parts").mkdir(parents=True)
    bar = OverallBar(folders, [300, 100])
    with Noted(folders[0], total=10, desc="", unit="frame") as noted:
        noted.update()
        assert frames_of(folders[0]) == (1, 10)
        noted._noted_at = 0.0  # as a second later
        noted.update()
        bar.show({1: "gone"}, [0])
    assert frames_of(folders[0]) == (0, 0)
    assert not any((folders[0] / "parts").iterdir())
    shown = capsys.readouterr().err.split("\r")[-1]
    assert "1 of 2 recordings, 1 failed  40%" in shown  # 0.2 * 300 / 400 + 100 / 400
    bar.show({0: ""}, [])
    bar.close()
    assert "2 of 2 recordings, 1 failed 100%" in capsys.readouterr().err


def test_folders_have_the_recordings_names(tmp_path):
    specs = ["/a/drive", "/b/drive.bag", "/c/other.mcap", "thermal.mp4,visible.mp4"]
    assert [path.name for path in folders_for(specs, tmp_path)] == ["drive", "drive_2", "other", "thermal"]
    specs = ["/a/run_2026.11.26", "/b/run_2026.11.25", "/c/drive.mcap.zstd"]
    assert [path.name for path in folders_for(specs, tmp_path)] == ["run_2026.11.26", "run_2026.11.25", "drive"]
    pairs = ["/a/plaza/thermal.mp4,/a/plaza/visible.mp4", "/t/one.mp4,/v/two.mp4"]
    assert [title_of(spec) for spec in pairs] == ["plaza", "one.mp4, two.mp4"]
    assert [path.name for path in folders_for(pairs, tmp_path)] == ["plaza", "one"]


class Both(FakeEngine):
    """As the engine of model auto: two networks."""

    def __init__(self, *engines):
        super().__init__()
        self.engines = engines


def test_what_auto_means_is_settled_once_for_all_workers(monkeypatch):
    student, guided = FakeEngine(), FakeEngine()
    guided.precision = "bf16"
    asked = []

    def load(config):
        asked.append(config)
        return Both(student, guided)

    monkeypatch.setattr(many, "load_engine", load)
    monkeypatch.setattr(many, "AutoEngine", Both)
    with pytest.raises(ConfigError) as caught:
        settled(EngineConfig(), 3)
    assert_one_line(caught.value, "fp32 and bf16", "-p precision:=fp32")
    found = settled(EngineConfig(precision="fp32"), 3)
    assert found == dataclasses.replace(EngineConfig(), precision="fp32", device="cpu", backend="fake", threads=3)
    assert asked[0].threads == 0  # as one process would measure it
    assert settled(EngineConfig(device="cuda:1", threads=2), 3).threads == 2
    assert len(asked) == 2
