"""A process with the fusion node that gets a signal from itself at one moment of its start: for tests of signals.

``struck_node.py MOMENT NUMBER``: the name of one of MOMENTS, and the signal's number.
"""

from __future__ import annotations

import os
import pkgutil
import sys

from rigging import FakeEngine

from hkdnet_ros.node.process import run_node

NODE = "hkdnet_ros.node.fusion:FusionNode"

# Before or after the call of which function.
MOMENTS = {
    "signals obeyed": ("after", "hkdnet_ros.node.stop_switch:StopSwitch", "obey_signals"),
    "ROS begins": ("before", "rclpy", "init"),
    "ROS has begun": ("after", "rclpy", "init"),
    "node begins": ("before", NODE, "__init__"),
    "node is there": ("after", NODE, "__init__"),
    "spinning begins": ("before", "rclpy.executors:MultiThreadedExecutor", "spin_once"),
    "configuring begins": ("before", NODE, "trigger_configure"),
    "loading begins": ("before", NODE, "_load_engine"),
    "loading has ended": ("after", NODE, "_load_engine"),
    "configured": ("after", NODE, "trigger_configure"),
    "activating begins": ("before", NODE, "_start"),
    "activating ends": ("after", NODE, "_start"),
    "active": ("after", NODE, "trigger_activate"),
}


def strike(moment, number):
    """Let this process get the signal ``number`` when the start comes to ``moment``."""
    when, owner, name = MOMENTS[moment]
    owner = pkgutil.resolve_name(owner)
    original = getattr(owner, name)

    def struck(*arguments, **options):
        if when == "before":
            os.kill(os.getpid(), number)
        result = original(*arguments, **options)
        if when == "after":
            os.kill(os.getpid(), number)
        print(f"now: {moment}", flush=True)
        return result

    setattr(owner, name, struck)


def make_node(loader):
    from hkdnet_ros.node.fusion import FusionNode

    return FusionNode(lambda config: FakeEngine(), loader)


if __name__ == "__main__":
    strike(sys.argv[1], int(sys.argv[2]))
    sys.exit(run_node(make_node, ["struck_node"]))
