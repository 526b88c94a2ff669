"""The published attentions are the same mathematics as ours, where ours are exact."""

from __future__ import annotations

import dataclasses

import torch
from published_design import FullPositionAttention, HardCornerMask, as_published

from hkdnet_ros.network.attention import PositionAttention
from hkdnet_ros.network.corner_embedding import CornerMask
from hkdnet_ros.network.harris import harris_response
from hkdnet_ros.network.presets import PRESETS
from hkdnet_ros.network.student import Student


def test_position_attention_is_the_published_one_while_the_image_fits_its_keys():
    torch.manual_seed(0)
    ours = PositionAttention(16, keys=12 * 9)
    torch.nn.init.constant_(ours.gate, 0.7)
    x = torch.randn(2, 16, 12, 9)
    torch.testing.assert_close(FullPositionAttention(ours)(x), ours(x), atol=1e-5, rtol=1e-5)


def test_the_corner_mask_is_cut_where_ours_is_at_one_half():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 20, 24)
    ours = CornerMask(3).eval()
    dilated = torch.nn.functional.max_pool2d(harris_response(x), 3, stride=1, padding=1)
    ours.running_maximum.copy_(dilated.amax((0, 2, 3)))
    inner = (..., slice(3, -3), slice(3, -3))  # OpenCV mirrors another way around at the border
    torch.testing.assert_close(HardCornerMask(ours)(x)[inner], (ours(x) > 0.5).float()[inner])


def test_a_whole_network_is_published_with_all_its_attentions():
    config = dataclasses.replace(PRESETS["paper"], branch_blocks=1, dfa_units=1, groups=1, group_blocks=1)
    published = as_published(Student(config).eval())
    kinds = [type(module) for module in published.modules()]
    assert FullPositionAttention in kinds
    assert HardCornerMask in kinds
    assert PositionAttention not in kinds
    with torch.inference_mode():
        assert published(torch.rand(1, 1, 16, 18), torch.rand(1, 1, 16, 18)).fused.shape == (1, 1, 32, 36)
