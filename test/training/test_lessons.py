"""What students and teachers are asked for: which losses, with which weights, against what."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.network.presets import preset
from hkdnet_ros.network.student import Student, StudentOutput
from hkdnet_ros.network.teacher import Teacher, TeacherOutput
from hkdnet_ros.training.distill import Apprentice, DistillationWeights
from hkdnet_ros.training.setup import override
from hkdnet_ros.training.train import FusionWeights, TeacherLesson, fusion_losses

LOSSES = [field.name for field in dataclasses.fields(FusionWeights)]
NO_FUSION = FusionWeights(**dict.fromkeys(LOSSES, 0.0))


@pytest.fixture
def pair():
    """Thermal and visible of 48x48, (2, 1, 48, 48) each."""
    generator = torch.Generator().manual_seed(1)
    blocks = torch.rand(2, 2, 1, 12, 12, generator=generator)
    return tuple(blocks.repeat_interleave(4, -1).repeat_interleave(4, -2))


def apprentice(weights, distillation, teach=None):
    torch.manual_seed(2)
    student = Student(dataclasses.replace(preset("realtime", scale=2), group_blocks=1))
    return Apprentice(student, weights, distillation, teach)


@pytest.mark.parametrize("name", LOSSES)
def test_each_weight_is_of_the_loss_of_its_name(pair, name):
    fused = 0.8 * torch.maximum(*pair) + 0.1 * torch.rand(pair[0].shape, generator=torch.Generator().manual_seed(3))
    one = fusion_losses(fused, *pair, dataclasses.replace(NO_FUSION, **{name: 1.0}))
    three = fusion_losses(fused, *pair, dataclasses.replace(NO_FUSION, **{name: 3.0}))
    assert list(one) == list(three) == [name]
    assert float(one[name]) > 0
    assert float(three[name]) == pytest.approx(3 * float(one[name]))


def test_the_teacher_is_asked_for_the_fusion_losses_of_what_it_makes(pair):
    torch.manual_seed(0)
    teacher = Teacher()
    expected = fusion_losses(teacher(*pair).fused, *pair, FusionWeights())
    losses = TeacherLesson(teacher, FusionWeights())(*pair)
    assert {name: float(loss) for name, loss in losses.items()} == {k: float(v) for k, v in expected.items()}


def test_distillation_is_the_mean_difference_in_units_of_the_teachers_deviation():
    """Features by 1x1 convolutions, computed here by NumPy; the teacher's image is cut to [0, 1]."""
    lesson = apprentice(NO_FUSION, DistillationWeights(distill_u=0.5, distill_t=2.0, distill_output=3.0))
    config = lesson.student.config
    torch.manual_seed(4)
    fused = torch.rand(2, 1, 8, 6)
    mine = StudentOutput(
        fused, torch.rand(2, config.upscaled_channels, 8, 6), torch.rand(2, config.tail_channels, 8, 6)
    )
    taught = TeacherOutput(2 * fused - 0.5, 3 * torch.randn(2, 64, 8, 6), torch.randn(2, 16, 8, 6))

    def feature_loss(conv, maps, target):
        weight, bias, maps, target = (x.detach().numpy() for x in (conv.weight[..., 0, 0], conv.bias, maps, target))
        adapted = np.einsum("oi,bihw->bohw", weight, maps) + bias[None, :, None, None]
        return np.abs(adapted - target).mean() / target.std(ddof=1)

    image = fused.numpy()
    expected = {
        "distill_u": 0.5 * feature_loss(lesson.adapt_u, mine.u, taught.d1),
        "distill_t": 2.0 * feature_loss(lesson.adapt_t, mine.t, taught.d2),
        "distill_output": 3.0 * np.abs(image - np.clip(2 * image - 0.5, 0, 1)).mean(),
    }
    losses = {name: float(loss) for name, loss in lesson.distillation_losses(mine, taught).items()}
    assert losses == pytest.approx(expected, rel=1e-5)


def test_an_apprentice_learns_from_its_teacher_and_from_the_sources(pair):
    """The teacher sees the pair at full size, the student what was made of it."""
    low = tuple(torch.nn.functional.avg_pool2d(image, 2) for image in pair)
    seen = []

    def teach(thermal, visible):
        seen.append((thermal, visible))
        return torch.manual_seed(0) and Teacher()(thermal, visible)

    losses = apprentice(dataclasses.replace(NO_FUSION, ssim=1.0), DistillationWeights(), teach)(*pair, *low)
    assert set(losses) == {"ssim", "distill_u", "distill_t", "distill_output"}
    assert all(torch.equal(given, image) for given, image in zip(seen[0], pair, strict=True))
    only_t = DistillationWeights(distill_u=0.0, distill_output=0.0)
    lesson = apprentice(NO_FUSION, only_t, teach)
    losses = lesson(*pair, *low)
    assert set(losses) == {"distill_t"}
    losses["distill_t"].backward()
    assert float(lesson.student.tail.weight.grad.abs().max()) > 0


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        (["depth=3"], "expected FIELD=INTEGER with a field among"),
        (["channels"], "expected FIELD=INTEGER"),
        (["channels=-1"], "expected FIELD=INTEGER"),
        (["stride=0"], "stride is 0; it must be 1 or more"),
        (["dfa_units=1"], "set thermal_branch=1"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(settings, fact):
    with pytest.raises(ConfigError, match=fact):
        override(preset("realtime", scale=2), settings)


def test_settings_change_the_fields_they_name():
    changed = override(preset("realtime", scale=3), ["thermal_branch=1", "dfa_units=1", "line_keys=80"])
    wanted = {"thermal_branch": True, "dfa_units": 1, "line_keys": 80}
    assert changed == dataclasses.replace(preset("realtime", scale=3), **wanted)
    assert "thermal.attention.blocks.0.gate.weight" in Student(changed).state_dict()
