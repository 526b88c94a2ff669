"""Jobs with a stand-in for the network, in any process, and workers that end as workers do: killed, hung, defective."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path

from drives import PART
from rigging import FakeEngine
from test_evaluated_bag import contents

from hkdnet_ros.evaluation.bag import evaluate, summary
from hkdnet_ros.evaluation.bag import work as worker
from hkdnet_ros.evaluation.bag.evaluate import Request, Task
from hkdnet_ros.node.parameter_values import values_of
from hkdnet_ros.node.schema import FusionConfig

HANG_S = 60.0


def task_for(path: Path, out: Path, **changed) -> Task:
    config = FusionConfig()
    opening = {"thermal_topic": None, "visible_topic": None}
    values = values_of(config)
    one = Task(str(path), out, config.engine, config, Request(every=4, part=PART), values, values, opening)
    return dataclasses.replace(one, **changed)


def of_result(out: Path) -> dict[str, bytes]:
    """The files of a result by name, but for those that differ from run to run."""
    return {name: content for name, content in contents(out).items() if name != summary.NAME}


def work(one, engine=None):
    evaluate.load_engine = lambda config: engine or FakeEngine()
    return worker.work(one)


def first_time(one) -> bool:
    """Whether this task is begun for the first time, in whichever process."""
    marker = one.out.with_suffix(".begun")
    begun = marker.read_text().split() if marker.exists() else []
    marker.write_text(" ".join([*begun, str(os.getpid())]))
    return not begun


def begun(one) -> list[int]:
    """The processes that began a task."""
    return list(map(int, one.out.with_suffix(".begun").read_text().split()))


class Dying(FakeEngine):
    """Kills its process at a call."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def fuse(self, thermal, visible):
        if len(self.given) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fuse(thermal, visible)


def killed_once_if_asked(one):
    return work(one, Dying(50) if first_time(one) and "killed" in one.out.name else FakeEngine())


def noted(one):
    first_time(one)
    return work(one)


def killed_always(one):
    first_time(one)
    return work(one, Dying(3))


def killed_if_asked(one):
    return killed_always(one) if "bad" in one.out.name else work(one)


def defective_if_asked(one):
    class Defective(FakeEngine):
        def choose(self, thermal, visible):
            raise AttributeError("no such thing")

    return work(one, Defective() if "bad" in one.out.name else FakeEngine())


class Hanging(FakeEngine):
    def fuse(self, thermal, visible):
        if len(self.given) == 50:
            time.sleep(HANG_S)
        return super().fuse(thermal, visible)


def hanging(one):
    return work(one, Hanging() if first_time(one) else FakeEngine())


def hanging_on_a_node(one):
    """Work, but hang the first time on the node that is named in a file beside the result."""
    import ray

    is_there = ray.get_runtime_context().get_node_id() == one.out.with_suffix(".node").read_text()
    return work(one, Hanging() if is_there and first_time(one) else FakeEngine())
