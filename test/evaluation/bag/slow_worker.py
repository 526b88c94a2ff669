"""Evaluates in a process of its own, with a stand-in for the network; the first time it is killed on the way."""

from __future__ import annotations

import os
import signal

from rigging import FakeEngine

from hkdnet_ros.evaluation.bag import evaluate
from hkdnet_ros.evaluation.bag.evaluate import run_task


class Killed(FakeEngine):
    """Kills its process at a call, as a system does that has no memory left."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def fuse(self, thermal, visible):
        if len(self.given) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fuse(thermal, visible)


def run_fake(task):
    evaluate.load_engine = lambda config: FakeEngine()
    return run_task(task)


def run_killed_once(task):
    is_first = not (task.out / "run.json").exists()
    evaluate.load_engine = lambda config: Killed(50) if is_first and task.out.name == "b" else FakeEngine()
    return run_task(task)


def run_killed_always(task):
    evaluate.load_engine = lambda config: Killed(3)
    return run_task(task)
