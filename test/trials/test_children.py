"""Child processes: ended in order, whatever happens to their parent."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from rigging import wait_for

from hkdnet_ros.trials import children
from hkdnet_ros.trials.children import Children, termination_interrupts

WAITING = """
import signal, sys, time
def end(*_):
    print("asked", flush=True)
    sys.exit(3)
signal.signal(signal.SIGINT, {handler})
print("ready", flush=True)
time.sleep(60)
"""


def start(children, tmp_path, handler="end", name="child"):
    child = children.start(name, ["-c", WAITING.format(handler=handler)], tmp_path / f"{name}.log")
    wait_for(lambda: child.last_lines(1) == ["ready"], what="the child")
    return child


def test_a_child_is_interrupted_when_the_context_is_left(tmp_path):
    with Children() as started:
        child = start(started, tmp_path)
        assert child.status() is None
        assert child.resident_bytes() > 1 << 20
    assert child.status() == 3
    assert child.last_lines(5) == ["ready", "asked"]
    assert child.resident_bytes() == 0


def test_children_end_when_the_context_is_left_by_an_error(tmp_path):
    both = []

    def fail():
        with Children() as started:
            both.extend(start(started, tmp_path, name=name) for name in ("one", "two"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [child.status() for child in both] == [3, 3]


def test_a_child_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(children, "GRACE_S", 0.3)
    with Children() as started:
        child = start(started, tmp_path, handler="signal.SIG_IGN")
    assert child.status() == -signal.SIGKILL


def test_a_second_interruption_does_not_leave_a_child_running(tmp_path, monkeypatch):
    monkeypatch.setattr(children, "GRACE_S", 1.0)
    stubborn = []

    def be_interrupted():
        with Children() as started:
            stubborn.append(start(started, tmp_path, handler="signal.SIG_IGN"))
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert stubborn[0].status() == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_termination_interrupts_as_ctrl_c_does():
    with termination_interrupts(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interrupt_while_a_child_is_started_leaves_none_behind(tmp_path, monkeypatch):
    begun = []

    class Interrupted(children.Child):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            begun.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(children, "Child", Interrupted)

    def run():
        with Children() as started:
            started.start("child", ["-c", "import time; time.sleep(60)"], tmp_path / "log")

    with pytest.raises(KeyboardInterrupt):
        run()
    (child,) = begun
    assert child.status() is not None
