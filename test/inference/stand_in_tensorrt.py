"""A stand-in for the Python package tensorrt: its engines are ONNX files, which ONNX Runtime runs on the CPU.

So what is built is read by another strict reader of types, and what runs reads from and writes to bare addresses, as
TensorRT does. It says nothing of TensorRT itself.
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime

__version__ = "10.3.0"

NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
BuilderFlag = SimpleNamespace(TF32=6)
MemoryPoolType = SimpleNamespace(WORKSPACE=0)

built: list[str] = []
"""What was built: the inputs' shapes."""


class Logger:
    WARNING = 2

    def __init__(self, severity):
        pass


class IProgressMonitor:
    def __init__(self):
        pass


class Builder:
    def __init__(self, logger):
        pass

    def create_network(self, flags):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return Network()

    def create_builder_config(self):
        return SimpleNamespace(
            progress_monitor=None, profiles=[], clear_flag=lambda flag: None,
            set_memory_pool_limit=lambda pool, size: None,
        )  # fmt: skip

    def build_serialized_network(self, network, config):
        monitor = config.progress_monitor
        monitor.phase_start("build", None, 2)
        monitor.phase_start("tactics", "build", 4)
        for step in range(4):
            assert monitor.step_complete("tactics", step)
        monitor.phase_finish("tactics")
        for step in range(2):
            assert monitor.step_complete("build", step)
        monitor.phase_finish("build")
        built.append(" ".join("x".join(map(str, each.shape)) for each in network.inputs))
        return memoryview(network.plan)


class Network:
    plan = b""

    @property
    def num_inputs(self):
        return len(self.inputs)

    def get_input(self, index):
        return self.inputs[index]


class OnnxParser:
    def __init__(self, network, logger):
        self._network = network
        self.num_errors = 0

    def parse(self, content):
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model, full_check=True)
        self._network.plan = content
        self._network.inputs = [
            SimpleNamespace(name=each.name, shape=[side.dim_value for side in each.type.tensor_type.shape.dim])
            for each in model.graph.input
        ]
        return True


class Runtime:
    def __init__(self, logger):
        pass

    def deserialize_cuda_engine(self, plan):
        try:
            return Engine(onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"]))
        except Exception:
            return None


class Engine:
    def __init__(self, session):
        self._session = session

    def create_execution_context(self):
        return Context(self._session)


class Context:
    def __init__(self, session):
        self._session = session
        self._addresses = {}

    def set_tensor_address(self, name, address):
        self._addresses[name] = address

    def set_input_shape(self, name, shape):
        assert shape == tuple(next(each.shape for each in self._session.get_inputs() if each.name == name))

    def execute_async_v3(self, stream):
        images = {each.name: self._at(each).copy() for each in self._session.get_inputs()}
        (output,) = self._session.get_outputs()
        self._at(output)[...] = self._session.run([output.name], images)[0]
        return True

    def _at(self, each):
        assert each.type == "tensor(float)"
        count = int(np.prod(each.shape))
        values = ctypes.cast(self._addresses[each.name], ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(values, (count,)).reshape(each.shape)
