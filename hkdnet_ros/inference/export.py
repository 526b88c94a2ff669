"""A student as an ONNX file or a torch.export program, for runtimes beside torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ConfigError, MissingDependencyError, SourceError
from ..network.student import Student
from .torch_backend import fold_batch_norms

FORMATS = {".onnx": "ONNX", ".pt2": "torch.export"}


class ExportedStudent(nn.Module):
    """What is exported: two lumas in, the clipped fused luma out; batch norms folded, features left out."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        fold_batch_norms(student)
        self.student = student

    def forward(self, thermal: Tensor, visible: Tensor) -> Tensor:
        """Fuse (1, 1, H, W) lumas in [0, 1] to (1, 1, scale H, scale W) in [0, 1]."""
        return self.student(thermal, visible).fused.clamp(0, 1)


def export(student: Student, path: Path, *, height: int, width: int) -> None:
    """Write ``student`` for inputs of ``height`` x ``width``, as the suffix of ``path`` says: .onnx or .pt2.

    The size is fixed, since the pooling of keys in the attentions follows from it. Raises :class:`ConfigError` for
    another suffix or a size below 16x16, :class:`MissingDependencyError` where ONNX's packages are missing,
    :class:`SourceError` for a file that cannot be written.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path.name}: the suffix says the format; choose one of {', '.join(FORMATS)}")
    if min(height, width) < 16:
        raise ConfigError(f"size is {width}x{height}; expected at least 16x16")
    if not path.parent.is_dir():
        raise SourceError(f"{path.parent} is no folder; create it or choose another --out")
    module = ExportedStudent(student).eval()
    example = (torch.full((1, 1, height, width), 0.5), torch.full((1, 1, height, width), 0.25))
    program = torch.export.export(module, example)
    try:
        if path.suffix == ".pt2":
            torch.export.save(program, path)
            return
        missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
        if missing:
            raise MissingDependencyError(f"ONNX export needs {' and '.join(missing)}; pip install {' '.join(missing)}")
        converted = torch.onnx.export(
            program, input_names=["thermal", "visible"], output_names=["fused"], dynamo=True, external_data=False,
            verbose=False,
        )  # fmt: skip
        assert converted is not None  # as it is when given no file
        converted.save(str(path))
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error}") from error
