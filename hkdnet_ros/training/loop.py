"""The training loop: AdamW with warm-up and cosine decay, weight averaging, validation, checkpoints to resume from."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import HkdnetError, SourceError
from ..inference.memory import keep_large_buffers
from ..options import check_options, option


class TrainingError(HkdnetError):
    """Training cannot go on; the last good checkpoint is on disk."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """The budget and the schedule of one training."""

    steps: int = option(20000, "optimiser steps", low=1)
    batch: int = option(16, "crops per step", low=1)
    crop: int = option(96, "side of a low-resolution crop, or of a teacher's crop", unit="px", low=16)
    learning_rate: float = option(1e-3, "peak learning rate", low=1e-8, high=1.0)
    warmup: int = option(200, "steps of linear warm-up", low=0)
    average: float = option(0.999, "decay of the averaged weights, which are the ones saved", low=0.0, high=0.9999)
    validate_every: int = option(2000, "steps between validations and checkpoints", low=1)
    seed: int = option(0, "seed of weights and of every random draw", low=0)
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    precision: str = option("auto", "auto is bf16 where the device has it", choices=("auto", "fp32", "bf16"))

    def __post_init__(self) -> None:
        check_options(self)


StepLoss = Callable[[torch.Generator], dict[str, Tensor]]
"""Draws a batch from the generator and returns named, weighted losses; their sum is minimised."""

Validate = Callable[[nn.Module, int], dict[str, float]]
"""Measures a network at a step; the numbers go to the log."""


def learning_rate(step: int, config: LoopConfig) -> float:
    """Return the rate of ``step`` (from 0): linear warm-up, then half a cosine down to 1 % of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the CPU generator of one step: resuming at any step draws what an unbroken run would have drawn."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


class Averager:
    """Exponential moving average of a network's weights, and a plain copy of its other buffers."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards ``network``; early steps weigh more, so that the start is soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine, theirs = [], []
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                mine.append(self.state[name])
                theirs.append(value)
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(mine, theirs, 1 - decay)


@contextlib.contextmanager
def averaged(network: nn.Module, averager: Averager) -> Any:
    """Put the averaged weights into ``network``, in evaluation mode, for the length of the block."""
    own = {name: value.detach().clone() for name, value in network.state_dict().items()}
    network.load_state_dict(averager.state)
    network.eval()
    try:
        yield network
    finally:
        network.load_state_dict(own)
        network.train()


class Log:
    """Rows of numbers as CSV; a resumed training appends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, row: dict[str, float]) -> None:
        """Append one row; the first row's keys are the header."""
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), extrasaction="ignore")
            if fresh:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" for key, value in row.items()})


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a resumable state whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def prepare_folder(out: str | Path) -> Path:
    """Create the folder of a training; :class:`SourceError` where that cannot be done."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SourceError(f"cannot write to {folder}: {error.strerror}; choose another --out") from error
    return folder


def fit(
    *,
    network: nn.Module,
    trained: nn.Module,
    step_loss: StepLoss,
    validate: Validate,
    config: LoopConfig,
    out: Path,
    device: torch.device,
    autocast: bool,
    save: Callable[[nn.Module, int, dict[str, float]], None],
    progress: bool = True,
) -> None:
    """Train the parameters of ``trained`` (``network`` and what only training needs) for ``config.steps`` steps.

    Resumes from ``out/state.pt`` where one lies. At each validation the averaged ``network`` is measured, ``save``
    writes it, and the state is written; after a loss that is not finite, :class:`TrainingError`.
    """
    keep_large_buffers()
    optimizer = torch.optim.AdamW(
        trained.parameters(), lr=config.learning_rate, weight_decay=1e-4, fused=device.type == "cuda"
    )
    averager = Averager(network, config.average)
    state_path = out / "state.pt"
    start = 0
    if state_path.exists():
        try:
            state = torch.load(state_path, map_location=device, weights_only=True)
            trained.load_state_dict(state["trained"])
            optimizer.load_state_dict(state["optimizer"])
            averager.state = state["average"]
            start = int(state["step"])
        except Exception as error:  # torch raises its own, pickle's, the file system's, KeyError, ...
            raise TrainingError(
                f"{state_path} is damaged or of another network; choose another --out, or the settings of that run"
            ) from error
    log = Log(out / "log.csv")
    trained.train()
    began = time.monotonic()
    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, unit="step", disable=not progress)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            losses = step_loss(step_generator(config.seed, step))
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        done = step + 1
        is_measured = done % config.validate_every == 0 or done == config.steps
        if (step % 50 == 0 or is_measured) and not bool(torch.isfinite(norm)):
            raise TrainingError(
                f"the loss or its gradient is not finite at step {step}; the last good state is {state_path}, "
                "lower --learning-rate and start again from there"
            )
        optimizer.step()
        averager.update(network, step)
        if is_measured:
            with averaged(network, averager):
                measured = validate(network, done)
                save(network, done, measured)
            row = {"step": done, "seconds": time.monotonic() - began, "loss": float(total.detach())}
            row |= {name: float(value.detach()) for name, value in losses.items()} | measured
            log.write(row)
            bar.set_postfix({key: f"{value:.3f}" for key, value in measured.items()})
            save_state(
                state_path,
                {
                    "trained": trained.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": averager.state,
                    "step": done,
                },
            )
