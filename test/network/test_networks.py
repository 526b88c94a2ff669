from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.inference.checkpoint import make_student
from hkdnet_ros.network.common import activity_weight, blend
from hkdnet_ros.network.fast import Fast
from hkdnet_ros.network.presets import PRESETS, SCALES, StudentConfig, preset
from hkdnet_ros.network.student import Student
from hkdnet_ros.network.teacher import Teacher

SMALL = StudentConfig(
    channels=16, head_channels=8, branch_blocks=1, dfa_units=2, line_keys=8, cea_channels=8, position_keys=16,
    decoder_channels=(16, 8), groups=1, group_blocks=1, upscaled_channels=4, tail_channels=4,
)  # fmt: skip


FRESH = (PRESETS["realtime"], PRESETS["fast"])


def student(name: str, scale: int) -> Student | Fast:
    torch.manual_seed(0)
    return make_student(preset(name, scale=scale)).eval()


def test_paper_preset_has_the_published_size():
    count = sum(parameter.numel() for parameter in Student(PRESETS["paper"]).parameters())
    assert 10.5e6 < count < 11.5e6


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PRESETS)
def test_student_output_is_exactly_scale_times_the_input_for_odd_sizes_too(name, scale):
    network = student(name, scale)
    for height, width in ((16, 16), (17, 23)):
        with torch.inference_mode():
            out = network(torch.rand(1, 1, height, width), torch.rand(1, 1, height, width))
        assert out.fused.shape == (1, 1, scale * height, scale * width)
        if isinstance(network, Student):
            assert out.u.shape[2:] == out.t.shape[2:] == out.fused.shape[2:]
        assert bool(out.fused.isfinite().all())


def test_teacher_returns_the_features_that_students_are_drawn_to():
    out = Teacher()(torch.rand(2, 1, 19, 21), torch.rand(2, 1, 19, 21))
    assert out.fused.shape == (2, 1, 19, 21)
    assert out.d1.shape == (2, 64, 19, 21)
    assert out.d2.shape == (2, 16, 19, 21)


@pytest.mark.parametrize("name", PRESETS)
def test_a_scale_not_offered_is_refused(name):
    with pytest.raises(ConfigError, match="choose one of 2, 3, 4"):
        preset(name, scale=5)


def test_realtime_takes_fewer_operations_per_output_pixel_the_more_it_enlarges():
    """As its deeper super-resolution part at x3 and x4 is meant to: counted by torch on 24x24 pixels."""
    counts = []
    for scale in SCALES:
        image = torch.rand(1, 1, 24, 24)
        with FlopCounterMode(display=False) as counter:
            student("realtime", scale)(image, image)
        counts.append(counter.get_total_flops() / scale**2)
    assert counts == sorted(counts, reverse=True)


def test_an_unknown_preset_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match="paper, realtime"):
        preset("tiny", scale=2)


def gradient_of(network: nn.Module) -> dict[str, float]:
    """Largest gradient by parameter of a loss on a random pair, once what starts at 0 to close a path is opened."""
    torch.manual_seed(1)
    for name, parameter in network.named_parameters():
        if name.endswith("gate"):
            nn.init.constant_(parameter, 0.5)
        if name == "output.weight":
            nn.init.normal_(parameter, std=0.1)
    out = network(torch.rand(2, 1, 24, 20), torch.rand(2, 1, 24, 20))
    out.fused.square().sum().backward()
    return {n: 0.0 if p.grad is None else float(p.grad.abs().max()) for n, p in network.named_parameters()}


@pytest.mark.parametrize("config", [SMALL, dataclasses.replace(SMALL, stride=2, image_skip=True), *FRESH])
def test_gradients_flow_through_every_parameter_of_the_student(config):
    """In one of three fresh students at least: the few ReLUs of a small channel attention may all be shut in one."""
    shut: set[str] = set(dict(make_student(config).named_parameters()))
    for seed in range(3):
        torch.manual_seed(seed)
        shut &= {name for name, size in gradient_of(make_student(config).train()).items() if not size > 0}
    assert shut == set()


def test_gradients_flow_through_every_parameter_of_the_teacher():
    torch.manual_seed(0)
    assert [name for name, size in gradient_of(Teacher().train()).items() if not size > 0] == []


@pytest.mark.parametrize(
    "make", [lambda: Student(SMALL), lambda: student("realtime", 3), lambda: student("fast", 3), Teacher]
)
def test_equal_inputs_give_equal_outputs(make):
    torch.manual_seed(0)
    network = make().eval()
    thermal, visible = torch.rand(1, 1, 25, 18), torch.rand(1, 1, 25, 18)
    with torch.inference_mode():
        first = network(thermal, visible).fused
        again = network(thermal.clone(), visible.clone()).fused
        twice = network(thermal.repeat(2, 1, 1, 1), visible.repeat(2, 1, 1, 1)).fused
    assert torch.equal(first, again)
    torch.testing.assert_close(twice[:1], twice[1:], atol=0, rtol=0)
    torch.testing.assert_close(twice[:1], first, atol=1e-5, rtol=1e-4)


def test_no_modality_can_be_switched_off():
    """Whatever the activities: a branch without weight would get no gradient and drift."""
    maps = torch.tensor([-1e5, 0.0, 1e5]).view(1, 1, 1, 3).requires_grad_(True)
    weight = activity_weight(maps, torch.zeros(1, 1, 1, 3))
    assert weight.flatten().tolist() == pytest.approx([0.018, 0.5, 0.982], abs=1e-3)
    blended = blend(maps, torch.zeros(1, 1, 1, 3), weight)
    assert bool((torch.autograd.grad(blended.sum(), maps)[0] > 0.01).all())


def test_without_its_attentions_a_student_still_fuses():
    network = Student(dataclasses.replace(SMALL, dfa_units=0, cea_channels=0)).eval()
    names = {name.split(".")[1] for name, _ in network.named_parameters() if name.startswith(("thermal", "visible"))}
    assert names == {"group", "conv"}
    assert network(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)).fused.shape == (1, 1, 32, 32)


def test_without_its_branch_the_thermal_image_still_comes_in_by_its_fine_features():
    torch.manual_seed(0)
    network = Student(dataclasses.replace(SMALL, stride=2, dfa_units=0, thermal_branch=False)).eval()
    assert not any(name.startswith("thermal") for name in network.state_dict())
    thermal, visible = torch.rand(1, 1, 16, 16, requires_grad=True), torch.rand(1, 1, 16, 16)
    fused = network(thermal, visible).fused
    assert fused.shape == (1, 1, 32, 32)
    assert bool((torch.autograd.grad(fused.square().sum(), thermal)[0] != 0).all())


def test_a_student_without_thermal_branch_and_without_fine_features_is_refused():
    with pytest.raises(ConfigError, match="stride of 1"):
        dataclasses.replace(SMALL, dfa_units=0, thermal_branch=False)


def test_settings_that_no_network_can_have_are_refused():
    with pytest.raises(ConfigError, match=r"dfa_units is 2, but .*set thermal_branch=1"):
        dataclasses.replace(SMALL, stride=2, thermal_branch=False)
    for name in ("stride", "channels", "tail_channels", "line_keys"):
        with pytest.raises(ConfigError, match=f"{name} is 0; it must be 1 or more"):
            dataclasses.replace(SMALL, **{name: 0})


def test_with_the_image_skip_a_fresh_student_gives_the_enlarged_brighter_source():
    network = Student(dataclasses.replace(SMALL, stride=2, image_skip=True)).eval()
    thermal, visible = torch.rand(1, 1, 19, 22), torch.rand(1, 1, 19, 22)
    expected = nn.functional.interpolate(torch.maximum(thermal, visible), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(network(thermal, visible).fused, expected)


def test_signals_keep_their_strength_through_a_deep_fresh_student():
    """A student begun with torch's own start values and plain ReLUs came out of training with dead tail maps."""
    torch.manual_seed(0)
    network = Student(PRESETS["paper"]).eval()
    with torch.inference_mode():
        out = network(torch.rand(1, 1, 24, 24), torch.rand(1, 1, 24, 24))
    assert 0.05 < float(out.u.std()) < 20
    assert float((out.t.std((0, 2, 3)) < 1e-3).float().mean()) < 0.1


def test_activity_weights_are_the_softmax_of_mean_activities():
    a, b = torch.randn(2, 5, 4, 3), torch.randn(2, 5, 4, 3)
    expected = torch.softmax(torch.stack([a.mean(1), b.mean(1)]), 0)[0].unsqueeze(1)
    weight = activity_weight(a, b)
    torch.testing.assert_close(weight, expected)
    torch.testing.assert_close(blend(a, b, weight), weight * a + (1 - weight) * b)
    torch.testing.assert_close(blend(a, a, weight), a)
