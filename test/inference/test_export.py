from __future__ import annotations

import numpy as np
import pytest
import torch

from hkdnet_ros.cli import main
from hkdnet_ros.errors import ConfigError, SourceError
from hkdnet_ros.inference.checkpoint import save_checkpoint
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.export import FORMATS, export
from hkdnet_ros.network.presets import preset
from hkdnet_ros.network.student import Student

HEIGHT, WIDTH = 18, 23


@pytest.fixture
def images():
    return np.random.default_rng(0).random((2, HEIGHT, WIDTH), dtype=np.float32)


@pytest.fixture
def expected(student_file, images):
    return load_engine(EngineConfig(model=str(student_file(2)), device="cpu", precision="fp32")).fuse(*images)


def test_torch_export_program_gives_the_engines_picture(small_student, tmp_path, images, expected):
    path = tmp_path / "student.pt2"
    export(small_student(2), path, height=HEIGHT, width=WIDTH)
    program = torch.export.load(path).module()
    with torch.inference_mode():
        fused = program(*(torch.from_numpy(image)[None, None] for image in images))
    np.testing.assert_allclose(fused[0, 0].numpy(), expected, atol=1e-4)


def test_onnx_file_gives_the_engines_picture(small_student, tmp_path, images, expected):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    path = tmp_path / "student.onnx"
    export(small_student(2), path, height=HEIGHT, width=WIDTH)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (fused,) = session.run(["fused"], {"thermal": images[:1, None], "visible": images[1:, None]})
    np.testing.assert_allclose(fused[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_default_preset_exports_and_gives_the_engines_picture(tmp_path, images, suffix):
    """It has what the small student lacks: the enlarged source added to the output."""
    if suffix == ".onnx":
        runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    torch.manual_seed(0)
    student = Student(preset("realtime", scale=2)).eval()
    torch.nn.init.normal_(student.output.weight, std=0.01)  # else the source alone comes out
    save_checkpoint(tmp_path / "fresh.safetensors", student, {})
    settings = EngineConfig(model=str(tmp_path / "fresh.safetensors"), device="cpu", precision="fp32")
    expected = load_engine(settings).fuse(*images)
    path = tmp_path / f"fresh{suffix}"
    export(student, path, height=HEIGHT, width=WIDTH)
    if suffix == ".onnx":
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (fused,) = session.run(["fused"], {"thermal": images[:1, None], "visible": images[1:, None]})
    else:
        with torch.inference_mode():
            fused = torch.export.load(path).module()(*(torch.from_numpy(image)[None, None] for image in images)).numpy()
    np.testing.assert_allclose(fused[0, 0], expected, atol=1e-4)
    assert fused.std() > 0.05


def test_the_command_writes_a_program_from_a_checkpoint(student_file, tmp_path, capsys):
    out = tmp_path / "small.pt2"
    assert main(["export", "--model", str(student_file(2)), "--size", f"{WIDTH}x{HEIGHT}", "--out", str(out)]) == 0
    assert out.stat().st_size > 0
    assert f"input {WIDTH}x{HEIGHT}, x2" in capsys.readouterr().out


def test_unusable_requests_are_named(small_student, tmp_path):
    with pytest.raises(ConfigError, match=r"\.onnx, \.pt2"):
        export(small_student(2), tmp_path / "student.bin", height=HEIGHT, width=WIDTH)
    with pytest.raises(ConfigError, match="at least 16x16"):
        export(small_student(2), tmp_path / "student.pt2", height=8, width=WIDTH)
    with pytest.raises(SourceError, match="is no folder"):
        export(small_student(2), tmp_path / "no" / "student.pt2", height=HEIGHT, width=WIDTH)
