"""The back end of ONNX Runtime runs what ``hkdnet export`` wrote, and gives torch's picture without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hkdnet_ros.cli import main
from hkdnet_ros.errors import CheckpointError, ConfigError, ImageError
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.precision_trial import agreement

for package in ("onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture(scope="module")
def guided(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "guided.onnx"
    assert main(["export", "--model", "guided", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def realtime(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "realtime.onnx"
    assert main(["export", "--model", "realtime", "--size", "64x48", "--out", str(path)]) == 0
    return path


def engine(model, **settings):
    return load_engine(EngineConfig(model=str(model), **settings))


def pair(it, height, width):
    random = np.random.default_rng(0)
    thermal = it.sizes.thermal_for(it.sizes.output_for((height, width)))
    return random.random(thermal, dtype=np.float32), random.random((height, width), dtype=np.float32)


@pytest.mark.parametrize(("size", "least"), [((64, 96), 80), ((48, 40), 80), ((63, 91), 45)])
def test_guided_of_any_size_gives_torchs_picture(guided, size, least):
    """Beside a multiple of 8 the file is given images with their edge repeated, which torch's network does inside."""
    ours, torchs = engine(guided, backend="onnxruntime"), engine("guided", backend="torch", precision="fp32")
    assert (ours.backend, ours.model_name, ours.device, ours.precision) == ("onnxruntime", "guided", "cpu", "fp32")
    assert ours.sizes == torchs.sizes
    images = pair(ours, *size)
    fused = ours.fuse(*images)
    assert fused.shape == size
    assert agreement(torchs.fuse(*images), fused) > least


def test_a_student_of_one_size_gives_torchs_picture_and_refuses_another(realtime):
    ours, torchs = engine(realtime, backend="onnxruntime"), engine("realtime", backend="torch", precision="fp32")
    images = pair(ours, 48, 64)
    assert agreement(torchs.fuse(*images), ours.fuse(*images)) > 80
    with pytest.raises(ImageError, match="takes thermal images of 64x48, and this one is brought to 32x24; export it"):
        ours.fuse(*pair(ours, 24, 32))


def test_auto_takes_it_for_a_file_of_its_own(guided, monkeypatch):
    monkeypatch.delenv("HKDNET_ROS_BACKEND")
    assert engine(guided).backend == "onnxruntime"


def test_torch_is_not_needed(guided):
    program = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from hkdnet_ros import EngineConfig, load_engine
engine = load_engine(EngineConfig(model={str(guided)!r}, backend="onnxruntime"))
print(engine.fuse(np.full((24, 32), 0.5, np.float32), np.full((48, 64), 0.5, np.float32)).shape)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stdout == "(48, 64)\n", result.stderr


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"model": "guided"},
            ConfigError,
            "runs files of `hkdnet export`, and model is guided; export it to NAME.onnx",
        ),
        ({"precision": "bf16"}, ConfigError, "computes in fp32, not in bf16"),
        ({"device": "cuda:0"}, ConfigError, "this ONNX Runtime has no CUDA"),
        ({"device": "tpu"}, ConfigError, "device is 'tpu'"),
        ({"model": "/nowhere/a.onnx"}, CheckpointError, "/nowhere/a.onnx: cannot be loaded"),
    ],
)
def test_what_it_cannot_do_is_said(guided, settings, error, message):
    with pytest.raises(error, match=message):
        engine(**{"model": guided, "backend": "onnxruntime", **settings})


def test_a_file_of_another_make_is_refused(guided, tmp_path):
    import onnx

    model = onnx.load(guided)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(CheckpointError, match="does not say its scale; export it again"):
        engine(tmp_path / "other.onnx", backend="onnxruntime")


def test_what_export_wrote_was_compared_with_torch(guided, tmp_path, capsys):
    assert main(["export", "--model", "guided", "--size", "64x48", "--out", str(tmp_path / "guided.pt2")]) == 0
    assert "(agrees with torch to" in capsys.readouterr().out
