"""The back end of OpenVINO: the network on a CPU, by threads that do not spin while they wait for each other.

The network is converted from torch for each size of images, which takes seconds. What was converted is kept in the
cache folder, where the next start finds it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
from torch import Tensor, nn

from ..errors import ConfigError, OutOfMemoryError
from ..network.fast import Fast
from ..network.guided import Guided
from ..network.student import Student
from .backend import Backend, copy_unit
from .cache import cache_folder, fingerprint
from .checkpoint import weights_path
from .compute_thread import compute
from .config import CPU, EngineConfig
from .exported_modules import PartOfFrame, WholeNetwork, describe
from .latest import Latest
from .processor import cpu_has_bf16
from .torch_backend import fold_batch_norms, is_out_of_memory, load_fusing, reach_of, sizes_of

KEPT = 3
"""So many sizes stay compiled, the latest used."""

_MODEL, _WEIGHTS, _CHECK = "model.xml", "model.bin", "model.bin.sha256"


class SplitStudent(nn.Module):
    """A student whose images come in two parts that bfloat16 holds without loss, so that no gray level is rounded.

    OpenVINO rounds what enters a convolution to the format it computes in. bfloat16 has 8 significant bits: as many as
    a camera's levels, fewer than a conditioned or resampled image has. An image is given as :func:`split` makes it,
    and the first convolution has the parts of its weights in the same order.
    """

    def __init__(self, student: Student | Fast) -> None:
        super().__init__()
        self.student = student
        first = student.first
        parts = []
        for weight in first.weight.detach().chunk(2 if isinstance(student, Fast) else 1, 1):  # of each image
            coarse = weight.bfloat16().float()
            parts += [coarse, weight - coarse, coarse]
        first.in_channels *= 3
        first.weight = nn.Parameter(torch.cat(parts, 1), requires_grad=False)

    def forward(self, thermal: Tensor, visible: Tensor) -> Tensor:
        """Fuse two images (1, 3, H, W) of :func:`split` to (1, 1, sH, sW)."""
        fine = [self.student.fine(parts) for parts in (thermal, visible)]
        whole = [parts[:, :1] + parts[:, 2:] for parts in (thermal, visible)]
        return self.student.finish(*fine, *whole).fused


def split(image: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Write ``image`` (H, W) to ``out`` (3, H, W): its part that bfloat16 holds, the same again, and what is left."""
    np.bitwise_and(image.view(np.uint32), np.uint32(0xFFFF0000), out=out[0].view(np.uint32))
    np.copyto(out[1], out[0])
    np.subtract(image, out[0], out=out[2])


class OpenVinoBackend(Backend):
    """A student or guided network in OpenVINO on the CPU."""

    memory = None

    def __init__(self, config: EngineConfig) -> None:
        if config.device not in ("auto", CPU):
            raise ConfigError(f"backend openvino computes on the CPU, not on {config.device}; choose device cpu")
        if config.precision == "fp16":
            raise ConfigError("precision fp16 needs CUDA; choose auto, fp32 or bf16 for a CPU")
        self.device = CPU
        fastest = "bf16" if cpu_has_bf16() else "fp32"
        self.precision = fastest if config.precision == "auto" else config.precision
        path = weights_path(config.model, config.scale)
        self.model_name = path.stem if path.suffix == ".safetensors" else config.model
        network = compute(load_fusing, path, config.scale)
        self.sizes, self.reach = sizes_of(network), reach_of(network)
        self._bytes_per_pixel = 4 * network.floats_per_pixel
        self._version = re.sub(r"[^\w.]+", "-", f"{self.model_name}_{fingerprint(path)}_{openvino.__version__}")
        fold_batch_norms(network)
        network.eval().requires_grad_(False)
        self._module: nn.Module
        if self.precision == "bf16" and not isinstance(network, Guided):
            self._module, self._parts = SplitStudent(network), 3
        else:
            self._module, self._parts = WholeNetwork(network), 1
        self._part: nn.Module = PartOfFrame(network) if isinstance(network, Guided) else self._module
        self._core = openvino.Core()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32" if self.precision == "fp32" else "bf16",
            "ENABLE_CPU_PINNING": False,  # another program may have the core
            **({"INFERENCE_NUM_THREADS": config.threads} if config.threads else {}),
        }
        self._compiled: Latest[tuple[tuple[int, ...], bool], _Compiled] = Latest(KEPT)

    @property
    def bytes_per_pixel(self) -> float:
        """Bytes that a run takes at its most for each pixel of the output, about."""
        return self._bytes_per_pixel

    def run(
        self,
        thermal: NDArray[Any],
        visible: NDArray[Any],
        lap: Callable[[str], None],
        frame: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the fused luma of two images; see :meth:`Backend.run`."""
        try:
            compiled = self._for_size(thermal.shape, visible.shape, frame is not None)
            compiled.fill(thermal, visible, frame)
            lap("upload")
            fused = compiled.infer()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError("openvino found no more") from error
        lap("network")
        return fused

    def describe(self, thermal: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.float32]:
        """Return the statistics of two whole images, (1, 4), which say to their parts how bright the frame is."""
        return describe(thermal, visible)

    def close(self) -> None:
        """Free the networks' memory; the back end cannot be run afterwards."""
        self._compiled.clear()
        self._module = self._part = None  # type: ignore[assignment]

    def _for_size(self, thermal: tuple[int, ...], visible: tuple[int, ...], are_parts: bool) -> _Compiled:
        """Return the network compiled for images of these sizes, or for parts of them."""
        shapes: list[tuple[int, ...]] = [(1, self._parts, *shape) for shape in (thermal, visible)]
        if are_parts:
            shapes.append((1, 4))

        def compiled() -> _Compiled:
            return _Compiled(self._core.compile_model(self._converted(shapes), "CPU", self._settings), shapes)

        return self._compiled.get((visible, are_parts), compiled)

    def _converted(self, shapes: Sequence[tuple[int, ...]]) -> openvino.Model:
        """Return the network for inputs of exactly these shapes, from the cache folder where it is there."""
        size = "_".join("x".join(map(str, shape[1:])) for shape in shapes)
        folder = cache_folder() / "openvino" / f"{self._version}_{size}"
        found = self._read(folder)
        if found is not None:
            return found
        module = self._part if len(shapes) == 3 else self._module
        model = compute(_convert, module, shapes)
        with contextlib.suppress(OSError, RuntimeError):  # a cache that cannot be written is none
            _keep(model, folder)
        return self._read(folder) or model  # read: to the last bit what the next start gets

    def _read(self, folder: Path) -> openvino.Model | None:
        """Return what the cache folder has; None for nothing, or what is damaged."""
        with contextlib.suppress(OSError, RuntimeError):
            # OpenVINO takes weights of the right number, whatever they are.
            if (folder / _CHECK).read_text() == fingerprint(folder / _WEIGHTS):
                return self._core.read_model(folder / _MODEL)
        return None


class _Compiled:
    """The network for images of one size, with the memory of its inputs."""

    def __init__(self, model: openvino.CompiledModel, shapes: list[tuple[int, ...]]) -> None:
        self._request = model.create_infer_request()
        self._inputs = [np.zeros(shape, np.float32) for shape in shapes]
        self._whole = [np.zeros(shape[2:], np.float32) for shape in shapes]
        for index, array in enumerate(self._inputs):
            self._request.set_input_tensor(index, openvino.Tensor(array, shared_memory=True))

    def fill(self, thermal: NDArray[Any], visible: NDArray[Any], frame: NDArray[np.float32] | None) -> None:
        """Bring both images, and what is known of their frame, to where the network reads them."""
        if frame is not None:
            np.copyto(self._inputs[2], frame)
        for image, whole, array in zip((thermal, visible), self._whole, self._inputs, strict=False):
            if array.shape[1] == 1:
                copy_unit(image, array[0, 0])
            else:
                copy_unit(image, whole)
                split(whole, array[0])

    def infer(self) -> NDArray[np.float32]:
        """Return the fused luma, a view on memory that the next call writes to."""
        self._request.infer()
        fused: NDArray[np.float32] = self._request.get_output_tensor(0).data[0, 0]
        return fused


def _convert(module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> openvino.Model:
    """Return ``module`` as OpenVINO's model for inputs of exactly these shapes.

    By the frontend itself: ``openvino.convert_model``, which wraps it, reports its use over the network.
    """
    with _unsaid():
        program = torch.export.export(module, tuple(torch.zeros(shape) for shape in shapes))
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchFXPythonDecoder.from_exported_program(program)  # by a name: OpenVINO does not keep it alive
        model = frontend.convert(frontend.load(decoder))
    model.reshape(dict(enumerate(shapes)))
    return model


@contextlib.contextmanager
def _unsaid() -> Iterator[None]:
    """Keep to itself what the conversion logs: tracebacks of operations that it looks for in vain and does without.

    It logs by the root logger, which would set up one for all that is logged later. Only what is logged by that itself
    is held back.
    """
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # so that logging.warning adds none
    root.addFilter(_nothing)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch about itself
            yield
    finally:
        root.removeFilter(_nothing)
        root.removeHandler(handler)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def _keep(model: openvino.Model, folder: Path) -> None:
    """Write ``model`` to ``folder``: whole or not at all, even where two processes do so at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        openvino.save_model(model, Path(partial) / _MODEL, compress_to_fp16=False)
        (Path(partial) / _CHECK).write_text(fingerprint(Path(partial) / _WEIGHTS))
        shutil.rmtree(folder, ignore_errors=True)  # what is damaged
        os.rename(partial, folder)  # fails where another process was first
        os.mkdir(partial)  # for the end of the block to remove
