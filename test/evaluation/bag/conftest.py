"""A bag with a bad minute in it, and its result by a stand-in for the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from drives import PART, write_drive
from rigging import FakeEngine

from hkdnet_ros.evaluation.bag import evaluate
from hkdnet_ros.evaluation.bag.evaluate import Request, Task, run_task
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.node.parameter_values import values_of
from hkdnet_ros.node.schema import FusionConfig, build


@pytest.fixture(scope="session")
def drive(tmp_path_factory):
    return write_drive(tmp_path_factory.mktemp("recordings") / "drive")


@pytest.fixture
def evaluated(monkeypatch):
    """Return a function that evaluates a recording with a given or a fresh FakeEngine; it returns the report."""

    def evaluate_it(path, out, engine=None, **asked):
        engine = engine or FakeEngine()
        monkeypatch.setattr(evaluate, "load_engine", lambda config: engine)
        return evaluate_with(path, out, **asked)

    return evaluate_it


def evaluate_with(path, out, parameters=None, opening=None, **request):
    config = build(parameters or {})
    wanted = Request(**{"every": 4, "part": PART, **request})
    topics = {"thermal_topic": None, "visible_topic": None, **(opening or {})}
    engine = EngineConfig(model="realtime")
    return run_task(
        Task(str(path), Path(out), engine, config, wanted, values_of(config), values_of(FusionConfig()), topics)
    )


@pytest.fixture(scope="session")
def result(drive, tmp_path_factory):
    """The finished result of the drive; a test that changes it takes a copy."""
    out = tmp_path_factory.mktemp("results") / "drive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load_engine", lambda config: FakeEngine())
        evaluate_with(drive, out)
    return out
