"""The bond with a lifecycle manager: what the node asks of bondpy, and where bondpy is installed a bond of its own."""

from __future__ import annotations

import sys
import types

import pytest
from rigging import kept_log, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import String

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.node.schema import NodeConfig

SUCCESS = TransitionCallbackReturn.SUCCESS


class FakeBond:
    """Has the part of bondpy's Bond that is used, its topics included; ``made`` keeps all of them."""

    made: list[FakeBond]

    def __init__(self, node, topic, bond_id):
        self.node, self.topic, self.id = node, topic, bond_id
        self.state = "new"
        self.pub = node.create_publisher(String, topic, 1)
        self.made.append(self)

    def set_formed_callback(self, on_formed):
        self.on_formed = on_formed

    def start(self):
        self.sub = self.node.create_subscription(String, self.topic, lambda message: None, 1)
        self.state = "started"

    def shutdown(self):
        assert self.state == "started"
        self.sub.destroy()
        self.pub.destroy()
        self.state = "broken"


@pytest.fixture
def bonds(monkeypatch):
    """Put the stand-in in the place of bondpy and return the list of the bonds made."""
    FakeBond.made = []
    monkeypatch.setitem(sys.modules, "bondpy", types.ModuleType("bondpy"))
    module = types.ModuleType("bondpy.bondpy")
    module.Bond = FakeBond
    monkeypatch.setitem(sys.modules, "bondpy.bondpy", module)
    return FakeBond.made


def topics(node):
    return [entity.topic_name for entity in (*node.subscriptions, *node.publishers)]


def test_the_bond_is_as_nav2_expects_it_and_lasts_while_the_node_is_active(make_node, bonds):
    node = make_node(autostart=False)
    assert node.trigger_configure() == SUCCESS
    assert not bonds
    assert node.trigger_activate() == SUCCESS
    (bond,) = bonds
    assert (bond.topic, bond.id, bond.state) == ("bond", "fusion", "started")
    assert bond.heartbeat_period == 0.1
    assert bond.heartbeat_timeout > 1e6  # a manager that is gone stops no camera
    assert topics(node).count("/bond") == 2
    assert node.trigger_deactivate() == SUCCESS
    assert bond.state == "broken"
    assert "/bond" not in topics(node)
    assert node.trigger_activate() == SUCCESS
    assert [bond.state for bond in bonds] == ["broken", "started"]


def test_shutdown_breaks_the_bond(make_node, bonds):
    node = make_node(autostart=False)
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert node.trigger_shutdown() == SUCCESS
    assert [bond.state for bond in bonds] == ["broken"]


def test_the_period_is_a_parameter_and_zero_means_no_bond(make_node, bonds):
    node = make_node(autostart=False, bond_heartbeat_period=0.0)
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert not bonds
    with pytest.raises(ConfigError, match="bond_heartbeat_period is -1"):
        NodeConfig(bond_heartbeat_period=-1.0)


def test_it_says_when_a_manager_has_taken_the_bond(make_node, bonds, monkeypatch):
    node = make_node(autostart=False)
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    bonds[0].on_formed()
    assert lines[-1] == "info: bonded with a lifecycle manager by /bond"


def test_without_bondpy_the_node_says_so_once_and_is_active(make_node, monkeypatch):
    monkeypatch.setitem(sys.modules, "bondpy", None)
    monkeypatch.delitem(sys.modules, "bondpy.bondpy", raising=False)
    node = make_node(autostart=False)
    lines = kept_log(node, monkeypatch)
    assert node.trigger_configure() == SUCCESS
    for _ in range(2):
        assert node.trigger_activate() == SUCCESS
        assert node.trigger_deactivate() == SUCCESS
    assert len([line for line in lines if "bond" in line]) == 1
    assert any(line.startswith("info: no bond with a lifecycle manager: bondpy") for line in lines)


def test_a_real_bond_forms_and_is_broken_by_deactivate(make_node, spun):
    bondpy = pytest.importorskip("bondpy.bondpy", reason="needs ROS 2's bondpy")
    from rclpy.duration import Duration

    manager = spun.add(rclpy.create_node("lifecycle_manager", context=spun.context))
    node = make_node(autostart=False)
    assert node.trigger_configure() == SUCCESS
    for _ in range(2):
        assert node.trigger_activate() == SUCCESS
        bond = bondpy.Bond(manager, "bond", "fusion")
        bond.start()
        assert bond.wait_until_formed(Duration(seconds=10))
        assert node.trigger_deactivate() == SUCCESS
        wait_for(bond.is_broken, what="the end of the bond")
        bond.shutdown()
        manager.destroy_subscription(bond.sub)
        manager.destroy_publisher(bond.pub)
