"""Several recordings beside each other in processes: what one loses goes on, and nothing is lost for the others."""

from __future__ import annotations

import slow_worker
from drives import PART
from recordings import assert_one_line
from test_evaluated_bag import contents

from hkdnet_ros.evaluation.bag.evaluate import Request, Task
from hkdnet_ros.evaluation.bag.folder import read_run
from hkdnet_ros.evaluation.bag.many import TRIES, evaluate_many, folders_for
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.node.parameter_values import values_of
from hkdnet_ros.node.schema import FusionConfig


def task(spec, out):
    config = FusionConfig()
    opening = {"thermal_topic": None, "visible_topic": None}
    return Task(
        str(spec), out, EngineConfig(model="realtime"), config, Request(every=4, part=PART), values_of(config),
        values_of(config), opening,
    )  # fmt: skip


def test_a_worker_that_is_killed_loses_nothing(result, drive, tmp_path):
    said = []
    tasks = [task(drive, tmp_path / name) for name in "ab"]
    tasks.append(task(tmp_path / "gone", tmp_path / "c"))
    failures = evaluate_many(tasks, tmp_path, 2, said.append, slow_worker.run_killed_once)
    assert list(failures) == [str(tmp_path / "gone")]
    assert_one_line(RuntimeError(failures[str(tmp_path / "gone")]), "no such file or folder")
    assert read_run(tmp_path / "b")["found"]["begun_at"] > 0  # it went on
    for name in "ab":
        assert contents(tmp_path / name) == contents(result)
    page = (tmp_path / "report.html").read_text()
    assert 'href="b/report.html"' in page
    assert "gone: no such file or folder" in page
    assert said[-1] == str(tmp_path / "report.html")


def test_a_recording_that_kills_every_worker_is_given_up(drive, tmp_path):
    failures = evaluate_many(
        [task(drive, tmp_path / "a")], tmp_path, 2, lambda line: None, slow_worker.run_killed_always
    )
    assert_one_line(RuntimeError(failures[str(drive)]), f"ended {TRIES} times", "SIGKILL", "memory")
    assert not (tmp_path / "report.html").exists()


def test_folders_have_the_recordings_names(tmp_path):
    specs = ["/a/drive", "/b/drive.bag", "/c/other.mcap", "thermal.mp4,visible.mp4"]
    assert [path.name for path in folders_for(specs, tmp_path)] == ["drive", "drive_2", "other", "thermal"]
