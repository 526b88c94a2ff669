"""The mean of checkpoints: its numbers, what it says of itself, and what is refused."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
import torch
from safetensors.torch import load_file

from hkdnet_ros.cli import main
from hkdnet_ros.inference.checkpoint import load_student, load_teacher, read_metadata, save_checkpoint
from hkdnet_ros.network.presets import PRESETS
from hkdnet_ros.network.student import Student
from hkdnet_ros.network.teacher import Teacher

SMALL = dataclasses.replace(PRESETS["realtime"], scale=2, group_blocks=1)


@pytest.fixture
def checkpoint(tmp_path):
    """Write a network with random weights and return its file."""

    def write(name, network=None, *, seed=0, half=False, **facts):
        torch.manual_seed(seed)
        network = Student(SMALL) if network is None else network
        for value in network.parameters():
            torch.nn.init.normal_(value, std=0.02)
        save_checkpoint(tmp_path / f"{name}.safetensors", network, {"metrics": {"MI": seed}, **facts}, half=half)
        return tmp_path / f"{name}.safetensors"

    return write


def average(*words):
    return main(["average", *map(str, words)])


def failure(capsys, *words):
    """Return the one line that a failing call ends with."""
    assert average(*words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("weights", "shares"), [((), (0.5, 0.5)), ((".4", ".6"), (0.4, 0.6)), (("1", "3"), (0.25, 0.75))]
)
def test_each_weight_is_the_mean_by_the_shares(checkpoint, tmp_path, capsys, weights, shares):
    first, second, out = checkpoint("a", seed=1), checkpoint("b", seed=2), tmp_path / "c.safetensors"
    assert average(first, second, "--out", out, *(("--weights", *weights) if weights else ())) == 0
    mine, a, b = (load_student(path)[0].state_dict() for path in (out, first, second))
    for name, value in mine.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, shares[0] * a[name] + shares[1] * b[name], rtol=1e-6, atol=1e-8)
        else:
            assert torch.equal(value, a[name])
    assert f"wrote {out} = {shares[0]:.3g} {first} + {shares[1]:.3g} {second}" in capsys.readouterr().out


def test_batch_statistics_are_averaged_too(checkpoint, tmp_path):
    networks = [Student(SMALL), Student(SMALL)]
    for index, network in enumerate(networks):
        for name, value in network.named_buffers():
            if name.endswith("running_var"):
                value.fill_(1.0 + 2 * index)
    files = [checkpoint(str(index), network) for index, network in enumerate(networks)]
    assert average(*files, "--out", tmp_path / "c.safetensors") == 0
    variances = [v for name, v in load_student(tmp_path / "c.safetensors")[0].named_buffers() if "running_var" in name]
    assert variances
    assert all(bool((variance == 2.0).all()) for variance in variances)


def test_three_teachers_mix_in_equal_shares(checkpoint, tmp_path):
    files = [checkpoint(name, Teacher(), seed=seed) for seed, name in enumerate("abc")]
    assert average(*files, "--out", tmp_path / "mean.safetensors") == 0
    mean, *parts = (load_teacher(path)[0].state_dict() for path in (tmp_path / "mean.safetensors", *files))
    for name, value in mean.items():
        torch.testing.assert_close(value, sum(part[name] for part in parts) / 3)


def test_the_metadata_says_what_it_was_made_of_and_no_measures(checkpoint, tmp_path):
    first = checkpoint("a", seed=1, data="train", preset="realtime", steps=8000, revision="abc")
    second = checkpoint("b", seed=2, data="train", preset="realtime", steps=1500, revision="def", teacher="none")
    out = tmp_path / "c.safetensors"
    assert average(first, second, "--weights", ".2", ".8", "--out", out) == 0
    metadata = read_metadata(out)
    assert metadata["averaged"] == [
        {"file": "a.safetensors", "share": 0.2, "steps": 8000, "revision": "abc"},
        {"file": "b.safetensors", "share": 0.8, "steps": 1500, "revision": "def", "teacher": "none"},
    ]
    assert (metadata["data"], metadata["preset"], metadata["network"]) == ("train", "realtime", "student")
    assert metadata["config"] == read_metadata(first)["config"]
    assert metadata["revision"] not in ("abc", "def")
    assert metadata.keys() == {"averaged", "data", "preset", "network", "config", "revision"}


@pytest.mark.parametrize(("halves", "expected"), [((True, True), torch.float16), ((True, False), torch.float32)])
def test_fp16_stays_where_all_are(checkpoint, tmp_path, halves, expected):
    files = [checkpoint(str(index), seed=index, half=half) for index, half in enumerate(halves)]
    assert average(*files, "--out", tmp_path / "c.safetensors") == 0
    kinds = {value.dtype for value in load_file(tmp_path / "c.safetensors").values() if value.is_floating_point()}
    assert kinds == {expected}


def test_networks_that_differ_are_refused_in_one_line(checkpoint, tmp_path, capsys):
    student, teacher = checkpoint("student"), checkpoint("teacher", Teacher())
    larger = checkpoint("larger", Student(dataclasses.replace(SMALL, group_blocks=2)))
    other_scale = checkpoint("x3", Student(dataclasses.replace(SMALL, scale=3)))
    out = tmp_path / "c.safetensors"
    for files, words in (
        ((student, teacher), "a teacher, no student"),
        ((teacher, student), "a student, no teacher"),
        ((student, larger), "group_blocks 2 instead of 1"),
        ((student, other_scale), "scale 3 instead of 2"),
    ):
        assert f"{files[1]} does not mix with {files[0]}: {words}" in failure(capsys, *files, "--out", out)
    assert not out.exists()


def test_what_cannot_be_averaged_is_named_in_one_line(checkpoint, tmp_path, capsys):
    first, second, out = checkpoint("a"), checkpoint("b"), tmp_path / "c.safetensors"
    assert "1 file to average; give two or more" in failure(capsys, first, "--out", out)
    assert "3 --weights for 2 files" in failure(capsys, first, second, "--out", out, "--weights", "1", "1", "1")
    assert "gone.safetensors: no such weights file" in failure(
        capsys, first, tmp_path / "gone.safetensors", "--out", out
    )
    assert "would be overwritten" in failure(capsys, first, second, "--out", second)
    assert "cannot write" in failure(capsys, first, second, "--out", tmp_path / "no" / "c.safetensors")
    shutil.copy(first, out)
    out.write_bytes(out.read_bytes()[:500])
    assert "is not a readable safetensors file" in failure(capsys, first, out, "--out", tmp_path / "d.safetensors")


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_a_share_that_is_no_positive_number_is_refused(checkpoint, tmp_path, capsys, weight):
    files = checkpoint("a"), checkpoint("b")
    assert f"--weights has {weight};" in failure(capsys, *files, "--out", tmp_path / "c", "--weights", "1", weight)
