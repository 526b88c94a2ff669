"""The bond with nav2's lifecycle manager: a heartbeat while the node is active, by bondpy where that is installed.

As nav2's own servers have it (nav2_util::LifecycleNode): topic ``bond``, relative, so that a manager in the node's
namespace hears it; the id is the node's name; bond_heartbeat_period 0 means none; and a manager that falls silent stops
nothing here.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from .distributions import PublisherEventCallbacks
from .following_subscription import no_events

TOPIC = "bond"
# Of silence of the manager, 30 years: never. The parameter by which bond's C++ switches this off is declared anew by
# bondpy at each timeout, which rclpy refuses.
_NEVER_S = 1e9


class _NodeForBond:
    """A node of whose topics none has events, as both are destroyed while it spins (see :func:`no_events`)."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def create_subscription(self, *arguments: Any) -> Any:
        return self._node.create_subscription(*arguments, event_callbacks=no_events())

    def create_publisher(self, *arguments: Any) -> Any:
        return self._node.create_publisher(
            *arguments, event_callbacks=PublisherEventCallbacks(use_default_callbacks=False)
        )


class ManagerBond:
    """The bond of one node; :meth:`start` and :meth:`stop` may follow each other any number of times."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._bond: Any = None
        self._said_missing = False

    def start(self, period: float) -> None:
        """Offer the bond, with a heartbeat every ``period`` seconds; 0 for none.

        Where nobody takes it within 10 s, as without a manager, bondpy gives up and is silent.
        """
        self.stop()
        if not period:
            return
        try:
            from bondpy.bondpy import Bond
        except ModuleNotFoundError as error:
            if not self._said_missing:
                self._said_missing = True
                self._node.get_logger().info(f"no bond with a lifecycle manager: {error.name} is not installed")
            return
        bond = Bond(_NodeForBond(self._node), TOPIC, self._node.get_name())
        bond.heartbeat_period = period
        bond.heartbeat_timeout = _NEVER_S
        topic = self._node.resolve_topic_name(TOPIC)
        bond.set_formed_callback(lambda: self._node.get_logger().info(f"bonded with a lifecycle manager by {topic}"))
        bond.start()
        self._bond = bond

    def stop(self) -> None:
        """Break the bond, which tells the manager at once."""
        if self._bond is None:
            return
        bond, self._bond = self._bond, None
        bond.shutdown()
        # bondpy leaves them in the node's lists.
        self._node.destroy_subscription(bond.sub)
        self._node.destroy_publisher(bond.pub)
