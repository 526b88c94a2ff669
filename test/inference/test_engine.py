from __future__ import annotations

import numpy as np
import pytest
import torch

from hkdnet_ros.errors import CheckpointError, ConfigError, DeviceError, ImageError
from hkdnet_ros.inference.checkpoint import load_student
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.device import choose_device, has_bf16
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.precision_trial import LEAST_AGREEMENT, rounding_scene
from hkdnet_ros.inference.sizes import Sizes

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")),
]
FORMATS = ["fp32", "bf16", "fp16"]


def pair(height=30, width=34, seed=0):
    random = np.random.default_rng(seed)
    return random.random((2, height, width), dtype=np.float32)


def psnr(a, b):
    return 10 * np.log10(1 / max(float(np.mean((a - b) ** 2)), 1e-20))


def engine(path, scale=2, **settings):
    return load_engine(EngineConfig(model=str(path), scale=scale, **settings))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fuse_equals_the_network_run_by_hand(student_file, device, scale):
    path = student_file(scale)
    thermal, visible = pair()
    with torch.inference_mode():
        network, _ = load_student(path)
        expected = network(torch.from_numpy(thermal)[None, None], torch.from_numpy(visible)[None, None]).fused
    fused = engine(path, scale, device=device, precision="fp32").fuse(thermal, visible)
    assert fused.dtype == np.float32
    assert fused.shape == (scale * 30, scale * 34)
    assert psnr(fused, expected[0, 0].clamp(0, 1).numpy()) > 80


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", FORMATS)
def test_shorter_formats_stay_close_to_fp32(device, precision):
    """With the weights that ship, on the scene that ``auto`` judges by and on one it has not seen."""
    if device == "cpu" and precision == "fp16":
        pytest.skip("fp16 is for CUDA")
    if precision == "bf16" and not has_bf16(torch.device(device)):
        pytest.skip("this device computes bf16 in software, for minutes")
    exact = load_engine(EngineConfig(device=device, precision="fp32"))
    fast = load_engine(EngineConfig(device=device, precision=precision))
    scene = rounding_scene(Sizes(2, 2), side=64)
    assert psnr(exact.fuse(*scene), fast.fuse(*scene)) >= LEAST_AGREEMENT
    shifted = [np.ascontiguousarray(np.roll(image, 13, axis=1)[:, ::-1]) for image in scene]
    assert psnr(exact.fuse(*shifted), fast.fuse(*shifted)) >= LEAST_AGREEMENT


@pytest.mark.parametrize("device", DEVICES)
def test_auto_precision_is_one_that_the_device_has(student_file, device):
    chosen = engine(student_file(2), device=device, precision="auto").precision
    allowed = {"cuda": {"fp16", "fp32"}, "cpu": {"bf16", "fp32"} if has_bf16(torch.device("cpu")) else {"fp32"}}
    assert chosen in allowed[device]


def test_auto_falls_back_to_fp32_where_rounding_shows(student_file, monkeypatch):
    monkeypatch.setattr("hkdnet_ros.inference.torch_backend.fast_precision", lambda device: "bf16")
    monkeypatch.setattr("hkdnet_ros.inference.precision_trial.LEAST_AGREEMENT", 200.0)
    assert engine(student_file(2), device="cpu").precision == "fp32"


@pytest.fixture
def _overflowing(monkeypatch):
    """Let every format but fp32 overflow, as fp16 does beyond 65504."""

    def overflow(network, dtype):
        if dtype != torch.float32:
            network.output.bias.fill_(torch.nan)
        return network

    monkeypatch.setattr("hkdnet_ros.inference.torch_backend.fast_precision", lambda device: "fp16")
    monkeypatch.setattr("hkdnet_ros.inference.torch_backend.compute_in", overflow)


@pytest.mark.usefixtures("_overflowing")
def test_auto_falls_back_to_fp32_where_the_shorter_format_overflows(student_file):
    assert engine(student_file(2), device="cpu").precision == "fp32"


@pytest.mark.usefixtures("_overflowing")
def test_a_format_asked_for_by_name_that_overflows_is_refused(student_file):
    with pytest.raises(ConfigError, match="precision bf16 overflows in small_x2; choose auto or fp32"):
        engine(student_file(2), device="cpu", precision="bf16")


def test_an_output_that_is_not_finite_is_an_error_and_no_image(student_file):
    running = engine(student_file(2), device="cpu", precision="fp32")
    running._backend._network.output.bias.fill_(torch.nan)
    with pytest.raises(ImageError, match="output of small_x2 is not finite in fp32; set precision to fp32"):
        running.fuse(*pair())


def test_float32_is_not_rounded_to_tf32(student_file, monkeypatch):
    running = engine(student_file(2), device="cpu", precision="fp32")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    seen = []
    running._backend._network.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    running.fuse(*pair())
    assert (seen, torch.backends.cudnn.allow_tf32) == ([False], True)


@pytest.mark.parametrize("device", DEVICES)
def test_8_bit_and_float_inputs_of_the_same_values_fuse_alike(student_file, device):
    thermal, visible = np.random.default_rng(1).integers(0, 256, (2, 20, 20), dtype=np.uint8)
    running = engine(student_file(2), device=device, precision="fp32")
    scaled = [image.astype(np.float32) / 255 for image in (thermal, visible)]
    np.testing.assert_allclose(running.fuse(thermal, visible), running.fuse(*scaled), atol=2e-5)  # rounding of 1 / 255


def test_strided_read_only_views_of_a_message_are_taken(student_file):
    running = engine(student_file(2), device="cpu", precision="fp32")
    padded = np.random.default_rng(1).integers(0, 256, (20, 32), dtype=np.uint8)
    padded.setflags(write=False)
    view = padded[:, 3:27]
    np.testing.assert_array_equal(running.fuse(view, view), running.fuse(view.copy(), view.copy()))


def test_results_stay_the_callers_when_the_engine_goes_on(student_file):
    running = engine(student_file(2), device="cpu", precision="fp32")
    first = running.fuse(*pair(seed=1))
    kept = first.copy()
    running.fuse(*pair(seed=2))
    np.testing.assert_array_equal(first, kept)


def test_a_size_that_changes_gives_the_same_as_a_fresh_engine(student_file):
    path = student_file(2)
    running = engine(path, device="cpu", precision="fp32")
    running.fuse(*pair(40, 24))
    np.testing.assert_array_equal(
        running.fuse(*pair(16, 50)), engine(path, device="cpu", precision="fp32").fuse(*pair(16, 50))
    )


def test_output_is_clipped_to_the_unit_range(student_file, small_student, tmp_path):
    from hkdnet_ros.inference.checkpoint import save_checkpoint

    bright = small_student(2)
    with torch.no_grad():
        bright.output.bias.fill_(40.0)
    path = tmp_path / "bright.safetensors"
    save_checkpoint(path, bright, {})
    assert engine(path, device="cpu").fuse(*pair()).max() == 1.0


def test_timings_name_the_stages_of_the_last_call(student_file):
    running = engine(student_file(2), device="cpu")
    assert running.timings == {}
    running.fuse(*pair())
    assert list(running.timings) == ["upload", "network", "download"]
    assert all(value >= 0 for value in running.timings.values())


def test_warm_up_takes_a_size_and_returns_seconds(student_file):
    assert engine(student_file(2), device="cpu").warm_up(24, 32) > 0


@pytest.mark.parametrize(
    ("thermal", "visible", "message"),
    [
        (np.zeros((15, 20), np.float32), np.zeros((15, 20), np.float32), r"thermal luma has shape \(15, 20\)"),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8), "expected .H, W."),
        (np.zeros((20, 20), np.float64), np.zeros((20, 20), np.float32), "thermal luma is float64"),
        (np.zeros((20, 20), np.uint16), np.zeros((20, 20), np.uint8), "thermal luma is uint16"),
        (np.full((20, 20), np.nan, np.float32), np.zeros((20, 20), np.float32), "spans nan"),
        (np.zeros((20, 20), np.float32), np.full((20, 20), np.inf, np.float32), "visible luma spans inf"),
        (np.full((20, 20), 1.5, np.float32), np.zeros((20, 20), np.float32), "spans 1.5 to 1.5"),
        (np.zeros((20, 20), np.uint8), np.zeros((20, 21), np.uint8), "bring thermal to .20, 21."),
    ],
)
def test_an_unusable_image_is_named_and_the_engine_lives_on(student_file, thermal, visible, message):
    running = engine(student_file(2), device="cpu")
    with pytest.raises(ImageError, match=message):
        running.fuse(thermal, visible)
    assert running.fuse(*pair()).shape == (60, 68)


def test_settings_that_cannot_be_had_are_named(student_file):
    path = student_file(2)
    with pytest.raises(ConfigError, match="fp16 needs CUDA"):
        engine(path, device="cpu", precision="fp16")
    with pytest.raises(ConfigError, match="choose auto, cpu, cuda"):
        engine(path, device="tpu")
    with pytest.raises(ConfigError, match="precision is 'int8'"):
        EngineConfig(precision="int8")
    with pytest.raises(CheckpointError, match="set scale to 2"):
        engine(path, scale=3)


def test_a_cuda_device_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=f"torch sees {torch.cuda.device_count()} CUDA devices"):
        choose_device(f"cuda:{torch.cuda.device_count()}")


def test_folding_batch_norms_changes_nothing_but_rounding(small_student):
    from hkdnet_ros.inference.torch_backend import fold_batch_norms

    thermal, visible = (torch.from_numpy(image)[None, None] for image in pair())
    network = small_student(2)
    with torch.inference_mode():
        before = network(thermal, visible).fused
        fold_batch_norms(network)
        after = network(thermal, visible).fused
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the documentation"),
        RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_a_device_that_fails_is_told_from_a_defect(student_file, monkeypatch, error):
    it = engine(student_file(2), device="cpu")

    def fail(thermal, visible, lap, frame):
        raise error

    monkeypatch.setattr(it._backend, "_run", fail)
    with pytest.raises(DeviceError, match="the device failed: ") as caught:
        it.fuse(*pair())
    assert "\n" not in str(caught.value)
    error = RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")
    with pytest.raises(RuntimeError, match="size of tensor"):
        it.fuse(*pair())
