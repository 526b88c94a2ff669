"""The back end of ONNX Runtime: a file of ``hkdnet export``, on any processor and without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import CheckpointError, ConfigError, ImageError
from .backend import Backend, copy_unit
from .config import CPU, EngineConfig
from .sizes import Sizes

SUFFIX = ".onnx"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxBackend(Backend):
    """An exported network in ONNX Runtime, in fp32."""

    memory = None
    reach = None  # it runs whole images
    bytes_per_pixel = 300.0
    """About what the networks take in fp32: the file does not say which it is."""

    def __init__(self, config: EngineConfig) -> None:
        path = Path(config.model).expanduser()
        if path.suffix != SUFFIX:
            raise ConfigError(
                f"backend onnxruntime runs files of `hkdnet export`, and model is {config.model}; export it to "
                f"NAME{SUFFIX}"
            )
        if config.precision not in ("auto", "fp32"):
            raise ConfigError(f"backend onnxruntime computes in fp32, not in {config.precision}; choose precision auto")
        self.device, self.precision, self.model_name = _device(config.device), "fp32", path.stem
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = config.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other programs need the cores, too
        provider = PROVIDERS[self.device.partition(":")[0]]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # ONNX Runtime's errors share no class
            raise CheckpointError(f"{path}: cannot be loaded by ONNX Runtime ({str(error).splitlines()[0]})") from error
        facts = self._session.get_modelmeta().custom_metadata_map
        try:
            self.sizes = Sizes(thermal=int(facts["scale"]), visible=int(facts["visible_scale"]))
        except (KeyError, ValueError):
            raise CheckpointError(f"{path}: does not say its scale; export it again by `hkdnet export`") from None
        self._taken = [entry.shape[2:] for entry in self._session.get_inputs()]
        self._block = int(facts.get("multiples_of", 1))

    def run(
        self, thermal: NDArray[Any], visible: NDArray[Any], lap: Callable[[str], None], frame: None = None
    ) -> NDArray[np.float32]:
        """Return the fused luma of two images; see :meth:`Backend.run`.

        Raises :class:`ImageError` for another size than the file is for.
        """
        inputs = {}
        for name, image, taken, step in zip(
            ("thermal", "visible"), (thermal, visible), self._taken, self._steps(), strict=True
        ):
            if all(isinstance(side, int) for side in taken) and tuple(taken) != image.shape:
                width, height = taken[::-1]
                raise ImageError(
                    f"{self.model_name} takes {name} images of {width}x{height}, and this one is brought to "
                    f"{image.shape[1]}x{image.shape[0]}; export it with another --size"
                )
            inputs[name] = _padded(image, step)
        lap("upload")
        (fused,) = self._session.run(["fused"], inputs)
        lap("network")
        height, width = self.sizes.output_for(visible.shape)
        whole: NDArray[np.float32] = fused[0, 0, :height, :width]
        return whole

    def describe(self, thermal: NDArray[Any], visible: NDArray[Any]) -> None:
        """Say nothing: it does not run in parts."""

    def close(self) -> None:
        """Free the network's memory; the back end cannot be run afterwards."""
        del self._session

    def _steps(self) -> tuple[int, int]:
        """Return of how many pixels the sides of each input must be multiples."""
        return max(self._block // self.sizes.thermal, 1), max(self._block // self.sizes.visible, 1)


def _device(name: str) -> str:
    has_cuda = PROVIDERS["cuda"] in onnxruntime.get_available_providers()
    if name == "auto":
        return "cuda" if has_cuda else CPU
    if name.partition(":")[0] not in PROVIDERS:
        raise ConfigError(f"device is {name!r}; choose auto, cpu, cuda or cuda:N")
    if name != CPU and not has_cuda:
        raise ConfigError(
            f"device is {name!r}, and this ONNX Runtime has no CUDA; choose cpu, or install onnxruntime-gpu"
        )
    return name


def _padded(image: NDArray[Any], step: int) -> NDArray[np.float32]:
    """Return ``image`` as (1, 1, H, W) float32 in [0, 1]; its last row and column fill up to multiples of ``step``."""
    height, width = image.shape
    unit = np.empty(image.shape, np.float32)
    copy_unit(image, unit)
    return np.pad(unit, ((0, -height % step), (0, -width % step)), "edge")[None, None]
