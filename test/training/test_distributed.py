"""Two real processes on the CPU, as torchrun would start them."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import socket

import pytest
import torch
import torch.multiprocessing
from torch import nn

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.training.distributed import is_first, joined, mean_of_all, rank, share, wait
from hkdnet_ros.training.loop import LoopConfig, TrainingError, fit, prepare_folder, step_generator

CONFIG = LoopConfig(steps=12, warmup=3, validate_every=4, learning_rate=0.05, ema=0.9, device="cpu", seed=5)


def line(seed):
    torch.manual_seed(seed)
    return nn.Linear(3, 1)


def draw(generator):
    return (torch.rand(8, 3, generator=generator),)


class Lesson(nn.Module):
    """Asks a linear function for the sum of its inputs; the loss becomes NaN at the given step."""

    def __init__(self, network, *, poison_at=None):
        super().__init__()
        self.network = network
        self.steps = itertools.count()
        self.poison_at = poison_at

    def forward(self, *batches):
        factor = math.nan if next(self.steps) == self.poison_at else 1.0
        errors = [self.network(x) - x.sum(1, keepdim=True) for x in batches]
        return {"square": factor * sum(error.square().mean() for error in errors) / len(errors)}


def train(network, out, *, config=CONFIG, draw=draw, poison_at=None):
    fit(
        network=network, trained=Lesson(network, poison_at=poison_at), draw=draw, config=config, out=out,
        validate=lambda model: {"weight": float(model.weight.detach().sum())}, device=torch.device("cpu"),
        save=lambda model, step, measured: torch.save(model.state_dict(), out / "network.pt"), progress=False,
        autocast=False,
    )  # fmt: skip


def weights(network):
    return torch.cat([value.detach().flatten() for value in network.parameters()])


def process(number, port, folder):
    """Train in a folder of this process's own, beginning with weights of its own, in three ways."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    found = {}
    with joined("auto" if not torch.cuda.is_available() else "cpu") as device:
        found["device"], found["rank"] = device, rank()

        whole = line(seed=number)
        out = prepare_folder(folder / f"whole{number}")
        train(whole, out)
        found["whole"] = weights(whole)

        out = prepare_folder(folder / f"parts{number}")
        for config in (dataclasses.replace(CONFIG, steps=8), CONFIG):
            parts = line(seed=number + 7)
            train(parts, out, config=config)
        found["parts"] = weights(parts)

        out = prepare_folder(folder / f"poisoned{number}")
        try:
            train(line(seed=number), out, poison_at=6 if number == 1 else None)
        except TrainingError as error:
            found["error"] = str(error)
        torch.save(found, folder / f"found{number}.pt")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What both processes found, and the folder that they trained in."""
    folder = tmp_path_factory.mktemp("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(process, (port, folder), nprocs=2)
    return [torch.load(folder / f"found{number}.pt", weights_only=True) for number in (0, 1)], folder


def test_processes_agree_and_follow_the_mean_of_their_gradients(runs, tmp_path):
    (first, second), folder = runs
    assert [found["rank"] for found in (first, second)] == [0, 1]
    assert first["device"] == second["device"] == "cpu"
    assert torch.equal(first["whole"], second["whole"])

    alone = line(seed=0)
    steps = itertools.count()

    def draw_both(generator):
        step = next(steps)
        return tuple(draw(step_generator(CONFIG.seed, step, number))[0] for number in (0, 1))

    train(alone, tmp_path, draw=draw_both)
    torch.testing.assert_close(first["whole"], weights(alone), rtol=1e-5, atol=1e-6)
    logs = (tmp_path / "log.csv", folder / "whole0" / "log.csv")
    logged = [float(path.read_text().splitlines()[-1].split(",")[2]) for path in logs]
    assert logged[0] == pytest.approx(logged[1], rel=1e-4)


def test_only_the_first_process_writes(runs):
    _, folder = runs
    names = {path.name.split(".")[0] for path in (folder / "whole0").iterdir()}
    assert names == {"events", "log", "network", "state"}
    assert not list(folder.glob("whole1*"))


def test_a_resumed_run_needs_the_state_of_the_first_process_alone(runs):
    (first, second), folder = runs
    assert torch.equal(first["parts"], second["parts"])
    assert (folder / "parts0" / "state.pt").exists()
    assert not (folder / "parts1").exists()
    steps = [row.split(",")[0] for row in (folder / "parts0" / "log.csv").read_text().splitlines()[1:]]
    assert steps == ["4", "8", "12"]


def test_a_loss_that_is_not_finite_in_one_process_stops_both(runs):
    (first, second), folder = runs
    for found in (first, second):
        assert "not finite at step 7" in found["error"]
    state = torch.load(folder / "poisoned0" / "state.pt", weights_only=True)
    assert state["step"] == 4


def test_processes_draw_batches_of_their_own():
    generators = [step_generator(5, step, number) for step in range(50) for number in range(8)]
    assert len({torch.rand((), generator=generator, dtype=torch.float64).item() for generator in generators}) == 400
    alone = torch.Generator().manual_seed(5 * 1_000_003 + 3)
    assert torch.equal(torch.rand(4, generator=step_generator(5, 3)), torch.rand(4, generator=alone))


def test_a_process_that_is_alone_changes_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    values = torch.tensor([1.0, 2.0])
    state = {"step": 3}
    with joined("cpu") as device:
        assert device == "cpu"
        assert is_first()
        mean_of_all([values])
        wait()
        assert share(state, torch.device("cpu")) is state
    assert values.tolist() == [1.0, 2.0]


def test_a_group_that_cannot_be_joined_is_said_in_one_line(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"cannot be joined.*start all with torchrun") as caught, joined("cpu"):
        pass
    assert "\n" not in str(caught.value)
