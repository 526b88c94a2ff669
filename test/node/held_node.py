"""A process with the fusion node and a stand-in for the network that says where it is: for tests of signals.

``held_node.py WHERE``: "configure" and "fuse" hold that call for some time, "defect" raises in a callback.
"""

from __future__ import annotations

import sys
import time

from rigging import FakeEngine

from hkdnet_ros.node.process import run_node

HOLD_S = 1.5


class SayingEngine(FakeEngine):
    def fuse(self, thermal, visible):
        fused = super().fuse(thermal, visible)
        say("fuse")
        return fused


def say(where):
    print(f"now: {where}", flush=True)
    if sys.argv[1] == where:
        time.sleep(HOLD_S)


def make_engine(config):
    say("configure")
    return SayingEngine()


def make_node():
    from hkdnet_ros.node.fusion import FusionNode

    class SayingNode(FusionNode):
        def on_activate(self, state):
            result = super().on_activate(state)
            say("active")
            return result

    node = SayingNode(make_engine)
    if sys.argv[1] == "defect":
        node.create_timer(0.1, lambda: 1 // 0)
    return node


if __name__ == "__main__":
    sys.exit(run_node(make_node, [sys.argv[0]]))
