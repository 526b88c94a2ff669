"""The back end of TensorRT as far as no GPU is needed: what it hands over, and what is kept, found again and said."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hkdnet_ros.errors import ConfigError, DeviceError, MissingDependencyError
from hkdnet_ros.images.frames import Frame, Pair
from hkdnet_ros.inference.cache import cache_folder
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.precision_trial import LEAST_AGREEMENT, agreement, rounding_scene
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline

MODULES = ("hkdnet_ros.inference.tensorrt_engine", "hkdnet_ros.inference.tensorrt_backend")


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    """Import the back end anew in each test, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def stand_in(monkeypatch):
    """TensorRT's stand-in, and a CPU in the place of the GPU."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    package = importlib.import_module("stand_in_tensorrt")
    package.built.clear()
    monkeypatch.setitem(sys.modules, "tensorrt", package)
    backend = importlib.import_module(MODULES[1])
    monkeypatch.setattr(backend, "choose_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(backend, "CPU", "none")
    gpu = SimpleNamespace(name="Some GPU 80GB", major=9, minor=0, multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    return package


def engine(model, **settings):
    return load_engine(EngineConfig(model=str(model), backend="tensorrt", **settings))


def pair(it, height, width):
    random = np.random.default_rng(0)
    thermal = it.sizes.thermal_for(it.sizes.output_for((height, width)))
    return random.random(thermal, dtype=np.float32), random.random((height, width), dtype=np.float32)


def torchs(model, **settings):
    return load_engine(EngineConfig(model=str(model), backend="torch", device="cpu", precision="fp32", **settings))


def test_whole_images_and_parts_are_torchs_picture_in_fp16(stand_in, monkeypatch):
    it = engine("guided", precision="fp16")
    assert (it.backend, it.precision, it.takes_raw) == ("tensorrt", "fp16", True)
    exact = torchs("guided")
    scene = rounding_scene(it.sizes, side=96)
    assert agreement(exact.fuse(*scene), it.fuse(*scene)) >= LEAST_AGREEMENT
    monkeypatch.setattr("hkdnet_ros.inference.tiles.LARGEST_WHOLE", 320 * 320)
    images = pair(it, 328, 320)
    assert agreement(exact.fuse(*images), it.fuse(*images)) >= LEAST_AGREEMENT
    assert len(stand_in.built) == 2
    assert stand_in.built[-1].endswith("1x4")


def small_onnx(side=20):
    """A network in ONNX that adds two images: what is kept of it and how it is found again does not depend on it."""
    import onnx
    from onnx import TensorProto, helper

    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, side, side))
        for name in ("thermal", "visible", "fused")
    ]
    graph = helper.make_graph([helper.make_node("Add", ["thermal", "visible"], ["fused"])], "g", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def quick(stand_in, monkeypatch, student_file):
    """Return a function that opens a back end in which every network is :func:`small_onnx`."""
    monkeypatch.setattr(
        sys.modules[MODULES[1]], "to_onnx", lambda module, example, names: small_onnx(example[0].shape[2])
    )
    monkeypatch.setattr(sys.modules[MODULES[1]], "sizes_of", lambda network: Sizes(1, 1))
    path = student_file(2)
    return lambda: engine(path, precision="fp32")


def test_an_engine_is_built_once_for_a_size_and_found_again(stand_in, quick):
    it = quick()
    images = pair(it, 20, 20)
    for _ in range(2):
        np.testing.assert_allclose(it.fuse(*images), np.clip(images[0] + images[1], 0, 1), atol=1e-6)
    assert stand_in.built == ["1x1x20x20 1x1x20x20"]
    quick().fuse(*images)
    assert len(stand_in.built) == 1
    it.fuse(*pair(it, 24, 24))
    assert stand_in.built[1:] == ["1x1x24x24 1x1x24x24"]


def test_a_pair_as_it_comes_goes_through_the_engine(quick, monkeypatch):
    counts = np.random.default_rng(0).integers(20_000, 30_000, (20, 20)).astype(np.uint16)
    colours = np.random.default_rng(1).integers(0, 100, (20, 20, 3)).astype(np.uint8)
    images = Pair(Frame(counts, 1, "thermal", "mono16"), Frame(colours, 2, "visible", "bgr8"))
    it = quick()
    found = FusionPipeline(it, PerceptionConfig()).process(images)
    assert "color" not in found.timings
    monkeypatch.setattr(it._backend, "takes_raw", False)
    expected = FusionPipeline(it, PerceptionConfig()).process(images)
    assert np.abs(found.image.astype(int) - expected.image).max() <= 3


def test_another_version_or_gpu_builds_its_own(stand_in, quick, monkeypatch):
    images = pair(quick(), 20, 20)
    quick().fuse(*images)
    monkeypatch.setattr(stand_in, "__version__", "11.4.0")
    quick().fuse(*images)
    orin = SimpleNamespace(name="Orin", major=8, minor=7, multi_processor_count=16)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: orin)
    quick().fuse(*images)
    assert len(stand_in.built) == 3
    names = sorted(path.name for path in (cache_folder() / "tensorrt").iterdir())
    assert len(names) == 3
    assert all(name.startswith("small_x2_") and name.endswith(".engine") for name in names)
    assert sum("Orin_8.7" in name and "trt11.4.0" in name for name in names) == 1


@pytest.mark.parametrize("damage", [lambda plan: plan[:100], lambda plan: plan + b"\0", lambda plan: b""])
def test_a_damaged_engine_is_built_anew(stand_in, quick, damage):
    images = pair(quick(), 20, 20)
    quick().fuse(*images)
    (kept,) = (cache_folder() / "tensorrt").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    for _ in range(2):
        np.testing.assert_allclose(quick().fuse(*images), np.clip(images[0] + images[1], 0, 1), atol=1e-6)
        assert len(stand_in.built) == 2


def test_a_cache_that_cannot_be_written_does_no_harm(stand_in, quick, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    images = pair(quick(), 20, 20)
    assert quick().fuse(*images).shape == (20, 20)


def test_a_network_for_any_size_is_built_for_one(stand_in):
    """Without a profile TensorRT refuses it."""
    fix_sizes = importlib.import_module(MODULES[0])._fix_sizes
    inputs = [
        SimpleNamespace(name="thermal", shape=(1, 1, -1, -1)),
        SimpleNamespace(name="visible", shape=(1, 1, 8, 8)),
    ]
    network = SimpleNamespace(num_inputs=2, get_input=inputs.__getitem__)
    shapes, profiles = {}, []
    profile = SimpleNamespace(set_shape=lambda name, *bounds: shapes.__setitem__(name, bounds))
    builder = SimpleNamespace(create_optimization_profile=lambda: profile)
    config = SimpleNamespace(add_optimization_profile=profiles.append)
    fix_sizes(builder, network, config, [(1, 1, 4, 4), (1, 1, 8, 8)])
    assert shapes == {"thermal": ((1, 1, 4, 4),) * 3, "visible": ((1, 1, 8, 8),) * 3}
    assert profiles == [profile]


def test_a_format_that_it_has_not_is_named(stand_in):
    with pytest.raises(ConfigError, match="computes in fp16 or fp32, not in bf16; choose auto"):
        engine("guided", precision="bf16")


def test_it_is_for_cuda(stand_in, monkeypatch):
    monkeypatch.setattr(sys.modules[MODULES[1]], "CPU", "cpu")
    with pytest.raises(ConfigError, match="computes on CUDA, and device is cpu; choose backend torch"):
        engine("guided")


def test_an_old_tensorrt_is_named(stand_in, monkeypatch):
    monkeypatch.setattr(stand_in, "__version__", "8.6.2")
    with pytest.raises(ConfigError, match=r"TensorRT 8\.6\.2 is here, .* needs 10 or later"):
        engine("guided")


def test_a_build_that_fails_is_a_device_that_fails(stand_in, quick, monkeypatch):
    monkeypatch.setattr(stand_in.Builder, "build_serialized_network", lambda *_: None)
    it = quick()
    with pytest.raises(DeviceError, match=r"cannot build small_x2 in fp32 for 20x20 pixels; .*choose backend torch"):
        it.fuse(*pair(it, 20, 20))
    assert not (cache_folder() / "tensorrt").exists()


def test_where_there_is_none_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # so that its import fails
    with pytest.raises(MissingDependencyError) as caught:
        engine("guided")
    text = str(caught.value)
    assert "\n" not in text
    assert "apt install python3-libnvinfer" in text
    assert text.endswith("or choose backend torch")


@pytest.mark.parametrize("steps", [1, 3])
def test_progress_rises_to_the_end_however_phases_lie_in_each_other(stand_in, steps):
    progress_of = importlib.import_module(MODULES[0]).BuildProgress
    seen = []
    progress = progress_of(seen.append)
    progress.start("build", None, 2)
    for outer in range(2):
        progress.start(f"inner {outer}", "build", steps)
        progress.start("innermost", f"inner {outer}", 0)
        progress.step("innermost", 0)
        for step in range(steps):
            progress.step(f"inner {outer}", step)
        progress.finish("innermost")
        progress.finish(f"inner {outer}")
        progress.step("build", outer)
    progress.step("never begun", 3)
    progress.finish("build")
    assert seen == sorted(set(seen))
    assert 50 in seen
    assert seen[-1] == 100
