"""A back end is one file and one row: what is around it serves a toy as it serves torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import toy_backend
from toy_backend import ToyBackend, enlarge

from hkdnet_ros.errors import ConfigError, ImageError, MissingDependencyError
from hkdnet_ros.images.frames import THERMAL, VISIBLE, Frame, Pair
from hkdnet_ros.inference import engine_api
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.fallback_engine import FallbackEngine
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.plan import PipelineConfig
from hkdnet_ros.perception.thermal import ThermalConfig


@pytest.fixture(autouse=True)
def _rows(monkeypatch):
    monkeypatch.setitem(engine_api.BACKENDS, "toy", "toy_backend:ToyBackend")
    monkeypatch.setitem(engine_api.BACKENDS, "guided", "toy_backend:GuidedToyBackend")
    monkeypatch.setattr(ToyBackend, "opened", [])


def engine(backend="toy", **settings):
    return load_engine(EngineConfig(model="toy", backend=backend, **settings))


def pair(thermal, visible=None, seed=0):
    random = np.random.default_rng(seed)
    return random.random(thermal, dtype=np.float32), random.random(visible or thermal, dtype=np.float32)


def test_an_engine_says_what_its_back_end_is():
    it = engine(precision="fp32", device="cuda")
    assert (it.model_name, it.scale, it.device, it.precision, it.memory) == ("toy", 2, "cuda", "fp32", None)
    assert it.sizes == toy_backend.ToyBackend.sizes


def test_it_fuses_what_the_back_end_computes():
    thermal, visible = pair((20, 30))
    expected = (enlarge(thermal, (40, 60)) + enlarge(visible, (40, 60))) / 2
    np.testing.assert_array_equal(engine(precision="fp32").fuse(thermal, visible), expected)


def test_auto_keeps_a_format_that_agrees_and_frees_the_other():
    assert engine().precision == "bf16"
    assert [(it.precision, it.closed) for it in ToyBackend.opened] == [("bf16", False), ("fp32", True)]


def test_auto_takes_fp32_where_rounding_shows(monkeypatch):
    monkeypatch.setattr(ToyBackend, "levels", 16)
    assert engine().precision == "fp32"
    assert [(it.precision, it.closed) for it in ToyBackend.opened] == [("bf16", True), ("fp32", False)]


def test_a_format_asked_for_by_name_is_kept_where_rounding_shows(monkeypatch):
    monkeypatch.setattr(ToyBackend, "levels", 16)
    assert engine(precision="bf16").precision == "bf16"


def test_a_format_asked_for_by_name_that_overflows_is_refused():
    with pytest.raises(ConfigError, match="precision fp16 overflows in toy; choose auto or fp32"):
        engine(precision="fp16")
    assert [it.closed for it in ToyBackend.opened] == [True]


def test_an_output_that_is_not_finite_is_an_error_and_no_image():
    it = engine(precision="fp32")
    ToyBackend.opened[-1].precision = "fp16"
    with pytest.raises(ImageError, match="output of toy is not finite in fp16; set precision to fp32"):
        it.fuse(*pair((20, 30)))


def test_an_output_beyond_the_unit_range_is_clipped_in_memory_of_the_callers_own(monkeypatch):
    raw = np.linspace(-1, 2, 40 * 60, dtype=np.float32).reshape(40, 60)
    monkeypatch.setattr(ToyBackend, "run", lambda self, thermal, visible, lap: raw)
    fused = engine(precision="fp32").fuse(*pair((20, 30)))
    np.testing.assert_array_equal(fused, np.clip(raw, 0, 1))
    assert not np.shares_memory(fused, raw)


def test_timings_are_of_the_last_call():
    it = engine()
    assert it.timings == {}
    it.fuse(*pair((20, 30)))
    first = it.timings
    assert list(first) == ["upload", "network", "download"]
    it.fuse(*pair((20, 30)))
    assert it.timings is not first


@pytest.mark.parametrize(
    ("backend", "thermal", "visible", "message"),
    [
        ("toy", (20, 20), (20, 21), r"thermal luma is \(20, 20\), visible \(20, 21\); bring thermal to \(20, 21\)"),
        ("toy", (15, 20), (15, 20), r"thermal luma has shape \(15, 20\)"),
        ("guided", (32, 32), (32, 32), r"bring thermal to \(16, 16\)"),
        ("guided", (16, 17), (33, 33), r"bring thermal to \(17, 17\)"),
    ],
)
def test_sizes_that_do_not_belong_together_are_named(backend, thermal, visible, message):
    with pytest.raises(ImageError, match=message):
        engine(backend).fuse(*pair(thermal, visible))


def test_a_guided_engine_takes_thermal_at_half_the_visible_images_size():
    it = engine("guided")
    assert it.fuse(*pair((24, 17), (47, 33))).shape == (47, 33)
    assert it.warm_up(47, 33) > 0


def test_a_device_that_is_lost_is_left_for_the_cpu(monkeypatch):
    monkeypatch.setattr(ToyBackend, "lost", "cuda")
    warnings = []
    it = FallbackEngine(load_engine, EngineConfig(model="toy", backend="toy", device="cuda"), "cpu", warnings.append)
    assert it.fuse(*pair((20, 30))).shape == (40, 60)
    assert (it.device, it.sizes, it.failure) == ("cpu", ToyBackend.sizes, "the toy is out of memory")
    assert len(warnings) == 2


@pytest.mark.parametrize("backend", ["toy", "guided"])
def test_the_pipeline_brings_both_images_to_the_sizes_that_the_engine_takes(monkeypatch, backend):
    given = []
    run = ToyBackend.run

    def watched(self, thermal, visible, lap):
        given.append((thermal.shape, visible.shape))
        return run(self, thermal, visible, lap)

    pipeline = FusionPipeline(
        engine(backend),
        PerceptionConfig(PipelineConfig(grid=(32, 24)), thermal=ThermalConfig(range_low=0, range_high=255)),
    )
    monkeypatch.setattr(ToyBackend, "run", watched)
    random = np.random.default_rng(0)
    thermal = Frame(random.integers(0, 256, (40, 50), np.uint8), 1, THERMAL, "mono8")
    blocks = np.kron(random.integers(0, 256, (5, 6, 3), np.uint8), np.ones((40, 50, 1), np.uint8))
    visible = Frame(blocks, 2, VISIBLE, "bgr8")
    fused = [
        pipeline.process(Pair(thermal, visible)),
        pipeline.process_alone(THERMAL, thermal),
        pipeline.process_alone(VISIBLE, visible),
    ]
    if backend == "guided":  # the visible image's size is the output's, which its image alone is without a network
        assert given == [((100, 150), (200, 300))] * 2
        assert [frame.image.shape for frame in fused] == [(200, 300, 3), (200, 300), (200, 300, 3)]
        np.testing.assert_allclose(fused[2].image, visible.image, atol=2)  # but for the way to luma and chroma and back
    else:
        assert given == [((24, 32), (24, 32))] * 3
        assert [frame.image.shape for frame in fused] == [(48, 64, 3), (48, 64), (48, 64, 3)]
    assert all({"upload", "network", "download"} <= set(frame.timings) for frame in fused[:2])


def test_without_the_back_ends_package_its_name_is_said(monkeypatch):
    monkeypatch.delitem(sys.modules, "hkdnet_ros.inference.torch_backend", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"needs the Python package torch, which .* install it"):
        load_engine(EngineConfig())


def test_torch_is_not_imported_before_an_engine_is_loaded():
    modules = "hkdnet_ros.inference.engine_api, hkdnet_ros.perception.pipeline"
    program = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_back_end_that_nobody_knows_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match="backend is 'tensor'; choose one of auto, torch, openvino"):
        engine("tensor")
