from __future__ import annotations

import errno
import hashlib
import json

import numpy as np
import pytest
import torch

import hkdnet_ros
from hkdnet_ros.cli import main
from hkdnet_ros.errors import ConfigError, SourceError
from hkdnet_ros.inference.checkpoint import read_metadata, save_checkpoint, weights_path
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.export import FORMATS, METADATA_FILE, export
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
    sizes = f"thermal {WIDTH}x{HEIGHT}, visible {WIDTH}x{HEIGHT}, output {2 * WIDTH}x{2 * HEIGHT}"
    assert sizes in capsys.readouterr().out


def run_file(path, thermal, visible):
    """Return what an exported file makes of two images (H, W)."""
    images = {"thermal": thermal[None, None], "visible": visible[None, None]}
    if path.suffix == ".onnx":
        runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(["fused"], images)[0][0, 0]
    with torch.inference_mode():
        program = torch.export.load(path).module()
        return program(*(torch.from_numpy(image) for image in images.values()))[0, 0].numpy()


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_shipped_guided_network_takes_any_size_and_gives_the_engines_picture(tmp_path, suffix, capsys):
    if suffix == ".onnx":
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    path = tmp_path / f"guided{suffix}"
    assert main(["export", "--model", "guided", "--out", str(path)]) == 0
    assert "any multiples of 8 pixels, thermal 1/2 as wide" in capsys.readouterr().out
    engine = load_engine(EngineConfig(model="guided", device="cpu", precision="fp32"))
    random = np.random.default_rng(0)
    for height, width in ((32, 48), (64, 40)):
        thermal = random.random((height // 2, width // 2), dtype=np.float32)
        visible = random.random((height, width), dtype=np.float32)
        np.testing.assert_allclose(run_file(path, thermal, visible), engine.fuse(thermal, visible), atol=1e-4)


def test_a_size_that_is_given_is_fixed_and_may_be_odd(tmp_path, capsys):
    path = tmp_path / "guided.pt2"
    assert main(["export", "--model", "guided", "--size", "43x35", "--out", str(path)]) == 0
    assert "thermal 22x18, visible 43x35, output 43x35" in capsys.readouterr().out
    random = np.random.default_rng(0)
    thermal, visible = random.random((18, 22), dtype=np.float32), random.random((35, 43), dtype=np.float32)
    engine = load_engine(EngineConfig(model="guided", device="cpu", precision="fp32"))
    np.testing.assert_allclose(run_file(path, thermal, visible), engine.fuse(thermal, visible), atol=1e-4)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("model", "scales"), [("realtime", ("2", "2")), ("fast", ("2", "2")), ("guided", ("2", "1"))])
def test_a_file_says_which_network_it_is_and_whence_it_comes(tmp_path, suffix, model, scales):
    path = tmp_path / f"file{suffix}"
    assert main(["export", "--model", model, "--size", "32x32", "--out", str(path)]) == 0
    if suffix == ".onnx":
        onnx = pytest.importorskip("onnx", reason="onnx is not installed")
        said = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    else:
        files = {METADATA_FILE: ""}
        torch.export.load(path, extra_files=files)
        said = json.loads(files[METADATA_FILE])
    weights = weights_path(model, 2)
    assert said["model"] == weights.stem
    assert (said["scale"], said["visible_scale"]) == scales
    assert said["source"] == f"hkdnet_ros {hkdnet_ros.__version__}"
    assert said["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    metadata = read_metadata(weights)
    assert {key: json.loads(said[f"weights_{key}"]) for key in metadata} == metadata


def test_a_file_for_tensorrt_says_of_each_tensor_which_format_it_has(tmp_path, capsys):
    """TensorRT goes by that alone: convolutions compute in half but for a student's ends, as the engine's do."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    path = tmp_path / "half.onnx"
    assert main(["export", "--model", "realtime", "--precision", "fp16", "--size", "40x32", "--out", str(path)]) == 0
    said = capsys.readouterr().out
    assert "ONNX in fp16 (agrees with torch to" in said
    assert "run by ONNX Runtime)" in said
    model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
    onnx.checker.check_model(model, full_check=True)
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    formats = {each.name: each.type.tensor_type.elem_type for each in values}
    single, half = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
    assert {formats[name] for name in ("thermal", "visible", "fused")} == {single}
    convolutions = [formats[node.output[0]] for node in model.graph.node if node.op_type == "Conv"]
    assert convolutions.count(single) == 3  # the first one, of both images, and the last
    assert convolutions.count(half) > 40
    assert max(entry.version for entry in model.opset_import if not entry.domain) <= 20  # what TensorRT 10.3 reads


def test_half_is_for_onnx(small_student, tmp_path):
    with pytest.raises(ConfigError, match=r"fp16 is for TensorRT, which reads \.onnx"):
        export(small_student(2), tmp_path / "student.pt2", height=HEIGHT, width=WIDTH, precision="fp16")


def test_an_export_is_of_one_network(tmp_path, capsys):
    assert main(["export", "--model", "auto", "--out", str(tmp_path / "hkdnet.onnx")]) == 1
    assert "auto is neither a preset" in capsys.readouterr().err


def test_unusable_requests_are_named(small_student, tmp_path):
    with pytest.raises(ConfigError, match=r"\.onnx, \.pt2"):
        export(small_student(2), tmp_path / "student.bin", height=HEIGHT, width=WIDTH)
    with pytest.raises(ConfigError, match="at least 16x16"):
        export(small_student(2), tmp_path / "student.pt2", height=8, width=WIDTH)
    with pytest.raises(ConfigError, match="a guided network and multiples of 8"):
        export(small_student(2), tmp_path / "student.pt2", height=16, width=24, any_size=True)
    with pytest.raises(SourceError, match="is no folder"):
        export(small_student(2), tmp_path / "no" / "student.pt2", height=HEIGHT, width=WIDTH)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_cannot_be_written_leaves_what_was_there(small_student, tmp_path, monkeypatch, suffix):
    path = tmp_path / f"student{suffix}"
    path.write_bytes(b"the last one")

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(SourceError, match="No space left on device"):
        export(small_student(2), path, height=HEIGHT, width=WIDTH)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(path.name, b"the last one")]
