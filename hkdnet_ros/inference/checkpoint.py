"""Weights on disk: safetensors whose metadata names network, configuration, data, revision and metrics."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..files import written_whole
from ..network.fast import Fast
from ..network.guided import Guided, GuidedConfig
from ..network.presets import GUIDED, PRESETS, FastConfig, StudentConfig
from ..network.student import Student
from ..network.teacher import Teacher

FusingNetwork: TypeAlias = Student | Fast | Guided
"""What an engine runs; a :class:`Teacher` fuses at one size only."""

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
"""The folder of the weights that come with the package."""


def weights_path(model: str, scale: int) -> Path:
    """Return the file of ``model``: a preset's shipped weights at ``scale``, or the path itself.

    ``guided`` has one file for every scale. Raises :class:`CheckpointError` for a name that is neither, or a preset
    that ships no weights at that scale.
    """
    if model == GUIDED:
        return WEIGHTS / f"{GUIDED}.safetensors"
    if model in PRESETS:
        path = WEIGHTS / f"{model}_x{scale}.safetensors"
        if not path.is_file():
            shipped = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*_x?.safetensors"))) or "none"
            raise CheckpointError(f"no weights come with the package for {model} at x{scale}; shipped are: {shipped}")
        return path
    path = Path(model).expanduser()
    if not path.is_file():
        presets = ", ".join((*PRESETS, GUIDED))
        raise CheckpointError(f"{model} is neither a preset ({presets}) nor an existing weights file")
    if path.suffix in (".onnx", ".pt2"):
        raise CheckpointError(
            f"{model} is a network for other programs, as hkdnet export writes them; choose a preset or a .safetensors "
            "file, or for an .onnx file backend onnxruntime"
        )
    return path


def source_revision() -> str:
    """Return the git revision of the running source, with ``+`` where it was changed since, or ``unknown``."""
    folder = Path(__file__).resolve().parent
    words = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        result = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return result.stdout.strip()


def save_checkpoint(path: str | Path, network: nn.Module, metadata: Mapping[str, Any], *, half: bool = False) -> None:
    """Write ``network``'s tensors and ``metadata`` (JSON values); ``half`` stores floating tensors as fp16.

    The configuration of all but a :class:`Teacher` is added by itself. Raises :class:`CheckpointError` where
    the file cannot be written.
    """
    entries: dict[str, Any] = {"network": type(network).__name__.lower(), "revision": source_revision(), **metadata}
    if isinstance(network, FusingNetwork):
        entries["config"] = dataclasses.asdict(network.config)
    tensors = {}
    for name, value in network.state_dict().items():
        value = value.detach().cpu().contiguous()
        tensors[name] = value.half() if half and value.is_floating_point() else value
    # Not by safetensors' save_file, which leaves a file that its owner alone may read.
    content = save(tensors, {key: json.dumps(value) for key, value in entries.items()})
    try:
        with written_whole(Path(path)) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}") from error


def _read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        return tensors, {key: json.loads(text) for key, text in texts.items()}
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such weights file") from error
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file of this package: {error}") from error


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Return a checkpoint's metadata; :class:`CheckpointError` for a missing or damaged file."""
    return _read(path)[1]


def is_half(path: str | Path) -> bool:
    """Tell whether a checkpoint's floating tensors are all stored as fp16; errors as :func:`read_metadata`."""
    kinds = {tensor.dtype for tensor in _read(path)[0].values() if tensor.is_floating_point()}
    return kinds == {torch.float16}


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Copy ``tensors`` into ``network``, float32, or say in one line which do not fit."""
    own = network.state_dict()
    missing = [name for name in own if name not in tensors]
    surplus = [name for name in tensors if name not in own]
    shapes = [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    mismatches = []
    for label, names in (("missing", missing), ("unknown", surplus), ("of another shape", shapes)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            mismatches.append(f"{len(names)} tensors {label} ({names[0]}{more})")
    if mismatches:
        raise CheckpointError(f"{path} does not fit {type(network).__name__}: {'; '.join(mismatches)}")
    broken = [name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise CheckpointError(f"{path} holds values that are not finite, in {broken[0]}")
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})


def _check_kind(metadata: Mapping[str, Any], kind: str, path: str | Path) -> None:
    if metadata.get("network") != kind:
        found = metadata.get("network", "no network of this package")
        raise CheckpointError(f"{path} holds {found}, expected a {kind}")


def make_student(config: StudentConfig | FastConfig) -> Student | Fast:
    """Return the network of this configuration, with random weights."""
    return Fast(config) if isinstance(config, FastConfig) else Student(config)


def load_student(path: str | Path, *, scale: int | None = None) -> tuple[Student | Fast, dict[str, Any]]:
    """Return the student in ``path``, one of the two kinds, float32 in evaluation mode, and its metadata.

    Raises :class:`CheckpointError` for a missing or damaged file, another network, tensors that do not fit the
    configuration in the metadata, or a scale other than ``scale``.
    """
    tensors, metadata = _read(path)
    is_fast = metadata.get("network") == "fast"
    if not is_fast:
        _check_kind(metadata, "student", path)
    try:
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in metadata["config"].items()
        }
        config = FastConfig(**fields) if is_fast else StudentConfig(**fields)
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{path}: the student's configuration in the metadata is unusable: {error}") from error
    if scale is not None and config.scale != scale:
        raise CheckpointError(f"{path} is a student for x{config.scale}, not x{scale}; set scale to {config.scale}")
    network = make_student(config)
    _fill(network, tensors, path)
    return network.eval(), metadata


def load_teacher(path: str | Path) -> tuple[Teacher, dict[str, Any]]:
    """Return the teacher in ``path``, float32 in evaluation mode, and its metadata; errors as :func:`load_student`."""
    tensors, metadata = _read(path)
    _check_kind(metadata, "teacher", path)
    network = Teacher()
    _fill(network, tensors, path)
    return network.eval(), metadata


def load_guided(path: str | Path) -> tuple[Guided, dict[str, Any]]:
    """Return the guided network in ``path``, float32 in evaluation mode, and its metadata; errors as
    :func:`load_student`.
    """
    tensors, metadata = _read(path)
    _check_kind(metadata, "guided", path)
    try:
        config = GuidedConfig(**metadata["config"])
    except (KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path}: the network's configuration in the metadata is unusable: {error}") from error
    network = Guided(config)
    _fill(network, tensors, path)
    return network.eval(), metadata


def load_network(path: str | Path) -> tuple[FusingNetwork | Teacher, dict[str, Any]]:
    """Return the network in ``path``, whichever it is; errors as :func:`load_student`."""
    kind = read_metadata(path).get("network")
    return load_teacher(path) if kind == "teacher" else load_guided(path) if kind == "guided" else load_student(path)
