"""A frozen detector's view of images, as a loss: what it finds in either source it should find in the fused image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import CheckpointError

THERMAL_SHARE = 4.0
"""How much more an object counts that thermal alone shows."""

STEEPEST = 0.3
"""Most of the norm of an image's gradient: a detector's is tens of times that of the fusion losses, noise mostly."""


class Detector(nn.Module):
    """FastestDet (dog-qiuqiu) from its ONNX file, differentiable and for any batch and any size of multiples of 32.

    Only the operators of that network are known. Its channel shuffles are written for one image of one size (reshape,
    transpose, reshape, gather); here they are slices. Raises :class:`CheckpointError` for a file that cannot be read or
    is of another network, and where the package onnx is missing.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        try:
            import onnx
            from onnx import numpy_helper

            graph = onnx.load(str(path)).graph
        except ImportError as error:
            raise CheckpointError("a detector is read with the Python package onnx, which is not installed") from error
        except Exception as error:  # onnx raises its own, protobuf's and the file system's
            raise CheckpointError(f"{path} is not a readable ONNX file: {error}") from error
        self._constants: dict[str, Tensor] = {
            item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer
        }
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._steps: list[tuple[str, list[str], str, dict[str, Any]]] = []
        for node in graph.node:
            attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
            if node.op_type not in _OPERATORS and node.op_type not in _SHUFFLE:
                raise CheckpointError(f"{path} has the operator {node.op_type}, which FastestDet has not")
            if node.op_type == "Constant":
                self._constants[node.output[0]] = torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy())
            else:
                self._steps.append((node.op_type, list(node.input), node.output[0], attributes))

    def forward(self, image: Tensor) -> Tensor:
        """Return the raw map (B, 85, H / 16, W / 16): objectness, 4 of the box, 80 classes; luma (B, 1, H, W)."""
        values: dict[str, Any] = {**self._constants, self._input: image.expand(-1, 3, -1, -1)}
        for kind, inputs, output, attributes in self._steps:
            operands = [values[name] for name in inputs if name]
            if kind == "Reshape" or (kind == "Transpose" and len(attributes["perm"]) == 3):
                values[output] = operands[0]  # part of a channel shuffle, whose last step does it all
            elif kind == "Gather":
                values[output] = operands[0][:, int(operands[1]) :: 2]
            else:
                values[output] = _OPERATORS[kind](operands, attributes)
        result: Tensor = values[self._output]
        return result


def _conv(operands: list[Tensor], attributes: Mapping[str, Any]) -> Tensor:
    image, weight, *bias = operands
    pads = attributes["pads"]
    return F.conv2d(
        image, weight.to(image.dtype), bias[0].to(image.dtype) if bias else None, tuple(attributes["strides"]),
        (pads[0], pads[1]), tuple(attributes["dilations"]), attributes["group"],
    )  # fmt: skip


_SHUFFLE = frozenset({"Reshape", "Gather", "Constant"})

_OPERATORS: dict[str, Callable[[list[Any], Mapping[str, Any]], Tensor]] = {
    "Conv": _conv,
    "Relu": lambda x, _: torch.relu(x[0]),
    "Add": lambda x, _: x[0] + x[1],
    "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
    "Softmax": lambda x, a: torch.softmax(x[0], a["axis"]),
    "Transpose": lambda x, a: x[0].permute(*a["perm"]),
    "Concat": lambda x, a: torch.cat(x, a["axis"]),
    "MaxPool": lambda x, a: F.max_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][:2]),
    "AveragePool": lambda x, a: F.avg_pool2d(x[0], a["kernel_shape"], a["strides"]),
    "Pad": lambda x, _: F.pad(x[0], (int(x[1][3]), int(x[1][7]), int(x[1][2]), int(x[1][6]))),
    "Resize": lambda x, _: F.interpolate(x[0], scale_factor=2.0, mode="nearest"),
}


class _Bounded(torch.autograd.Function):
    """The identity, whose gradient is cut to :data:`STEEPEST` for each image."""

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        norm = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return gradient * (STEEPEST / norm.clamp_min(STEEPEST))


def detection_loss(find: Callable[[Tensor], Tensor], fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Mean difference of what a detector says about fused from what it says about the source in which it is surer.

    ``find`` returns maps (B, 5 + classes, h, w), objectness first. At each cell the source with the higher objectness
    is the example. Cells count by its objectness, so that empty ground says little, and those where thermal is the
    example ``THERMAL_SHARE`` times, for they are few. The gradient is bounded (:data:`STEEPEST`).
    """
    with torch.no_grad():
        of_thermal, of_visible = find(torch.cat([thermal, visible])).chunk(2)
        surer = of_thermal[:, :1] > of_visible[:, :1] + 0.1
        wanted = torch.where(surer, of_thermal, of_visible)
        sure = wanted[:, :1]
        weight = torch.where(surer, THERMAL_SHARE * sure, sure)
    found = find(_Bounded.apply(fused))
    objectness = ((found[:, :1] - sure).abs() * (weight + 0.2)).mean()
    box = ((found[:, 1:5] - wanted[:, 1:5]).abs() * weight).mean()
    kind = ((found[:, 5:] - wanted[:, 5:]).abs() * weight).sum(1).mean()
    return objectness + box + kind
