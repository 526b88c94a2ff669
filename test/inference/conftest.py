"""Small students with random weights, in memory and as checkpoints on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hkdnet_ros.inference.checkpoint import save_checkpoint
from hkdnet_ros.network.fast import Fast
from hkdnet_ros.network.presets import FastConfig, StudentConfig
from hkdnet_ros.network.student import Student


def _config(scale: int) -> StudentConfig:
    return StudentConfig(
        scale=scale, stride=2, channels=16, head_channels=8, branch_blocks=1, dfa_units=1, line_keys=8, cea_channels=8,
        position_keys=16, decoder_channels=(16, 8), groups=1, group_blocks=1, upscaled_channels=4, tail_channels=4,
    )  # fmt: skip


def _student(scale: int) -> Student:
    """A student whose output is an image-like function of its inputs: gates open, statistics settled."""
    torch.manual_seed(scale)
    student = Student(_config(scale)).train()
    for name, parameter in student.named_parameters():
        if name.endswith("gate"):
            torch.nn.init.constant_(parameter, 0.3)
    for _ in range(3):
        student(torch.rand(4, 1, 32, 32), torch.rand(4, 1, 32, 32))
    with torch.no_grad():
        student.output.bias.fill_(0.5)
    return student.eval()


@pytest.fixture
def small_student() -> Callable[[int], Student]:
    """Make a small student of a scale."""
    return _student


@pytest.fixture
def small_fast() -> Fast:
    """Return a small fast student of scale 3 with random weights."""
    torch.manual_seed(0)
    fast = Fast(FastConfig(scale=3, channels=8, blocks=1)).eval()
    torch.nn.init.normal_(fast.output.weight, std=0.01)
    return fast


@pytest.fixture
def fast_file(small_fast: Fast, tmp_path: Path) -> Path:
    """Write it and return its checkpoint's path."""
    path = tmp_path / "fast.safetensors"
    save_checkpoint(path, small_fast, {"preset": "small"})
    return path


@pytest.fixture
def student_file(tmp_path: Path) -> Callable[[int], Path]:
    """Write the small student of a scale and return its checkpoint's path."""

    def write(scale: int) -> Path:
        path = tmp_path / f"small_x{scale}.safetensors"
        save_checkpoint(path, _student(scale), {"preset": "small", "metrics": {"VIFp": 0.5}})
        return path

    return write
