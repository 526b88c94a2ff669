"""Makes one checkpoint whose weights are the mean of several that began with the same weights.

Such means often measure better than each of them (Model soups, Wortsman et al., ICML 2022). Networks that were trained
apart from random weights do not mix: their maps mean different things.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ConfigError
from ..inference.checkpoint import FusingNetwork, is_half, load_network, save_checkpoint
from ..network.fast import Fast
from ..network.presets import differences
from ..network.student import Student
from ..network.teacher import Teacher

_NOT_SHARED = frozenset({"network", "config", "metrics", "revision"})
"""What the file says by itself, what was not measured of the mean, and the source, which is this one."""


def average_checkpoints(files: Sequence[Path], out: Path, weights: Sequence[float] | None = None) -> list[float]:
    """Write the mean of ``files``, weighted (equally without ``weights``), to ``out``; return the shares, of sum 1.

    The mean is taken in float64 and stored as fp16 where all files are, else as float32. Its metadata holds what all
    files say alike, and as ``averaged`` each file's name, share and what it alone says; no measures, for those were of
    other weights. Batch statistics are averaged as weights are, their count is the first file's.

    Raises :class:`ConfigError` for fewer than two files and weights that are not one positive number for each,
    :class:`CheckpointError` for files that cannot be read or are of different networks, and for an ``out`` among them.
    """
    shares = _shares(len(files), weights)
    if out.resolve() in {file.resolve() for file in files}:
        raise CheckpointError(f"{out}: is one of the files to average and would be overwritten; choose another --out")
    network, metadata = load_network(files[0])
    total = {name: value.double() * shares[0] for name, value in network.state_dict().items()}
    facts = [metadata]
    for file, share in zip(files[1:], shares[1:], strict=True):
        other, metadata = load_network(file)
        _check_same(network, other, files[0], file)
        for name, value in other.state_dict().items():
            total[name] += share * value.double()
        facts.append(metadata)
    own = network.state_dict()
    network.load_state_dict(
        {
            name: value.to(own[name].dtype) if own[name].is_floating_point() else own[name]
            for name, value in total.items()
        }
    )
    half = all(is_half(file) for file in files)
    save_checkpoint(out, network, _described(files, shares, facts), half=half)
    return shares


def _shares(count: int, weights: Sequence[float] | None) -> list[float]:
    """Return ``count`` shares of sum 1 in the ratio of ``weights``."""
    if count < 2:
        raise ConfigError(f"{count} file to average; give two or more")
    weights = [1.0] * count if weights is None else weights
    if len(weights) != count:
        raise ConfigError(f"{len(weights)} --weights for {count} files; give one for each, or none for equal shares")
    wrong = [weight for weight in weights if not (math.isfinite(weight) and weight > 0)]
    if wrong:
        raise ConfigError(f"--weights has {wrong[0]:g}; every share must be a number above 0")
    return [weight / sum(weights) for weight in weights]


def _check_same(network: FusingNetwork | Teacher, other: FusingNetwork | Teacher, path: Path, other_path: Path) -> None:
    """Raise :class:`CheckpointError` where the two are of different kinds, presets or scales."""
    difference = ""
    if type(network) is not type(other):
        difference = f"a {type(other).__name__.lower()}, no {type(network).__name__.lower()}"
    elif isinstance(network, Student | Fast):
        difference = ", ".join(differences(network.config, other.config))  # type: ignore[arg-type]
    if difference:
        raise CheckpointError(f"{other_path} does not mix with {path}: {difference}; average weights of one lineage")


def _described(files: Sequence[Path], shares: Sequence[float], facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the metadata of the mean."""
    first = facts[0]
    shared = {
        key: value
        for key, value in first.items()
        if key not in _NOT_SHARED and all(key in each and each[key] == value for each in facts)
    }
    hidden = shared.keys() | (_NOT_SHARED - {"revision"})
    parts = [
        {"file": file.name, "share": share} | {key: value for key, value in each.items() if key not in hidden}
        for file, share, each in zip(files, shares, facts, strict=True)
    ]
    return {**shared, "averaged": parts}
