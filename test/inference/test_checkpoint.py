from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from hkdnet_ros.errors import CheckpointError
from hkdnet_ros.inference.checkpoint import (
    WEIGHTS,
    is_half,
    load_guided,
    load_student,
    load_teacher,
    read_metadata,
    save_checkpoint,
    weights_path,
)
from hkdnet_ros.network.guided import GUIDED_PRESETS, Guided
from hkdnet_ros.network.presets import preset
from hkdnet_ros.network.teacher import Teacher


def outputs(network):
    torch.manual_seed(7)
    with torch.inference_mode():
        return network(torch.rand(1, 1, 20, 22), torch.rand(1, 1, 20, 22)).fused


def rewrite(path, change_tensors=lambda tensors: None, change_metadata=lambda metadata: None):
    """Change a checkpoint in place, by hand, as a damaged or foreign one would be."""
    tensors, metadata = load_file(path), read_metadata(path)
    change_tensors(tensors)
    change_metadata(metadata)
    save_file(tensors, str(path), {key: json.dumps(value) for key, value in metadata.items()})


@pytest.mark.parametrize("scale", [2, 3])
def test_a_student_comes_back_as_it_was_saved(student_file, small_student, scale):
    loaded, metadata = load_student(student_file(scale), scale=scale)
    assert loaded.config == small_student(scale).config
    assert torch.equal(outputs(loaded), outputs(small_student(scale)))
    assert metadata["preset"] == "small"
    assert metadata["metrics"] == {"VIFp": 0.5}
    assert metadata["revision"]


def test_a_fast_student_comes_back_as_it_was_saved(small_fast, fast_file):
    loaded, metadata = load_student(fast_file, scale=3)
    assert (loaded.config, metadata["network"]) == (small_fast.config, "fast")
    assert torch.equal(outputs(loaded), outputs(small_fast))
    with pytest.raises(CheckpointError, match=r"student for x3, not x2"):
        load_student(fast_file, scale=2)


def test_a_teacher_comes_back_as_it_was_saved(tmp_path):
    torch.manual_seed(0)
    teacher = Teacher().eval()
    save_checkpoint(tmp_path / "teacher.safetensors", teacher, {})
    assert torch.equal(outputs(load_teacher(tmp_path / "teacher.safetensors")[0]), outputs(teacher))


def test_half_precision_storage_loads_as_float32_close_to_the_original(tmp_path, small_student):
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, small_student(2), {}, half=True)
    loaded, _ = load_student(path)
    assert {value.dtype for value in load_file(path).values() if value.is_floating_point()} == {torch.float16}
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(outputs(loaded), outputs(small_student(2)), atol=2e-2, rtol=0)


def test_another_scale_is_named(student_file):
    with pytest.raises(CheckpointError, match=r"student for x3, not x2; set scale to 3"):
        load_student(student_file(3), scale=2)


def test_a_student_is_no_teacher(student_file):
    with pytest.raises(CheckpointError, match="holds student, expected a teacher"):
        load_teacher(student_file(2))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors: no such weights file"):
        load_student(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 200, -100])
def test_a_truncated_file_is_named(student_file, keep):
    path = student_file(2)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="is not a readable safetensors file"):
        load_student(path)


def test_what_does_not_fit_is_counted_and_named(student_file):
    path = student_file(2)

    def change(tensors):
        del tensors["output.bias"]
        tensors["surplus"] = torch.zeros(1)
        tensors["tail.bias"] = torch.zeros(9)

    rewrite(path, change)
    with pytest.raises(CheckpointError) as caught:
        load_student(path)
    message = str(caught.value)
    assert "1 tensors missing (output.bias)" in message
    assert "1 tensors unknown (surplus)" in message
    assert "tail.bias is (9,), expected (4,)" in message
    assert "\n" not in message


def test_weights_that_are_not_finite_are_refused(student_file):
    path = student_file(2)
    rewrite(path, lambda tensors: tensors["output.bias"].fill_(torch.nan))
    with pytest.raises(CheckpointError, match=r"not finite, in output\.bias"):
        load_student(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda metadata: metadata.pop("config"),
        lambda metadata: metadata["config"].update(depth=3),
        lambda metadata: metadata["config"].update(scale=7),
        lambda metadata: metadata.update(config=[1, 2]),
    ],
)
def test_an_unusable_configuration_is_refused(student_file, damage):
    path = student_file(2)
    rewrite(path, change_metadata=damage)
    with pytest.raises(CheckpointError, match="configuration in the metadata is unusable"):
        load_student(path)


def test_a_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, str(path))
    with pytest.raises(CheckpointError, match="holds no network of this package"):
        load_student(path)


def test_weights_can_be_read_by_whom_other_files_can(tmp_path):
    save_checkpoint(tmp_path / "teacher.safetensors", Teacher(), {})
    (tmp_path / "other").touch()
    assert (tmp_path / "teacher.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"teacher.safetensors", "other"}


@pytest.mark.parametrize("place", ["no/such/folder.safetensors", "file/inside.safetensors", "."])
def test_an_unwritable_place_is_named(tmp_path, monkeypatch, small_student, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot write"):
        save_checkpoint(place, small_student(2), {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_model_is_a_shipped_preset_or_a_file(tmp_path):
    assert weights_path("realtime", 2).name == "realtime_x2.safetensors"
    own = tmp_path / "own.safetensors"
    own.touch()
    assert weights_path(str(own), 2) == own
    with pytest.raises(CheckpointError, match="neither a preset"):
        weights_path("nonsense", 2)


def test_a_preset_without_shipped_weights_says_what_is_shipped():
    with pytest.raises(CheckpointError, match=r"paper at x4; shipped are: .*realtime_x2"):
        weights_path("paper", 4)


@pytest.mark.parametrize(
    ("name", "scale"), [("realtime", 2), ("realtime", 3), ("realtime", 4), ("fast", 2), ("paper", 2)]
)
def test_shipped_weights_load_and_name_their_training(name, scale):
    path = weights_path(name, scale)
    student, metadata = load_student(path, scale=scale)
    assert student.config == preset(name, scale=scale)
    assert {"preset", "scale", "data", "revision", "metrics"} <= metadata.keys()
    for part in metadata.get("averaged", [metadata]):
        assert {"seed", "steps", "revision"} <= part.keys()
    assert path.with_suffix(".md").is_file(), "each weights file has a model card"


def test_the_guided_weights_that_come_with_the_package_load_and_fuse():
    network, metadata = load_guided(WEIGHTS / "guided.safetensors")
    assert network.config == GUIDED_PRESETS["guided"]
    assert is_half(WEIGHTS / "guided.safetensors")
    assert metadata["preset"] == "guided"
    scene = (torch.arange(64)[:, None] // 8 + torch.arange(96) // 8) % 2 * 0.5 + 0.2  # a chessboard
    with torch.inference_mode():
        fused = network(torch.full((1, 1, 32, 48), 0.3), scene[None, None]).fused
    assert float((fused[0, 0] - scene).abs().mean()) < 0.1


def test_a_guided_networks_configuration_that_cannot_be_is_named(tmp_path):
    path = tmp_path / "guided.safetensors"
    save_checkpoint(path, Guided(GUIDED_PRESETS["guided"]), {})
    rewrite(path, change_metadata=lambda metadata: metadata["config"].update(depth=3))
    with pytest.raises(CheckpointError, match="the network's configuration in the metadata is unusable"):
        load_guided(path)
    with pytest.raises(CheckpointError, match="holds guided, expected a student"):
        load_student(path)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_an_exported_file_is_no_weights(tmp_path, suffix):
    path = tmp_path / f"guided{suffix}"
    path.touch()
    with pytest.raises(CheckpointError, match=r"for other programs, .* choose a preset or a \.safetensors file"):
        weights_path(str(path), 2)
