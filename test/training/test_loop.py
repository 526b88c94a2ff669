from __future__ import annotations

import csv
import dataclasses
import itertools
import math
import signal

import pytest
import torch
from torch import nn

from hkdnet_ros.errors import ConfigError, SourceError
from hkdnet_ros.training.loop import Averager, LoopConfig, TrainingError, averaged, fit, learning_rate, prepare_folder

CONFIG = LoopConfig(steps=12, warmup=3, validate_every=4, learning_rate=0.05, ema=0.9, device="cpu", seed=5)


def line() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


class SumLesson(nn.Module):
    """Asks a linear function for the sum of its inputs; at the given step the loss is NaN, or a signal comes."""

    def __init__(self, network, *, poison_at=None, interrupt_at=None, signal_at=(None, None), twice=False):
        super().__init__()
        self.network = network
        self.steps = itertools.count()
        self.poison_at = poison_at
        self.interrupt_at = interrupt_at
        self.signal_at, self.number = signal_at
        self.twice = twice

    def forward(self, x):
        step = next(self.steps)
        if step == self.interrupt_at:
            raise KeyboardInterrupt
        if step == self.signal_at:
            for _ in range(1 + self.twice):
                signal.raise_signal(self.number)
        error = self.network(x) - x.sum(1, keepdim=True)
        factor = math.nan if step == self.poison_at else 1.0
        return {"square": factor * error.square().mean(), "absolute": 0.1 * error.abs().mean()}


def draw(generator):
    return (torch.rand(8, 3, generator=generator),)


def train(network, out, config=CONFIG, *, saved=None, **faults):
    """Fit a linear function, with the faults of :class:`SumLesson`."""
    fit(
        network=network, trained=SumLesson(network, **faults), draw=draw, config=config, out=out, autocast=False,
        validate=lambda model: {"weight": float(next(model.parameters()).sum())},
        device=torch.device("cpu"), save=lambda model, step, measured: None if saved is None else saved.append(step),
        progress=False,
    )  # fmt: skip


def test_rate_warms_up_then_falls_to_a_hundredth():
    config = dataclasses.replace(CONFIG, steps=1003, warmup=3, learning_rate=1.0)
    assert [learning_rate(step, config) for step in range(3)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert learning_rate(3 + 500, config) == pytest.approx(0.505)
    assert learning_rate(1002, config) == pytest.approx(0.01, abs=1e-4)
    rates = [learning_rate(step, config) for step in range(3, 1003)]
    assert rates == sorted(rates, reverse=True)


def test_training_lowers_the_loss_and_logs_it(tmp_path):
    saved: list[int] = []
    train(line(), tmp_path, dataclasses.replace(CONFIG, steps=200, validate_every=50), saved=saved)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert saved == [50, 100, 150, 200]
    assert [int(row["step"]) for row in rows] == saved
    assert float(rows[-1]["loss"]) < 0.2 * float(rows[0]["loss"]) + 0.05
    assert set(rows[0]) == {"step", "seconds", "loss", "square", "absolute", "weight"}


def test_a_resumed_training_ends_as_an_unbroken_one(tmp_path):
    whole, first, second = line(), line(), line()
    train(whole, prepare_folder(tmp_path / "whole"))
    out = prepare_folder(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        train(first, out, interrupt_at=9)
    train(second, out)
    for one, other in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    rows = list(csv.DictReader((out / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [4, 8, 12]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_training_after_its_step_and_it_goes_on_from_there(tmp_path, number, capsys):
    whole, first, second = line(), line(), line()
    train(whole, prepare_folder(tmp_path / "whole"))
    out = prepare_folder(tmp_path / "parts")
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(first, out, signal_at=(6, number))
    assert signal.getsignal(number) is before
    assert "stopped after step 7" in capsys.readouterr().err
    assert torch.load(out / "state.pt", weights_only=True)["step"] == 7
    train(second, out)
    assert torch.equal(whole.weight, second.weight)


def test_a_second_signal_does_not_wait_for_the_step(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(line(), tmp_path, signal_at=(6, signal.SIGINT), twice=True)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 4


def test_a_signal_after_the_weights_broke_does_not_save_them(tmp_path):
    with pytest.raises(TrainingError, match="not finite at step 6"):
        train(line(), tmp_path, poison_at=5, signal_at=(6, signal.SIGINT))
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 4


def test_a_finished_training_is_not_taken_for_another(tmp_path):
    train(line(), tmp_path)
    with pytest.raises(TrainingError, match=r"state\.pt has had its 12 steps; choose another --out"):
        train(line(), tmp_path)


@pytest.mark.parametrize("name", ["state.pt.partial", "log.csv"])
def test_a_file_that_cannot_be_written_is_named_in_one_line(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(TrainingError, match=rf"{name.partition('.')[0]}.*no state was saved before") as caught:
        train(line(), tmp_path)
    assert "\n" not in str(caught.value)


def test_worker_processes_draw_what_the_training_itself_would(tmp_path):
    alone, helped = line(), line()
    train(alone, prepare_folder(tmp_path / "alone"), dataclasses.replace(CONFIG, workers=0))
    train(helped, prepare_folder(tmp_path / "helped"), dataclasses.replace(CONFIG, workers=2))
    assert torch.equal(alone.weight, helped.weight)
    assert not torch.equal(alone.weight, line().weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_step_replayed_as_a_cuda_graph_trains_as_its_single_launches_do(tmp_path):
    weights = []
    for cuda_graph in ("on", "off"):
        network = line().cuda()
        config = dataclasses.replace(CONFIG, device="cuda", workers=0, cuda_graph=cuda_graph)
        fit(
            network=network, trained=SumLesson(network), draw=draw, config=config, autocast=False, progress=False,
            out=prepare_folder(tmp_path / cuda_graph), device=torch.device("cuda"),
            validate=lambda model: {}, save=lambda model, step, measured: None,
        )  # fmt: skip
        weights.append(network.weight.detach())
    torch.testing.assert_close(*weights)
    assert not torch.allclose(weights[0].cpu(), line().weight)


def test_a_loss_that_is_not_finite_stops_before_it_is_saved(tmp_path):
    saved: list[int] = []
    with pytest.raises(TrainingError, match=r"not finite at step 7.*state\.pt"):
        train(line(), tmp_path, poison_at=7, saved=saved)
    assert saved == [4]
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 4
    assert all(bool(value.isfinite().all()) for value in state["trained"].values())


def test_weights_that_are_not_finite_are_not_saved_at_the_end_either(tmp_path):
    saved: list[int] = []
    with pytest.raises(TrainingError, match="not finite at step 9"):
        train(line(), tmp_path, dataclasses.replace(CONFIG, steps=10, validate_every=100), poison_at=7, saved=saved)
    assert saved == []


def test_averages_that_are_not_finite_are_not_saved_though_the_loss_is(tmp_path):
    """As after one bad update of weights that later losses do not see."""
    network = line()
    network.register_buffer("statistic", torch.zeros(1))
    saved: list[int] = []

    class Lesson(SumLesson):
        def forward(self, x):
            self.network.statistic.fill_(math.inf)
            return super().forward(x)

    with pytest.raises(TrainingError, match="not finite at step 3; no state was saved before") as caught:
        fit(
            network=network, trained=Lesson(network), draw=draw, config=CONFIG, out=tmp_path, autocast=False,
            validate=lambda model: {}, device=torch.device("cpu"), progress=False,
            save=lambda model, step, measured: saved.append(step),
        )  # fmt: skip
    assert "\n" not in str(caught.value)
    assert saved == []
    assert not (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("fault", ["truncated", "empty", "another network"])
def test_a_state_that_cannot_be_resumed_is_said_in_one_line(tmp_path, fault):
    train(line(), tmp_path)
    state = tmp_path / "state.pt"
    if fault != "another network":
        state.write_bytes(state.read_bytes()[: 200 if fault == "truncated" else 0])
    with pytest.raises(TrainingError, match="damaged or of another network; choose another --out") as caught:
        train(nn.Linear(3, 2) if fault == "another network" else line(), tmp_path)
    assert "\n" not in str(caught.value)


def test_averaged_weights_follow_and_are_put_back():
    network = line()
    averager = Averager(network, decay=0.5)
    start = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    averager.update(step=1000)
    with averaged(network, averager) as average:
        torch.testing.assert_close(average.weight, start + 0.5)
        assert not average.training
    torch.testing.assert_close(network.weight, start + 1.0)
    assert network.training


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="choose another --out"):
        prepare_folder(tmp_path / "file" / "run")


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="steps is 0"):
        LoopConfig(steps=0)
