"""The guided student's training: what it sees, what it is asked for, what is written."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from hkdnet_ros.cli import main
from hkdnet_ros.errors import CheckpointError, ConfigError
from hkdnet_ros.inference.checkpoint import load_guided, load_student, save_checkpoint
from hkdnet_ros.network.guided import Guided, GuidedConfig, GuidedOutput, frame_statistics
from hkdnet_ros.training.data import Batch, PairSet
from hkdnet_ros.training.guided.detector import THERMAL_SHARE, Detector, detection_loss
from hkdnet_ros.training.guided.lesson import GuidedLesson, GuidedWeights
from hkdnet_ros.training.guided.observe import Observed, observe, to_grid
from hkdnet_ros.training.guided.train import train_guided
from hkdnet_ros.training.loop import LoopConfig
from hkdnet_ros.training.setup import override
from hkdnet_ros.training.train import FusionWeights

SMALL = GuidedConfig(
    fine_channels=8, channels=8, layers=1, deep_channels=8, deep_layers=1, detail_channels=4, detail_layers=1
)
NO_FUSION = FusionWeights(**{field.name: 0.0 for field in dataclasses.fields(FusionWeights)})
ONE_STEP = LoopConfig(steps=1, batch=2, crop=48, warmup=0, device="cpu", precision="fp32")


@pytest.fixture
def truth(pair_folder):
    return PairSet(pair_folder).crops_of_frames(6, 64, torch.Generator().manual_seed(0))[0]


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(36, 52), (80, 81), (17, 20)])
def test_an_image_comes_to_a_larger_grid_as_opencv_brings_it(size):
    image = np.random.default_rng(0).random((17, 20), np.float32)
    wanted = cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    np.testing.assert_allclose(to_grid(torch.from_numpy(image)[None, None], *size)[0, 0], wanted, atol=2e-5)


def test_an_image_comes_to_a_smaller_grid_as_opencv_brings_it():
    image = np.random.default_rng(0).random((36, 60), np.float32)
    wanted = cv2.resize(image, (20, 12), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(to_grid(torch.from_numpy(image)[None, None], 12, 20)[0, 0], wanted, atol=1e-6)


def test_what_is_seen_has_the_networks_sizes(truth):
    seen = observe(truth, truth, generator(), views=2, alone=1)
    assert [tuple(image.shape) for image in seen] == [
        (5, 1, 64, 64), (5, 1, 64, 64), (5, 1, 1, 1), (1, 1, 64, 64), (8, 1, 32, 32), (8, 1, 64, 64), (8, 4),
        (5, 1, 64, 64), (5, 1, 64, 64), (5, 4),
    ]  # fmt: skip
    assert all(float(image.min()) >= 0 and float(image.max()) <= 1 for image in seen)


def test_one_draw_is_the_same_every_time(truth):
    first, second = (observe(truth, truth, generator(5), views=2, alone=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    other = observe(truth, truth, generator(6), views=2, alone=1)
    assert not torch.equal(first.seen_thermal, other.seen_thermal)


def test_two_views_of_a_pair_differ_by_what_spoils_them_alone(truth):
    """Both are of one sharpness and place: they are nearer to one another than to the truth's other crops."""
    for seed in range(5):
        seen = observe(truth, truth, generator(seed), views=2, alone=1)
        for index in range(2):
            first, second = seen.seen_visible[index], seen.seen_visible[5 + index]
            assert not torch.equal(first, second)
            assert float((first - second).abs().mean()) < 0.05


def test_where_one_modality_is_missing_the_other_is_the_truth(truth):
    missing = set()
    for seed in range(12):
        seen = observe(truth, truth, generator(seed), views=0, alone=1)
        flat = [float(image[-1].std()) < 0.03 for image in (seen.seen_thermal, seen.seen_visible)]
        assert flat.count(True) == 1
        assert torch.equal(seen.alone[0], (truth.visible if flat[0] else truth.thermal)[-1])
        missing.add(flat[0])
    assert missing == {True, False}


def test_thermal_is_coarser_than_visible_on_average(truth):
    """Mean gradient left of white noise, seen without being spoilt for most draws."""
    noise = Batch(torch.rand(60, 1, 64, 64), torch.rand(60, 1, 64, 64))
    seen = observe(noise, noise, generator(), views=0, alone=0)
    deviation = [float(image.std((1, 2, 3)).median()) for image in (seen.seen_thermal, seen.seen_visible)]
    assert deviation[0] < 0.6 * deviation[1]


def lesson(weights, fusion=NO_FUSION, **more):
    torch.manual_seed(2)
    student = Guided(SMALL)
    torch.nn.init.normal_(student.residual.weight, std=0.05)
    return GuidedLesson(student, fusion, weights, **more)


def test_each_part_of_the_lesson_is_what_it_says(truth):
    seen = observe(truth, truth, generator(), views=2, alone=1)
    built = lesson(GuidedWeights(tone=0.0, consistency=2.0, alone=3.0))
    losses = {name: float(loss.detach()) for name, loss in built(*seen).items()}
    fused = built.student(seen.seen_thermal, seen.seen_visible, seen.frame).fused.detach().numpy()
    assert losses == pytest.approx(
        {
            "consistency": 2 * np.abs(fused[:2] - fused[5:7]).mean(),
            "alone": 3 * np.abs(fused[7:] - seen.alone.numpy()).mean(),
        },
        rel=1e-5,
    )


def test_a_batch_with_nothing_seen_twice_or_alone_has_the_fusion_losses(truth):
    level = truth.thermal.mean((1, 2, 3), keepdim=True)
    frame = frame_statistics(*truth)
    seen = Observed(
        *truth, level, truth.thermal[:0], truth.thermal[:, :, ::2, ::2], truth.visible, frame, *truth, frame
    )
    names = {field.name for field in dataclasses.fields(FusionWeights)}
    assert set(lesson(GuidedWeights(), FusionWeights())(*seen)) <= names | {"tone"}


def test_the_student_is_drawn_to_a_teacher_that_sees_the_truth(truth):
    seen = observe(truth, truth, generator(), views=1, alone=1)
    given = []

    def teach(thermal, visible, frame):
        given.append((thermal, visible, frame))
        return GuidedOutput(1 - visible, torch.rand(5, 6, 32, 32), torch.rand(5, 7, 64, 64))

    weights = GuidedWeights(tone=0, consistency=0, alone=0, distill_output=2.0, distill_u=1.0, distill_t=1.0)
    built = lesson(weights, teach=teach, teacher_channels=(6, 7))
    losses = built(*seen)
    assert torch.equal(given[0][0], seen.thermal)
    assert torch.equal(given[0][1], seen.visible)
    assert torch.equal(given[0][2], frame_statistics(*truth)[:5])
    fused = built.student(seen.seen_thermal, seen.seen_visible, seen.frame).fused[:5].detach()
    wanted = 2 * float((fused - (1 - seen.visible)).abs().mean())
    assert float(losses["distill_output"]) == pytest.approx(wanted, rel=1e-5)
    assert set(losses) == {"distill_u", "distill_t", "distill_output"}


def test_a_clean_teacher_says_of_every_view_what_it_makes_of_the_pair_by_day(truth):
    by_day = Batch(truth.thermal, truth.visible + 0.25)
    seen = observe(truth, truth, generator(), views=2, alone=1, by_day=(by_day, by_day))
    pairs = [0, 1, 2, 3, 4, 0, 1, 5]
    assert torch.equal(seen.clean_thermal, truth.thermal[pairs])
    assert torch.equal(seen.clean_visible, by_day.visible[pairs])
    torch.testing.assert_close(seen.clean_frame[:, 2], by_day.visible[pairs].mean((1, 2, 3)))
    weights = GuidedWeights(tone=0, consistency=0, alone=0, distill_output=3.0)
    built = lesson(weights, teach=lambda thermal, visible, frame: GuidedOutput(visible, thermal, thermal))
    fused = built.student(seen.seen_thermal, seen.seen_visible, seen.frame).fused.detach()
    wanted = 3 * float((fused - seen.clean_visible.clamp(0, 1)).abs().mean())
    assert float(built(*seen)["distill_output"]) == pytest.approx(wanted, rel=1e-5)


def test_the_share_that_is_spoilt_can_be_set(truth):
    whole = Batch(truth.thermal.repeat(20, 1, 1, 1), truth.visible.repeat(20, 1, 1, 1))
    unspoilt = observe(whole, whole, generator(), views=0, alone=0, misplaced=0, spoilt=0.0)
    spoilt = observe(whole, whole, generator(), views=0, alone=0, misplaced=0, spoilt=1.0)
    sharp = (unspoilt.seen_visible - whole.visible).abs().amax((1, 2, 3)) < 0.6 / 255  # those not reduced
    assert 0.4 < float(sharp.float().mean()) < 0.8
    still_sharp = (spoilt.seen_visible - whole.visible).abs().amax((1, 2, 3)) < 0.6 / 255
    assert float(still_sharp.float().mean()) < 0.6 * float(sharp.float().mean())


def find(image):
    """A detector whose objectness is the mean brightness, by blocks of 16, and whose classes are two."""
    cell = torch.nn.functional.avg_pool2d(image, 16)
    return torch.cat([cell, cell.repeat(1, 4, 1, 1), 1 - cell, cell], 1)


def test_a_detector_should_say_of_fused_what_it_says_of_the_surer_source():
    dark, bright = torch.full((1, 1, 32, 32), 0.2), torch.full((1, 1, 32, 32), 0.8)
    for thermal, visible in ((dark, bright), (bright, dark)):
        assert float(detection_loss(find, bright, thermal, visible)) == 0
        assert float(detection_loss(find, dark, thermal, visible)) > 0.1


def test_an_object_that_thermal_alone_shows_counts_more():
    dark, bright = torch.full((1, 1, 32, 32), 0.2), torch.full((1, 1, 32, 32), 0.8)
    by_thermal = float(detection_loss(find, dark, bright, dark))
    by_visible = float(detection_loss(find, dark, dark, bright))
    assert by_visible < by_thermal < THERMAL_SHARE * by_visible


def test_the_detector_agrees_with_onnxruntime(data_folder):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = data_folder / "detector" / "fastestdet.onnx"
    image = torch.rand(1, 1, 352, 352, generator=generator())
    wanted = onnxruntime.InferenceSession(str(path)).run(None, {"input.1": image.expand(-1, 3, -1, -1).numpy()})[0]
    detector = Detector(path)
    np.testing.assert_allclose(detector(image), wanted, atol=1e-3)
    assert detector(torch.rand(3, 1, 128, 160)).shape == (3, 85, 8, 10)


def test_a_file_that_is_no_detector_is_refused_in_one_line(tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "a.onnx").write_bytes(b"no detector")
    with pytest.raises(CheckpointError, match="not a readable ONNX file"):
        Detector(tmp_path / "a.onnx")


def train(pair_folder, out, config=SMALL, weights=None, **more):
    train_guided(
        pair_folder, pair_folder, out, config, ONE_STEP, FusionWeights(), weights or GuidedWeights(), progress=False,
        **more,
    )  # fmt: skip
    return load_guided(out / "guided.safetensors")


@pytest.mark.parametrize("full", [False, True])
def test_a_training_writes_what_loads_again(pair_folder, tmp_path, full):
    config = dataclasses.replace(SMALL, thermal_full=full)
    network, metadata = train(pair_folder, tmp_path / "run", config, name="small")
    assert network.config == config
    assert (metadata["network"], metadata["preset"], metadata["steps"]) == ("guided", "small", 1)
    assert "VIFp" in metadata["metrics"]
    assert list((tmp_path / "run" / "pictures").glob("*.png"))


def test_a_training_goes_on_from_given_weights(pair_folder, tmp_path):
    start = Guided(SMALL)
    save_checkpoint(tmp_path / "start.safetensors", start, {})
    network, _ = train(pair_folder, tmp_path / "run", start=tmp_path / "start.safetensors")
    for name, value in network.named_parameters():
        torch.testing.assert_close(value, start.state_dict()[name], rtol=0, atol=2e-3, msg=name)
    with pytest.raises(ConfigError, match="of another configuration"):
        train(
            pair_folder, tmp_path / "other", dataclasses.replace(SMALL, layers=2), start=tmp_path / "start.safetensors"
        )


def test_a_student_learns_from_a_teacher_of_its_kind(pair_folder, tmp_path):
    teacher = Guided(dataclasses.replace(SMALL, thermal_full=True, detail_channels=6))
    save_checkpoint(tmp_path / "teacher.safetensors", teacher, {})
    weights = GuidedWeights(distill_output=1.0, distill_u=1.0, distill_t=1.0)
    _, metadata = train(pair_folder, tmp_path / "run", weights=weights, teacher=tmp_path / "teacher.safetensors")
    assert metadata["teacher"] == "teacher.safetensors"
    save_checkpoint(tmp_path / "student.safetensors", Guided(SMALL), {})
    with pytest.raises(ConfigError, match="is a guided student; a teacher sees thermal at full size"):
        train(pair_folder, tmp_path / "run2", weights=weights, teacher=tmp_path / "student.safetensors")


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        (["--detection", "1"], "needs --detector FILE.onnx"),
        (["--distill-output", "1"], "needs --teacher WEIGHTS"),
        (["--crop", "60"], "trained on multiples of 8, set --crop"),
        (["--set", "depth=3"], "expected FIELD=INTEGER with a field among"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(pair_folder, tmp_path, capsys, options, fact):
    folders = ["--data", str(pair_folder), "--val", str(pair_folder), "--out", str(tmp_path / "run")]
    assert main(["train-guided", *folders, "--device", "cpu", *options]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert fact in line


def test_a_clean_teacher_is_learnt_from(pair_folder, tmp_path):
    teacher = Guided(dataclasses.replace(SMALL, thermal_full=True))
    save_checkpoint(tmp_path / "teacher.safetensors", teacher, {})
    weights = GuidedWeights(distill_output=1.0)
    teach = {"teacher": tmp_path / "teacher.safetensors", "weights": weights}
    truthful, _ = train(pair_folder, tmp_path / "a", **teach)
    clean, _ = train(pair_folder, tmp_path / "b", clean_teacher=True, **teach)
    assert not all(torch.equal(a, b) for a, b in zip(truthful.parameters(), clean.parameters(), strict=True))


def test_settings_change_the_fields_they_name():
    assert override(SMALL, ["layers=2", "thermal_full=1"]) == dataclasses.replace(SMALL, layers=2, thermal_full=True)


def test_a_guided_network_is_no_student(tmp_path):
    save_checkpoint(tmp_path / "guided.safetensors", Guided(SMALL), {})
    with pytest.raises(CheckpointError, match="holds guided, expected a student"):
        load_student(tmp_path / "guided.safetensors")
