from __future__ import annotations

import dataclasses

import pytest
import torch

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.network.guided import GUIDED_PRESETS, Guided, GuidedConfig, frame_statistics, thermal_side

SMALL = GuidedConfig(
    fine_channels=8, channels=8, layers=1, deep_channels=8, deep_layers=1, detail_channels=4, detail_layers=1
)


def network(config=SMALL, *, random=True):
    """Return a network; ``random`` fills in what starts at 0, as training would."""
    torch.manual_seed(0)
    built = Guided(config)
    if random:
        for layer in (built.affine, built.residual, built.frame_leave):
            torch.nn.init.normal_(layer.weight, std=0.05)
    return built


def pair(height, width, batch=1, *, full=False):
    generator = torch.Generator().manual_seed(1)
    sides = (height, width) if full else (thermal_side(height), thermal_side(width))
    return (
        torch.rand(batch, 1, *sides, generator=generator),
        torch.rand(batch, 1, height, width, generator=generator),
    )


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 23), (30, 41), (48, 36)])
@pytest.mark.parametrize("full", [False, True])
def test_fused_has_the_visible_images_size_for_odd_sizes_too(height, width, full):
    config = dataclasses.replace(SMALL, thermal_full=full)
    with torch.inference_mode():
        out = network(config)(*pair(height, width, 2, full=full))
    assert out.fused.shape == (2, 1, height, width)
    blocks = (2, 4, -(-height // 8) * 4, -(-width // 8) * 4)
    assert out.u.shape == out.t.shape == blocks
    assert bool(out.fused.isfinite().all())


@pytest.mark.parametrize("name", GUIDED_PRESETS)
def test_an_untrained_network_adds_thermals_excess_to_the_visible_image(name):
    config = GUIDED_PRESETS[name]
    thermal, visible = pair(24, 31, full=config.thermal_full)
    with torch.inference_mode():
        fused = network(config, random=False)(thermal, visible).fused
    height, width = (24, 31) if config.thermal_full else (24, 32)
    enlarged = torch.nn.functional.interpolate(thermal, (height, width), mode="bilinear")[..., :31]
    torch.testing.assert_close(fused, visible + 0.4 * (enlarged - thermal.mean()))


def test_the_affine_maps_weigh_the_sources_as_they_say():
    """With a = -1, b = 1, c = .1 everywhere fused is thermal, enlarged bilinearly, less its mean, and a tenth."""
    built = network(random=False)
    with torch.no_grad():
        built.affine.bias.copy_(torch.tensor([-1.0, 1.0, 0.1]))
        thermal, visible = pair(32, 32)
        fused = built(thermal, visible).fused
    wanted = torch.nn.functional.interpolate(thermal, scale_factor=2, mode="bilinear") + 0.1 - thermal.mean()
    torch.testing.assert_close(fused, wanted)


@pytest.mark.parametrize("attention", [{"dfa_units": 1}, {"cea_channels": 8}])
def test_attention_begins_as_nothing_and_can_be_learnt(attention):
    plain, built = network(), network(dataclasses.replace(SMALL, **attention))
    built.load_state_dict(plain.state_dict(), strict=False)
    thermal, visible = pair(48, 40)
    built.eval()
    before = built(thermal, visible).fused
    torch.testing.assert_close(before, plain(thermal, visible).fused)
    last = built.dfa.conv if built.config.dfa_units else built.cea.merge
    before.square().mean().backward()
    assert float(last.weight.grad.abs().max()) > 0
    torch.nn.init.normal_(last.weight, std=0.5)
    with torch.inference_mode():
        assert float((built(thermal, visible).fused - before).abs().max()) > 1e-3


def test_images_of_a_batch_do_not_mix():
    built = network()
    thermal, visible = pair(24, 24, 3)
    with torch.inference_mode():
        together = built(thermal, visible).fused
        alone = torch.cat([built(t[None], v[None]).fused for t, v in zip(thermal, visible, strict=True)])
    torch.testing.assert_close(together, alone)


def test_every_weight_has_a_gradient_once_the_ends_have_left_zero():
    built = network()
    built(*pair(24, 24, 2)).fused.square().mean().backward()
    without = [name for name, value in built.named_parameters() if not float(value.grad.abs().max()) > 0]
    assert not without


def test_both_sources_have_a_say():
    built = network()
    images = [image.requires_grad_() for image in pair(24, 24)]
    built(*images).fused.sum().backward()
    assert all(float(image.grad.abs().max()) > 0 for image in images)


def test_a_crop_is_fused_by_what_its_whole_frame_is_like():
    built = network()
    thermal, visible = pair(24, 24)
    with torch.inference_mode():
        whole = built(thermal, visible).fused
        assert torch.equal(whole, built(thermal, visible, frame_statistics(thermal, visible)).fused)
        assert not torch.allclose(whole, built(thermal, visible, torch.tensor([[0.9, 0.3, 0.1, 0.1]])).fused)


def test_the_statistics_of_a_frame_are_those_of_numpy():
    thermal, visible = pair(20, 30, 2)
    wanted = torch.stack([f(x.flatten(1), 1) for x in (thermal, visible) for f in (torch.mean, deviation)], 1)
    torch.testing.assert_close(frame_statistics(thermal, visible), wanted)


def deviation(values, axis):
    return torch.from_numpy(values.numpy().std(axis))


def test_in_bfloat16_the_visible_images_gray_levels_are_not_rounded():
    """bfloat16 has 8 significant bits: an image that went through it would have steps of 1/256 in the bright half."""
    built = network(random=False).bfloat16()
    ramp = torch.linspace(0.5, 1, 64).expand(1, 1, 16, 64)
    fused = built(torch.full((1, 1, 8, 32), 0.25), ramp).fused
    assert fused.dtype == torch.float32
    assert torch.equal(fused, ramp)


@pytest.mark.parametrize(("field", "value"), [("channels", 0), ("fine_channels", -1), ("layers", -1)])
def test_a_size_that_cannot_be_is_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} is {value}; it must be"):
        dataclasses.replace(SMALL, **{field: value})


def test_the_student_computes_a_third_of_what_realtime_does():
    from torch.utils.flop_counter import FlopCounterMode

    from hkdnet_ros.network.presets import preset
    from hkdnet_ros.network.student import Student

    counts = []
    for built, inputs in (
        (Guided(GUIDED_PRESETS["guided"]), pair(64, 64)),
        (Student(preset("realtime", scale=2)), (torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32))),
    ):
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            built.eval()(*inputs)
        counts.append(counter.get_total_flops())
    assert counts[0] < counts[1] / 2.5
