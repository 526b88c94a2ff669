"""Real nodes on real DDS topics; the network is played by a stand-in where a test is not about it."""

from __future__ import annotations

import pytest
from rigging import FakeEngine, Logger, Rig, Spun


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


@pytest.fixture
def make_session(engine, logger):
    """Return a function that makes a session_rig.Session with ``engine`` and the given parameters."""
    from session_rig import Session

    sessions = []

    def make(**parameters):
        sessions.append(Session(engine, logger, **parameters))
        return sessions[-1]

    yield make
    engine.go_on.set()
    for session in sessions:
        session.it.stop()


@pytest.fixture
def remote(spun):
    from remote import Remote

    return Remote(spun)
