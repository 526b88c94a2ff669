"""A bag with a bad minute in it, and its result by a stand-in for the network."""

from __future__ import annotations

import pytest
from drives import evaluate_with, write_drive
from rigging import FakeEngine

from hkdnet_ros.evaluation.bag import evaluate


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


@pytest.fixture(scope="session")
def result(drive, tmp_path_factory):
    """The finished result of the drive; a test that changes it takes a copy."""
    out = tmp_path_factory.mktemp("results") / "drive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load_engine", lambda config: FakeEngine())
        evaluate_with(drive, out)
    return out
