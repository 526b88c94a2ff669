"""A process with the fusion node and a stand-in for the network that says where it is: for tests of signals.

``held_node.py WHERE``: "fuse" and "fallback", the loading for the CPU after the device was lost, hold that call for
some time, and so does "finalizing", in which the interpreter ends; "configure" holds the loading of the model for
longer than any test waits; "unconfigured" and "inactive" stay in that state; "defect" raises in a callback; with
"elsewhere" signals come to another thread than the main one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from rigging import FakeEngine

from hkdnet_ros.errors import DeviceError
from hkdnet_ros.node.process import run_node

HOLD_S = 1.5
FOR_EVER_S = 3600.0


class Late:
    """Is destroyed as the interpreter ends, when the handlers of signals are no longer there."""

    def __del__(self, write=os.write, sleep=time.sleep):
        write(1, b"now: finalizing\n")
        sleep(0.5)


class SayingEngine(FakeEngine):
    def fuse(self, thermal, visible):
        fused = super().fuse(thermal, visible)
        say("fuse")
        return fused


def say(where):
    print(f"now: {where}", flush=True)
    if sys.argv[1] == where:
        time.sleep(FOR_EVER_S if where == "configure" else HOLD_S)


def make_engine(config):
    engine = SayingEngine()
    if sys.argv[1] != "fallback":
        say("configure")
    elif config.device == "cpu":
        say("fallback")
    else:
        engine.error = DeviceError("the device is gone")
    return engine


def make_node(loader):
    if sys.argv[1] == "elsewhere":
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    from rclpy.parameter import Parameter

    from hkdnet_ros.node.fusion import FusionNode

    class SayingNode(FusionNode):
        def on_activate(self, state):
            result = super().on_activate(state)
            say("active")
            return result

    parameters = {
        "autostart": sys.argv[1] not in ("unconfigured", "inactive"),
        "mode.limit": 0.2,
        "mode.without_visible": "thermal",
    }
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    node = SayingNode(make_engine, loader, parameter_overrides=overrides)

    def stay():
        timer.cancel()
        if sys.argv[1] == "inactive":
            node.trigger_configure()
        say(f"staying {sys.argv[1]}")

    timer = node.create_timer(0.05, stay)
    if sys.argv[1] == "defect":
        node.create_timer(0.1, lambda: 1 // 0)
    return node


if __name__ == "__main__":
    late = Late() if sys.argv[1] == "finalizing" else None
    sys.exit(run_node(make_node, [sys.argv[0]]))
