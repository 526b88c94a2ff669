"""The training loop: AdamW with warm-up and cosine decay, weight averaging, validation, checkpoints to resume from."""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..errors import HkdnetError, SourceError
from ..files import written_whole
from ..inference.memory import keep_large_buffers
from ..options import check_options, option
from ..signals import handling
from .distributed import is_first, is_joined, mean_of_all, rank, share, wait
from .log import Log

LOG_EVERY = 50
"""Steps between looks at the losses: reading them makes a GPU wait."""


class TrainingError(HkdnetError):
    """Training cannot go on; the last good checkpoint is on disk."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """The budget and the schedule of one training."""

    steps: int = option(20000, "The training takes this many optimiser steps.", low=1)
    batch: int = option(16, "Each step, and under torchrun each process, takes this many crops.", low=1)
    crop: int = option(96, "Low-resolution crops, or a teacher's crops, have sides of this.", unit="px", low=16)
    learning_rate: float = option(1e-3, "The learning rate rises to this and falls from there.", low=1e-8, high=1.0)
    warmup: int = option(200, "The learning rate rises linearly over this many steps.", low=0)
    ema: float = option(
        0.999, "The saved weights are an average that decays by this factor in each step.", low=0.0, high=0.9999
    )
    validate_every: int = option(2000, "Validations and checkpoints are this many steps apart.", low=1)
    seed: int = option(0, "Random weights and every random draw follow from this number.", low=0)
    device: str = option("auto", "The training runs on auto, cpu, cuda or cuda:N.")
    precision: str = option(
        "auto",
        "The training computes in this format; auto is bf16 where the device has it, else fp32.",
        choices=("auto", "fp32", "bf16"),
    )
    workers: int = option(
        -1, "This many processes draw crops ahead; -1 means 4 beside a GPU and none on a CPU.", low=-1
    )
    cuda_graph: str = option(
        "on", "With on, each step on CUDA is replayed as one launch, for speed.", choices=("on", "off")
    )

    def __post_init__(self) -> None:
        check_options(self)


Draw = Callable[[torch.Generator], tuple[Tensor, ...]]
"""Returns the batch of one step, on the CPU, as the generator says."""

Validate = Callable[[nn.Module], dict[str, float]]
"""Measures a network; the numbers go to the log."""


def learning_rate(step: int, config: LoopConfig) -> float:
    """Return the rate of ``step`` (from 0): linear warm-up, then half a cosine down to 1 % of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def step_generator(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """Return the CPU generator of one step and process: resuming draws what an unbroken run would have drawn."""
    # The generator uses 32 bits; multiples of the golden ratio of 2**32 lie far apart in them.
    return torch.Generator().manual_seed(seed * 1_000_003 + step + rank * 0x9E3779B1)


class StepSet(Dataset[tuple[Tensor, ...]]):
    """The batches of a training by step, so that worker processes draw what this one would."""

    def __init__(self, draw: Draw, seed: int) -> None:
        self._draw = draw
        self._seed = seed
        self._rank = rank()

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        return self._draw(step_generator(self._seed, step, self._rank))


def batches(draw: Draw, config: LoopConfig, start: int, device: torch.device) -> Iterable[tuple[Tensor, ...]]:
    """Yield the batches from step ``start`` on, on ``device``, drawn ahead by ``config.workers`` processes."""
    workers = config.workers if config.workers >= 0 else 4 * (device.type == "cuda")
    loader = DataLoader(
        StepSet(draw, config.seed), batch_size=None, sampler=range(start, config.steps), num_workers=workers,
        pin_memory=device.type == "cuda", prefetch_factor=4 if workers else None,
    )  # fmt: skip
    for batch in loader:
        yield tuple(tensor.to(device, non_blocking=True) for tensor in batch)


class Averager:
    """Exponential moving average of a network's weights, and a plain copy of its other buffers."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        own = network.state_dict()  # shares memory with the network
        self.state = {name: value.detach().clone() for name, value in own.items()}
        pairs = [(self.state[name], value.detach()) for name, value in own.items()]
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the network; early steps weigh more, so that the start is soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_([mine for mine, _ in self._floats], [theirs for _, theirs in self._floats], 1 - decay)
        for mine, theirs in self._others:
            mine.copy_(theirs)

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from the ``state`` of another."""
        for name, value in self.state.items():
            value.copy_(state[name])


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


def last_good(state_path: Path) -> str:
    """Say what a training that stops leaves behind."""
    return f"the last good state is {state_path}" if state_path.exists() else "no state was saved before"


def check_finite(tensors: Iterable[Tensor], step: int, state_path: Path) -> None:
    """Raise :class:`TrainingError` where a tensor holds NaN or infinity; reads once from the device."""
    if not bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all()):
        raise TrainingError(
            f"the loss or its gradient is not finite at step {step}; {last_good(state_path)}; "
            "lower --learning-rate and run again"
        )


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a resumable state whole or not at all; raises :class:`OSError`."""
    try:
        with written_whole(path) as partial:
            torch.save(state, partial)
    except (OSError, RuntimeError) as error:  # torch's own, for a disk that is full
        raise OSError(f"{path} could not be saved ({error})") from error


@contextlib.contextmanager
def held_back() -> Iterator[list[int]]:
    """Collect the first SIGINT or SIGTERM of the block in the list that is yielded; a second one acts as it did before.

    Outside the main thread, and where one of several processes would leave the others waiting, all act as ever.
    """
    caught: list[int] = []
    if is_joined() or threading.current_thread() is not threading.main_thread():
        yield caught
        return
    with contextlib.ExitStack() as stack:

        def catch(number: int, _: object) -> None:
            caught.append(number)
            stack.close()

        stack.enter_context(handling((signal.SIGINT, signal.SIGTERM), catch))
        yield caught


def prepare_folder(out: str | Path) -> Path:
    """Create the folder of a training; :class:`SourceError` where that cannot be done.

    Under torchrun only the first process writes, so only that one needs the folder.
    """
    folder = Path(out)
    if not is_first():
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SourceError(f"cannot write to {folder}: {error.strerror}; choose another --out") from error
    return folder


@contextlib.contextmanager
def _writing(state_path: Path) -> Iterator[None]:
    """Turn an :class:`OSError` of the block, such as of a full disk, into a :class:`TrainingError` of one line."""
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{error}; {last_good(state_path)}; mend that and give the command again") from error


def record_step(trained: nn.Module, sample: tuple[Tensor, ...]) -> None:
    """Make ``trained``, in training mode, replay its forward and backward as CUDA graphs; inputs as ``sample`` is.

    A step of a small network is thousands of kernels of some microseconds each: launched one by one they leave most of
    a large GPU idle.
    """
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        torch.cuda.make_graphed_callables(trained, sample, allow_unused_input=True)
    trained.load_state_dict(before)  # its warm-up moved the batch statistics


def fit(
    *,
    network: nn.Module,
    trained: nn.Module,
    draw: Draw,
    validate: Validate,
    config: LoopConfig,
    out: Path,
    device: torch.device,
    autocast: bool,
    save: Callable[[nn.Module, int, dict[str, float]], None],
    progress: bool = True,
) -> None:
    """Train the parameters of ``trained`` (``network`` and what only training needs) for ``config.steps`` steps.

    ``trained`` is called with what ``draw`` gave and returns named, weighted losses, scalars, whose sum is minimised.

    Resumes from ``out/state.pt`` where one lies. At each validation the averaged ``network`` is measured, ``save``
    writes it, and the state is written. Ctrl-C or SIGTERM ends it after the step, writes the state and raises
    :class:`KeyboardInterrupt`. Raises :class:`TrainingError` for a loss that is not finite, a state that cannot be
    read or is of a finished training, and files that cannot be written.

    Processes of one group (:func:`~hkdnet_ros.training.distributed.joined`) train one network: all begin as the first
    one does and take the same steps, along the mean of their gradients. The first alone reads and writes in ``out``,
    validates and shows ``progress``. Buffers, such as batch statistics, are each process's own; the first's are saved.
    """
    keep_large_buffers()
    optimizer = torch.optim.AdamW(
        trained.parameters(), lr=config.learning_rate, weight_decay=1e-4, fused=device.type == "cuda"
    )
    averager = Averager(network, config.ema)
    state_path = out / "state.pt"

    def state(step: int) -> dict[str, Any]:
        return {
            "trained": trained.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": averager.state,
            "step": step,
        }

    def restore(state: dict[str, Any]) -> int:
        trained.load_state_dict(state["trained"])
        optimizer.load_state_dict(state["optimizer"])
        averager.load(state["average"])
        return int(state["step"])

    amp = functools.partial(torch.autocast, device.type, torch.bfloat16, enabled=autocast)
    trained.train()
    if device.type == "cuda" and config.cuda_graph == "on":
        amp = functools.partial(amp, cache_enabled=False)  # casts must be part of the graph
        sample = draw(step_generator(config.seed, 0, rank()))
        with amp():
            record_step(trained, tuple(tensor.to(device) for tensor in sample))
    start = 0
    if is_first() and state_path.exists():
        try:
            start = restore(torch.load(state_path, map_location=device, weights_only=True))
        except Exception as error:  # torch raises its own, pickle's, the file system's, KeyError, ...
            raise TrainingError(
                f"{state_path} is damaged or of another network; choose another --out, or the settings of that run"
            ) from error
    shared = share(state(start), device)
    if not is_first():
        start = restore(shared)
    if start >= config.steps:
        raise TrainingError(
            f"{state_path} has had its {start} steps; choose another --out for another training, or more --steps"
        )
    with contextlib.ExitStack() as stack:
        caught = stack.enter_context(held_back())
        stack.enter_context(_writing(state_path))
        log = stack.enter_context(Log(out, start)) if is_first() else None
        hidden = log is None or not progress
        drawn = enumerate(batches(draw, config, start, device), start)
        steps = tqdm(drawn, initial=start, total=config.steps, unit="step", disable=hidden)
        bar = stack.enter_context(steps)  # ends the bar's line before an error is printed
        for step, batch in bar:
            done = step + 1
            is_measured = done % config.validate_every == 0 or done == config.steps
            is_logged = is_measured or done % LOG_EVERY == 0 or step == start
            rate = learning_rate(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with amp():
                losses = trained(*batch)
            values = torch.stack([loss.float() for loss in losses.values()])
            optimizer.zero_grad(set_to_none=True)
            values.sum().backward()
            values = values.detach()
            mean_of_all([values, *(weight.grad for weight in trained.parameters() if weight.grad is not None)])
            norm = nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
            if is_logged:
                check_finite([values, norm], step, state_path)
            optimizer.step()
            averager.update(step)
            if is_measured:  # what a step between two looks broke
                check_finite([*trained.state_dict().values(), *averager.state.values()], step, state_path)
            if log is not None and is_logged:
                named = dict(zip(losses, values.tolist(), strict=True))
                log.write_losses(done, rate, named)
                if is_measured:
                    with averaged(network, averager):
                        measured = validate(network)
                        save(network, done, measured)
                    log.write_measures(done, named, measured)
                    bar.set_postfix({key: f"{value:.3f}" for key, value in measured.items()})
                    save_state(state_path, state(done))
            if is_measured:
                wait()
            if caught and done < config.steps:
                check_finite([*trained.state_dict().values(), *averager.state.values()], step, state_path)
                save_state(state_path, state(done))
                bar.write(f"stopped after step {done}; the same command goes on from there", file=sys.stderr)
                raise KeyboardInterrupt
