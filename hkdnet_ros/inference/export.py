"""A network as an ONNX file or a torch.export program, for runtimes beside torch."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from .. import __version__
from ..errors import ConfigError, MissingDependencyError, SourceError
from ..files import written_whole
from ..network.guided import Guided
from .checkpoint import FusingNetwork, read_metadata
from .precision_trial import agreement, rounding_scene
from .sizes import SMALLEST, Sizes
from .torch_backend import compute_in, fold_batch_norms, sizes_of

FORMATS = {".onnx": "ONNX", ".pt2": "torch.export"}

BLOCK = 8
"""A file for images of any size takes multiples of this many pixels: a guided network computes on blocks of 8x8."""

LARGEST = 8192

OPSET = 20
"""The version of ONNX's operators: the latest that TensorRT 10.3, of JetPack 6, reads."""

HALF = "fp16"

METADATA_FILE = "metadata.json"
"""Where a .pt2 file has its metadata, beside the program; an ONNX file has a place for it."""


class ExportedNetwork(nn.Module):
    """What is exported: two lumas in, the clipped fused luma out; batch norms folded, features left out."""

    def __init__(self, network: FusingNetwork) -> None:
        super().__init__()
        fold_batch_norms(network)
        self.network = network

    def forward(self, thermal: Tensor, visible: Tensor) -> Tensor:
        """Fuse (1, 1, H, W) lumas in [0, 1], each of its size, to one of the output's size, in [0, 1]."""
        return self.network(thermal, visible).fused.clamp(0, 1)


def provenance(network: FusingNetwork, weights: Path) -> dict[str, str]:
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
    network: FusingNetwork,
    path: Path,
    *,
    height: int,
    width: int,
    any_size: bool = False,
    precision: str = "fp32",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write ``network`` for a visible image of ``height`` x ``width``, as the suffix of ``path`` says: .onnx or .pt2.

    ``metadata`` goes with it (:func:`provenance`).
    The thermal image has the size that belongs to it. With ``any_size``, which a guided network alone can, the file
    takes visible images of all multiples of BLOCK pixels; a student's size is fixed, since the pooling of keys in its
    attentions follows from it.

    In ``precision`` fp16 inputs and output are float32 and all between them has its format in the file, as TensorRT
    wants it. Raises :class:`ConfigError` for another suffix, fp16 in anything but ONNX, a size below 16x16 and
    ``any_size`` with a student or a size that is no such multiple, :class:`MissingDependencyError` where ONNX's
    packages are missing, :class:`SourceError` for a file that cannot be written.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path.name}: the suffix says the format; choose one of {', '.join(FORMATS)}")
    if precision == HALF and path.suffix != ".onnx":
        raise ConfigError(f"{path.name}: {HALF} is for TensorRT, which reads .onnx; export it to NAME.onnx")
    if min(height, width) < SMALLEST:
        raise ConfigError(f"size is {width}x{height}; expected at least {SMALLEST}x{SMALLEST}")
    if any_size and (not isinstance(network, Guided) or height % BLOCK or width % BLOCK):
        raise ConfigError(f"any size of {width}x{height}: expected a guided network and multiples of {BLOCK} pixels")
    if not path.parent.is_dir():
        raise SourceError(f"{path.parent} is no folder; create it or choose another --out")
    module = ExportedNetwork(network).eval()
    if precision == HALF:
        module = copy.deepcopy(module)  # folded already, which in fp16 would cost digits
        compute_in(module.network, torch.float16)
    sizes = sizes_of(network)
    thermal_size = sizes.thermal_for(sizes.output_for((height, width)))
    example = (torch.full((1, 1, *thermal_size), 0.5), torch.full((1, 1, height, width), 0.25))
    free = _free_sides(sizes.thermal) if any_size else None
    facts = {**(metadata or {}), "precision": precision, **({"multiples_of": str(BLOCK)} if any_size else {})}
    try:
        if path.suffix == ".pt2":
            program = torch.export.export(module, example, dynamic_shapes=free)
            content = BytesIO()
            torch.export.save(program, content, extra_files={METADATA_FILE: json.dumps(facts)})
            whole = content.getvalue()
        else:
            whole = to_onnx(module, example, ("thermal", "visible"), free=free, metadata=facts)
        with written_whole(path) as partial:
            partial.write_bytes(whole)
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error}") from error


def to_onnx(
    module: nn.Module,
    example: Sequence[Tensor],
    names: Sequence[str],
    *,
    free: dict[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return ``module``, which takes what ``example`` is like by these names, as a file of ONNX.

    ``free`` are the sides that may differ. Raises :class:`MissingDependencyError` where ONNX's packages are missing.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(f"ONNX export needs {' and '.join(missing)}; pip install {' '.join(missing)}")
    # Torch's export does not take inference's tensors, and speaks of packages that are not used and of itself.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(module, tuple(example), dynamic_shapes=free)
        converted = torch.onnx.export(
            program, input_names=list(names), output_names=["fused"], dynamo=True, external_data=False, verbose=False,
            opset_version=OPSET,
        )  # fmt: skip
    assert converted is not None  # as it is when given no file
    converted.model.metadata_props.update(metadata or {})
    return converted.model_proto.SerializeToString()


class Parity(NamedTuple):
    """How well a file agrees with the network that it was exported from, in fp32: PSNR in dB, and what ran it."""

    agreement: float
    by: str


def parity(network: FusingNetwork, path: Path, *, height: int, width: int, precision: str = "fp32") -> Parity | None:
    """Return how the file at ``path`` agrees with ``network``, which it was exported from.

    Both fuse images of the visible size that it was exported for: random ones, and a file in fp16 the scene by which
    shorter formats are judged. That file is run by TensorRT where the system has it and a GPU, else one of ONNX by ONNX
    Runtime on the CPU, which has fp16 for few operations and computes the others in fp32. None for one of ONNX where
    that is not installed.
    """
    thermal, visible = (image[None, None] for image in _images(sizes_of(network), height, width, precision))
    inputs = torch.from_numpy(thermal), torch.from_numpy(visible)
    with torch.inference_mode():
        expected = ExportedNetwork(network).eval()(*inputs).numpy()
        if path.suffix == ".pt2":
            return Parity(agreement(expected, torch.export.load(path).module()(*inputs).numpy()), "torch.export")
    if precision == HALF and torch.cuda.is_available() and importlib.util.find_spec("tensorrt") is not None:
        from .tensorrt_engine import run_once

        return Parity(agreement(expected, run_once(path, inputs, expected.shape)), "TensorRT")
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(["fused"], {"thermal": thermal, "visible": visible})
    return Parity(agreement(expected, found), "ONNX Runtime")


def _images(sizes: Sizes, height: int, width: int, precision: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if precision == HALF:
        return rounding_scene(sizes, height, width)
    random = np.random.default_rng(0)
    thermal = random.random(sizes.thermal_for(sizes.output_for((height, width))), dtype=np.float32)
    return thermal, random.random((height, width), dtype=np.float32)


def _free_sides(thermal: int) -> dict[str, Any]:
    """Return which sides of the inputs are free, where ``thermal`` output pixels lie along one of thermal's."""
    blocks = {
        axis: Dim(name, min=SMALLEST // BLOCK, max=LARGEST // BLOCK) for axis, name in ((2, "rows"), (3, "columns"))
    }
    sides = {"thermal": BLOCK // thermal, "visible": BLOCK}
    return {name: {axis: pixels * dim for axis, dim in blocks.items()} for name, pixels in sides.items()}
