"""The fusion node's services, called from outside."""

from __future__ import annotations

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from rigging import wait_for


class Remote:
    """Calls services of the fusion node from outside."""

    def __init__(self, spun):
        self._node = spun.add(rclpy.create_node("remote", context=spun.context))
        self._clients = {}

    def call(self, kind, name, **fields):
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, f"/fusion/{name}")
        client = self._clients[name]
        assert client.wait_for_service(timeout_sec=10)
        future = client.call_async(kind.Request(**fields))
        wait_for(future.done, what=f"an answer of {name}")
        return future.result()

    def state(self):
        return self.call(GetState, "get_state").current_state.label

    def transition(self, number):
        return self.call(ChangeState, "change_state", transition=Transition(id=number)).success

    def set(self, name, value):
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        (result,) = self.call(SetParameters, "set_parameters", parameters=parameters).results
        return result.successful, result.reason

    def get(self, name):
        (value,) = self.call(GetParameters, "get_parameters", names=[name]).values
        return value
