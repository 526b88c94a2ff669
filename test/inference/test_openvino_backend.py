"""The back end of OpenVINO gives torch's picture."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.inference.cache import cache_folder
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.precision_trial import LEAST_AGREEMENT, agreement, rounding_scene
from hkdnet_ros.inference.processor import cpu_has_bf16

pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.ERROR)


def engine(model, backend="openvino", **settings):
    return load_engine(EngineConfig(model=str(model), backend=backend, **settings))


def scene(it, height, width, seed=0):
    """Return a pair for ``it`` with a visible image of this size, both float32."""
    random = np.random.default_rng(seed)
    thermal = it.sizes.thermal_for(it.sizes.output_for((height, width)))
    return random.random(thermal, dtype=np.float32), random.random((height, width), dtype=np.float32)


@pytest.mark.parametrize("scale", [2, 3])
def test_a_student_gives_torchs_picture(student_file, scale):
    path = student_file(scale)
    ours, torchs = (engine(path, backend, scale=scale, precision="fp32") for backend in ("openvino", "torch"))
    for size in ((30, 34), (17, 41)):
        pair = scene(ours, *size)
        fused = ours.fuse(*pair)
        assert fused.shape == tuple(scale * side for side in size)
        assert agreement(torchs.fuse(*pair), fused) > 80
    assert (ours.backend, ours.device, ours.precision, ours.memory) == ("openvino", "cpu", "fp32", None)


def test_a_fast_student_gives_torchs_picture(fast_file):
    torchs = engine(fast_file, "torch", precision="fp32", scale=3)
    pair = scene(torchs, 30, 35)
    assert agreement(torchs.fuse(*pair), engine(fast_file, precision="fp32", scale=3).fuse(*pair)) > 80
    pair = rounding_scene(torchs.sizes, side=64)
    assert agreement(torchs.fuse(*pair), engine(fast_file, scale=3).fuse(*pair)) >= LEAST_AGREEMENT


@pytest.mark.parametrize("model", ["guided", "realtime", "fast"])
def test_what_ships_gives_torchs_picture_in_the_fastest_format(model):
    ours, torchs = engine(model), engine(model, "torch", precision="fp32")
    assert ours.precision == ("bf16" if cpu_has_bf16() else "fp32")
    pair = rounding_scene(ours.sizes, side=64)
    assert agreement(torchs.fuse(*pair), ours.fuse(*pair)) >= LEAST_AGREEMENT


def test_levels_that_bfloat16_does_not_hold_stay_apart():
    """A slow ramp of a conditioned image has more than the 256 levels of bfloat16 between 0.5 and 1."""
    it = engine("realtime", precision="bf16")
    ramp = np.tile(np.linspace(0.5, 0.52, 96, dtype=np.float32), (48, 1))
    along = it.fuse(ramp, ramp)[48, 24:-24]
    assert len(np.unique(along)) > 0.8 * len(along)


def test_bytes_are_the_levels_they_stand_for(student_file):
    it = engine(student_file(2), precision="fp32")
    levels = [np.random.default_rng(1).integers(0, 256, (30, 34), dtype=np.uint8) for _ in range(2)]
    floats = [image.astype(np.float32) / np.float32(255) for image in levels]
    np.testing.assert_allclose(it.fuse(*levels), it.fuse(*floats), atol=1e-5)  # 1/255 is rounded otherwise


def test_sizes_alternate_and_more_than_are_kept_come_back(student_file, monkeypatch):
    monkeypatch.setattr("hkdnet_ros.inference.openvino_backend.KEPT", 1)
    it = engine(student_file(2), precision="fp32")
    pairs = [scene(it, side, side + 8) for side in (16, 20, 16)]
    fused = [it.fuse(*pair) for pair in pairs]
    np.testing.assert_array_equal(fused[0], fused[2])
    assert [image.shape for image in fused] == [(32, 48), (40, 56), (32, 48)]


def test_the_next_start_reads_what_was_converted(student_file, monkeypatch):
    path = student_file(2)
    first = engine(path, precision="fp32")
    pair = scene(first, 30, 34)
    expected = first.fuse(*pair)
    monkeypatch.setattr("hkdnet_ros.inference.openvino_backend._convert", None)  # not called again
    np.testing.assert_array_equal(engine(path, precision="fp32").fuse(*pair), expected)


def test_a_damaged_cache_is_converted_anew(student_file, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = student_file(2)
    pair = scene(engine(path, precision="fp32"), 30, 34)
    expected = engine(path, precision="fp32").fuse(*pair)
    for file in cache_folder().rglob("model.*"):
        file.write_bytes(b"<net")
    np.testing.assert_array_equal(engine(path, precision="fp32").fuse(*pair), expected)


def test_weights_that_changed_in_the_cache_are_converted_anew(student_file, monkeypatch, tmp_path):
    """OpenVINO reads them without a word, and the picture would be another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = student_file(2)
    first = engine(path, precision="fp32")
    pair = scene(first, 30, 34)
    expected = first.fuse(*pair)
    for file in cache_folder().rglob("*.bin"):
        content = bytearray(file.read_bytes())
        for offset, size in re.findall(r'"f32"[^>]*offset="(\d+)" size="(\d+)"', file.with_suffix(".xml").read_text()):
            for place in range(int(offset) + 3, int(offset) + int(size), 4):
                content[place] ^= 0x80  # the sign
        file.write_bytes(content)
    np.testing.assert_array_equal(engine(path, precision="fp32").fuse(*pair), expected)


def test_a_cache_that_cannot_be_written_does_no_harm(student_file, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    it = engine(student_file(2), precision="fp32")
    assert it.fuse(*scene(it, 30, 34)).shape == (60, 68)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda"}, "openvino computes on the CPU, not on cuda; choose device cpu"),
        ({"precision": "fp16"}, "fp16 needs CUDA"),
    ],
)
def test_what_it_cannot_do_is_said(settings, message):
    with pytest.raises(ConfigError, match=message):
        engine("guided", **settings)


def test_a_conversion_says_nothing(caplog, recwarn, monkeypatch):
    import torch
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    from hkdnet_ros.inference.openvino_backend import _convert

    monkeypatch.setattr(TorchFXPythonDecoder, "_decomp_table", None)  # as in a new process
    caplog.set_level(logging.DEBUG)
    _convert(torch.nn.Conv2d(1, 1, 1).eval(), [(1, 1, 8, 8)])
    assert [record for record in caplog.records if record.name == "root"] == []
    assert [warning for warning in recwarn if warning.category is FutureWarning] == []
