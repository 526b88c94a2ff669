"""Trainings that begin with given weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from hkdnet_ros.cli import main
from hkdnet_ros.errors import CheckpointError, ConfigError
from hkdnet_ros.inference.checkpoint import load_student, load_teacher, save_checkpoint
from hkdnet_ros.network.fast import Fast
from hkdnet_ros.network.presets import PRESETS, FastConfig
from hkdnet_ros.network.student import Student
from hkdnet_ros.network.teacher import Teacher
from hkdnet_ros.training.distill import DistillationWeights, begin_with, distill_student
from hkdnet_ros.training.loop import LoopConfig
from hkdnet_ros.training.train import FusionWeights, train_teacher

SMALL = dataclasses.replace(PRESETS["realtime"], scale=2, group_blocks=1)
ALONE = DistillationWeights(distill_u=0, distill_t=0, distill_output=0)
STILL = LoopConfig(steps=1, batch=1, crop=48, warmup=0, learning_rate=1e-8, device="cpu", precision="fp32")


def checkpoint(network, path):
    """Save ``network``, its zeros made random so that every tensor tells where it comes from."""
    torch.manual_seed(3)
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.02)
    save_checkpoint(path, network, {})
    return path


def assert_same_weights(network, other):
    found = dict(other.named_parameters())
    for name, value in network.named_parameters():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-7, msg=name)


def test_a_teacher_goes_on_from_given_weights(pair_folder, tmp_path):
    start = checkpoint(Teacher(), tmp_path / "start.safetensors")
    train_teacher(pair_folder, pair_folder, tmp_path / "run", STILL, FusionWeights(), start=start, progress=False)
    assert_same_weights(load_teacher(start)[0], load_teacher(tmp_path / "run" / "teacher.safetensors")[0])


def test_a_student_goes_on_from_given_weights(pair_folder, tmp_path):
    teacher = checkpoint(Teacher(), tmp_path / "teacher.safetensors")
    start = checkpoint(Student(SMALL), tmp_path / "start.safetensors")
    distill_student(
        pair_folder, pair_folder, teacher, tmp_path / "run", SMALL, STILL, FusionWeights(), DistillationWeights(),
        start=start, progress=False,
    )  # fmt: skip
    assert_same_weights(load_student(start)[0], load_student(tmp_path / "run" / "student.safetensors")[0])


def distil(pair_folder, out, teacher, distillation, config=STILL):
    torch.set_num_threads(1)
    distill_student(
        pair_folder, pair_folder, teacher, out, SMALL, config, FusionWeights(), distillation, progress=False
    )  # fmt: skip
    return load_student(out / "student.safetensors")


def test_without_distillation_no_teacher_is_needed_nor_run(pair_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Teacher, "forward", None)
    alone, metadata = distil(pair_folder, tmp_path / "alone", None, ALONE)
    assert metadata["teacher"] == "none"
    beside, metadata = distil(pair_folder, tmp_path / "beside", tmp_path / "not read.safetensors", ALONE)
    assert metadata["teacher"] == "none"
    assert_same_weights(alone, beside)


def test_distillation_without_a_teacher_is_refused_in_one_line(pair_folder, tmp_path, capsys):
    folders = ["--data", str(pair_folder), "--val", str(pair_folder), "--out", str(tmp_path / "run")]
    assert main(["distill", *folders, "--device", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs --teacher WEIGHTS; or train without one: --distill-u 0 --distill-t 0 --distill-output 0" in line


def test_a_fast_student_is_trained_without_the_features_that_it_lacks(pair_folder, tmp_path):
    teacher = checkpoint(Teacher(), tmp_path / "teacher.safetensors")
    config = FastConfig(channels=8, blocks=1)

    def train(out, distillation):
        distill_student(
            pair_folder, pair_folder, teacher, out, config, STILL, FusionWeights(), distillation, progress=False
        )  # fmt: skip

    train(tmp_path / "run", dataclasses.replace(ALONE, distill_output=2.0))
    assert load_student(tmp_path / "run" / "student.safetensors")[0].config == config
    with pytest.raises(ConfigError, match="no features U and T; set --distill-u 0 --distill-t 0"):
        train(tmp_path / "other", DistillationWeights())


def test_a_student_of_another_kind_is_refused(tmp_path):
    start = checkpoint(Fast(FastConfig(channels=8, blocks=1)), tmp_path / "start.safetensors")
    with pytest.raises(CheckpointError, match="is a fast, no student"):
        begin_with(Student(SMALL), start)


def test_training_towards_nothing_is_refused(pair_folder, tmp_path):
    nothing = FusionWeights(**{field.name: 0.0 for field in dataclasses.fields(FusionWeights)})
    with pytest.raises(ConfigError, match="nothing would be learnt"):
        train_teacher(pair_folder, pair_folder, tmp_path / "teacher", STILL, nothing, progress=False)
    with pytest.raises(ConfigError, match="nothing would be learnt"):
        distill_student(pair_folder, pair_folder, None, tmp_path / "student", SMALL, STILL, nothing, ALONE)


def test_a_run_begun_with_a_teacher_goes_on_without_one(pair_folder, tmp_path):
    """The state holds the adapters and what the optimiser knows of them, which then rest."""
    teacher = checkpoint(Teacher(), tmp_path / "teacher.safetensors")
    _, metadata = distil(pair_folder, tmp_path / "run", teacher, DistillationWeights())
    assert (metadata["teacher"], metadata["steps"]) == ("teacher.safetensors", 1)
    before = torch.load(tmp_path / "run" / "state.pt", weights_only=True)["trained"]
    _, metadata = distil(pair_folder, tmp_path / "run", None, ALONE, dataclasses.replace(STILL, steps=2))
    assert (metadata["teacher"], metadata["steps"]) == ("none", 2)
    after = torch.load(tmp_path / "run" / "state.pt", weights_only=True)["trained"]
    assert before.keys() == after.keys()
    assert torch.equal(before["adapt_u.weight"], after["adapt_u.weight"])


def test_a_student_of_another_preset_is_refused_in_one_line(tmp_path):
    start = checkpoint(Student(SMALL), tmp_path / "start.safetensors")
    with pytest.raises(CheckpointError, match=r"another preset, with branch_blocks 1 instead of 2; --start") as caught:
        begin_with(Student(dataclasses.replace(SMALL, branch_blocks=2)), start)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [3, 4])
def test_from_a_student_of_another_scale_all_but_the_enlarging_layer_is_taken(tmp_path, scale):
    path = checkpoint(Student(SMALL), tmp_path / "start.safetensors")
    student = Student(dataclasses.replace(SMALL, scale=scale))
    own = {name: value.clone() for name, value in student.state_dict().items()}
    begin_with(student, path)
    given = load_student(path)[0].state_dict()
    for name, value in student.state_dict().items():
        expected = own if name.startswith("super_resolution.expand.") else given
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(("given", "wanted"), [(1, 3), (3, 1)])
def test_from_a_student_of_another_depth_the_common_blocks_are_taken(tmp_path, given, wanted):
    path = checkpoint(Student(dataclasses.replace(SMALL, group_blocks=given)), tmp_path / "start.safetensors")
    student = Student(dataclasses.replace(SMALL, group_blocks=wanted))
    own = {name: value.clone() for name, value in student.state_dict().items()}
    begin_with(student, path)
    taken = load_student(path)[0].state_dict()
    for name, value in student.state_dict().items():
        assert torch.equal(value, taken.get(name, own[name])), name


def test_weights_of_the_other_network_are_refused(tmp_path):
    path = checkpoint(Student(SMALL), tmp_path / "start.safetensors")
    with pytest.raises(CheckpointError, match="holds student, expected a teacher"):
        load_teacher(path)


def test_crops_too_small_for_the_losses_are_refused(pair_folder, tmp_path):
    with pytest.raises(ConfigError, match=r"crops are 32 px at full size, the losses need 41; choose a larger --crop"):
        train_teacher(
            pair_folder, pair_folder, tmp_path / "run", dataclasses.replace(STILL, crop=32), FusionWeights(),
            progress=False,
        )  # fmt: skip
