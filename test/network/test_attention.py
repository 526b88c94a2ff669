from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hkdnet_ros.network.attention import LineAttention, MapAttention, PositionAttention, attend, pooling_stride


def plain_attention(query, key, value, scale):  # (Q, D), (K, D), (K, C), in float64 with nothing fused
    weight = torch.softmax(scale * query.double() @ key.double().T, -1)
    return (weight @ value.double()).float()


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 400))
def test_pooled_grid_has_at_most_the_limit_of_cells_and_no_smaller_stride_does(height, width, limit):
    stride = pooling_stride(height, width, limit)
    assert math.ceil(height / stride) * math.ceil(width / stride) <= limit
    if stride > 1:
        assert math.ceil(height / (stride - 1)) * math.ceil(width / (stride - 1)) > limit


@settings(max_examples=20)
@given(st.integers(1, 8), st.integers(0, 8), st.integers(1, 30), st.integers(1, 30))
def test_attend_equals_plain_attention_for_values_wider_than_queries(depth, extra, queries, keys):
    torch.manual_seed(depth * 1000 + extra * 100 + queries)
    query, key = torch.randn(queries, depth), torch.randn(keys, depth)
    value = torch.randn(keys, depth + extra)
    got = attend(query[None], key[None], value[None])[0]
    torch.testing.assert_close(got, plain_attention(query, key, value, depth**-0.5), atol=1e-5, rtol=1e-4)


def test_position_attention_is_exact_while_the_image_fits_its_keys():
    torch.manual_seed(0)
    layer = PositionAttention(16, keys=12 * 10)
    torch.nn.init.constant_(layer.gate, 0.7)
    x = torch.randn(1, 16, 12, 10)
    query, key, value = (conv(x)[0].flatten(1).T for conv in (layer.query, layer.key, layer.value))
    expected = x + 0.7 * plain_attention(query, key, value, 1.0).T.reshape(1, 16, 12, 10)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


def test_position_attention_beyond_its_keys_attends_to_cell_averages():
    torch.manual_seed(0)
    layer = PositionAttention(16, keys=30)
    torch.nn.init.constant_(layer.gate, 1.0)
    x = torch.randn(1, 16, 12, 10)
    pooled = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))  # 6 x 5 cells
    query = layer.query(x)[0].flatten(1).T
    key, value = (conv(pooled)[0].flatten(1).T for conv in (layer.key, layer.value))
    expected = x + plain_attention(query, key, value, 1.0).T.reshape(1, 16, 12, 10)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


def test_position_attention_starts_as_the_identity():
    x = torch.randn(2, 8, 9, 7)
    assert torch.equal(PositionAttention(8, keys=16)(x), x)


def test_map_attention_takes_from_the_maps_that_resemble_least():
    torch.manual_seed(0)
    layer = MapAttention()
    torch.nn.init.constant_(layer.gate, 0.5)
    x = torch.randn(1, 4, 6, 5)
    maps = x[0].reshape(4, 30)
    expected = torch.empty(4, 30)
    for row in range(4):
        similarity = torch.stack([(maps[row] * maps[other]).mean() for other in range(4)])
        weight = torch.softmax(similarity.max() - similarity, 0)
        expected[row] = sum(weight[other] * maps[other] for other in range(4))
    torch.testing.assert_close(layer(x), x + 0.5 * expected.reshape(1, 4, 6, 5), atol=1e-5, rtol=1e-4)


def test_map_attention_computes_in_fp16_what_it_does_in_fp32():
    """Products summed over the pixels of an image go far beyond its largest number; their mean does not."""
    torch.manual_seed(0)
    layer = MapAttention()
    torch.nn.init.constant_(layer.gate, 0.5)
    maps = 200 * torch.rand(1, 4, 40, 50)
    with torch.no_grad():
        expected = layer(maps)
        found = layer.half()(maps.half())
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=1.0)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("keys", [4, 100])
def test_line_attention_relates_a_pixel_to_its_own_line_only(axis, keys):
    torch.manual_seed(0)
    layer = LineAttention(8, axis=axis, keys=keys).eval()
    layer.value = torch.nn.Conv2d(8, 8, 1)  # the 3x3 of the values looks beyond the line by design
    x = torch.randn(1, 8, 9, 11)
    changed = x.clone()
    changed[:, :, 4, 5] += 3.0
    difference = (layer(changed, changed, changed) - layer(x, x, x)).abs().amax((0, 1))
    line = difference[:, 5] if axis == 2 else difference[4]
    assert line.min() > 0
    line.zero_()
    assert difference.max() < 1e-6


def test_line_attention_equals_plain_attention_row_by_row():
    torch.manual_seed(0)
    layer = LineAttention(8, axis=3, keys=100)
    query, key, value = (torch.randn(1, 8, 5, 13) for _ in range(3))
    got = layer(query, key, value)
    q, k, v = layer.query(query), layer.key(key), layer.value(value)
    for row in range(5):
        expected = plain_attention(q[0, :, row].T, k[0, :, row].T, v[0, :, row].T, q.shape[1] ** -0.5)
        torch.testing.assert_close(got[0, :, row].T, expected, atol=1e-5, rtol=1e-4)
