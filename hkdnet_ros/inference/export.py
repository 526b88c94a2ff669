"""A network as an ONNX file or a torch.export program, for runtimes beside torch."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from .. import __version__
from ..errors import ConfigError, MissingDependencyError, SourceError
from ..network.guided import Guided
from ..network.student import Student
from .checkpoint import read_metadata
from .precision_trial import agreement
from .sizes import SMALLEST
from .torch_backend import fold_batch_norms, sizes_of

FORMATS = {".onnx": "ONNX", ".pt2": "torch.export"}

BLOCK = 8
"""A file for images of any size takes multiples of this many pixels: a guided network computes on blocks of 8x8."""

LARGEST = 8192

METADATA_FILE = "metadata.json"
"""Where a .pt2 file has its metadata, beside the program; an ONNX file has a place for it."""


class ExportedNetwork(nn.Module):
    """What is exported: two lumas in, the clipped fused luma out; batch norms folded, features left out."""

    def __init__(self, network: Student | Guided) -> None:
        super().__init__()
        fold_batch_norms(network)
        self.network = network

    def forward(self, thermal: Tensor, visible: Tensor) -> Tensor:
        """Fuse (1, 1, H, W) lumas in [0, 1], each of its size, to one of the output's size, in [0, 1]."""
        return self.network(thermal, visible).fused.clamp(0, 1)


def provenance(network: Student | Guided, weights: Path) -> dict[str, str]:
    """Return what an exported file should say of itself: what it takes, and whence ``network`` of ``weights`` comes.

    What the weights' own metadata says, such as data and revision of their training, follows, as JSON.
    """
    sizes = sizes_of(network)
    return {
        "model": weights.stem,
        "scale": str(sizes.thermal),  # output over thermal's
        "visible_scale": str(sizes.visible),  # output over visible's
        "inputs": "luma in [0, 1], float32, (1, 1, height, width)",
        "source": f"hkdnet_ros {__version__}",
        "license": "Apache-2.0",
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        **{f"weights_{key}": json.dumps(value) for key, value in sorted(read_metadata(weights).items())},
    }


def export(
    network: Student | Guided,
    path: Path,
    *,
    height: int,
    width: int,
    any_size: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write ``network`` for a visible image of ``height`` x ``width``, as the suffix of ``path`` says: .onnx or .pt2.

    ``metadata`` goes with it (:func:`provenance`).
    The thermal image has the size that belongs to it. With ``any_size``, which a guided network alone can, the file
    takes visible images of all multiples of BLOCK pixels; a student's size is fixed, since the pooling of keys in its
    attentions follows from it. Raises :class:`ConfigError` for another suffix, a size below 16x16 and ``any_size`` with
    a student or a size that is no such multiple, :class:`MissingDependencyError` where ONNX's packages are missing,
    :class:`SourceError` for a file that cannot be written.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path.name}: the suffix says the format; choose one of {', '.join(FORMATS)}")
    if min(height, width) < SMALLEST:
        raise ConfigError(f"size is {width}x{height}; expected at least {SMALLEST}x{SMALLEST}")
    if any_size and (isinstance(network, Student) or height % BLOCK or width % BLOCK):
        raise ConfigError(f"any size of {width}x{height}: expected a guided network and multiples of {BLOCK} pixels")
    if not path.parent.is_dir():
        raise SourceError(f"{path.parent} is no folder; create it or choose another --out")
    module = ExportedNetwork(network).eval()
    sizes = sizes_of(network)
    thermal_size = sizes.thermal_for(sizes.output_for((height, width)))
    example = (torch.full((1, 1, *thermal_size), 0.5), torch.full((1, 1, height, width), 0.25))
    free = _free_sides(sizes.thermal) if any_size else None
    facts = {**(metadata or {}), **({"multiples_of": str(BLOCK)} if any_size else {})}
    program = torch.export.export(module, example, dynamic_shapes=free)
    try:
        if path.suffix == ".pt2":
            torch.export.save(program, path, extra_files={METADATA_FILE: json.dumps(facts)})
            return
        missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
        if missing:
            raise MissingDependencyError(f"ONNX export needs {' and '.join(missing)}; pip install {' '.join(missing)}")
        converted = torch.onnx.export(
            program, input_names=["thermal", "visible"], output_names=["fused"], dynamo=True, external_data=False,
            verbose=False,
        )  # fmt: skip
        assert converted is not None  # as it is when given no file
        converted.model.metadata_props.update(facts)
        converted.save(str(path))
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error}") from error


def parity(network: Student | Guided, path: Path, *, height: int, width: int) -> float | None:
    """Return how well the file at ``path`` agrees with ``network``, which it was exported from: PSNR in dB.

    Both fuse random images of the visible size that it was exported for. None for an ONNX file where ONNX Runtime is
    not installed.
    """
    sizes = sizes_of(network)
    random = np.random.default_rng(0)
    thermal = random.random((1, 1, *sizes.thermal_for(sizes.output_for((height, width)))), dtype=np.float32)
    visible = random.random((1, 1, height, width), dtype=np.float32)
    inputs = torch.from_numpy(thermal), torch.from_numpy(visible)
    with torch.inference_mode():
        expected = ExportedNetwork(network).eval()(*inputs).numpy()
        if path.suffix == ".pt2":
            return agreement(expected, torch.export.load(path).module()(*inputs).numpy())
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["fused"], {"thermal": thermal, "visible": visible})
    return agreement(expected, found)


def _free_sides(thermal: int) -> dict[str, Any]:
    """Return which sides of the inputs are free, where ``thermal`` output pixels lie along one of thermal's."""
    blocks = {
        axis: Dim(name, min=SMALLEST // BLOCK, max=LARGEST // BLOCK) for axis, name in ((2, "rows"), (3, "columns"))
    }
    sides = {"thermal": BLOCK // thermal, "visible": BLOCK}
    return {name: {axis: pixels * dim for axis, dim in blocks.items()} for name, pixels in sides.items()}
