"""Real nodes on real DDS topics, on this machine and a domain of their own."""

from __future__ import annotations

import os
import random

import pytest
from rigging import FakeEngine, Logger, Rig, Spun

# Before rclpy is imported anywhere: tests neither hear nor disturb a robot on the same network.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(random.Random().randint(1, 100))


@pytest.fixture
def engine():
    engine = FakeEngine()
    yield engine
    engine.go_on.set()


@pytest.fixture
def logger():
    return Logger()


@pytest.fixture
def spun():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    spun = Spun()
    yield spun
    spun.close()


@pytest.fixture
def make_node(spun, engine):
    """Return a function that starts a fusion node with ``engine`` and parameters given by name, dots as ``__``."""
    from rclpy.parameter import Parameter

    from hkdnet_ros.node.fusion import FusionNode

    def make(engine_factory=lambda config: engine, **parameters):
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        node = FusionNode(engine_factory, context=spun.context, parameter_overrides=overrides)
        return spun.add(node, threads=4)

    return make


@pytest.fixture
def rig(spun):
    return Rig(spun)
