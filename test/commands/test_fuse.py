from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from pictures import slope

from hkdnet_ros.cli import main
from hkdnet_ros.images.frames import Frame, Pair
from hkdnet_ros.inference.checkpoint import save_checkpoint
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.network.presets import StudentConfig
from hkdnet_ros.network.student import Student
from hkdnet_ros.perception.pipeline import FusionPipeline


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Small random students by scale, as files."""
    paths = {}
    for scale in (2, 3, 4):
        torch.manual_seed(scale)
        config = StudentConfig(
            scale=scale, stride=2, channels=16, head_channels=8, branch_blocks=1, dfa_units=1, cea_channels=8,
            decoder_channels=(16, 8), groups=1, group_blocks=1, upscaled_channels=4, tail_channels=4, image_skip=True,
        )  # fmt: skip
        paths[scale] = tmp_path_factory.mktemp("models") / f"small_x{scale}.safetensors"
        student = Student(config)
        torch.nn.init.normal_(student.output.weight, std=0.1)  # starts at 0, where the network would not show
        save_checkpoint(paths[scale], student, {})
    return paths


@pytest.fixture
def images(tmp_path):
    """A gray thermal image and a visible one in gray and in colour, of 32x24."""
    random = np.random.default_rng(0)
    thermal = slope(24, 32)
    color = cv2.GaussianBlur(random.integers(0, 256, (24, 32, 3), dtype=np.uint8), (0, 0), 2)
    files = {"thermal": thermal, "gray": color[:, :, 1], "color": color, "counts": 7000 + thermal.astype(np.uint16)}
    for name, image in files.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    return tmp_path


def fuse(models, thermal, visible, out, *options, scale=2):
    words = ["fuse", "--thermal", thermal, "--visible", visible, "--out", out, "--model", models[scale]]
    words += ["--scale", scale, "--device", "cpu", "--precision", "fp32", *options]
    return main([str(word) for word in words])


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def last_line(capsys):
    lines = capsys.readouterr().err.strip().splitlines()
    return lines[-1] if lines else ""


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_gray_visible_gives_the_engines_picture_in_8_bits_unstretched(models, images, scale):
    out = images / "fused.png"
    assert fuse(models, images / "thermal.png", images / "gray.png", out, scale=scale) == 0
    fused = read(out)
    engine = load_engine(EngineConfig(model=str(models[scale]), scale=scale, device="cpu", precision="fp32"))
    expected = engine.fuse(read(images / "thermal.png"), read(images / "gray.png"))
    assert fused.dtype == np.uint8
    assert fused.shape == (24 * scale, 32 * scale)
    assert np.abs(fused.astype(int) - np.rint(255 * expected)).max() <= 1


def test_colour_visible_gives_colour_whose_luma_is_the_gray_result(models, images):
    color, gray = images / "fused_color.png", images / "fused_gray.png"
    luma = cv2.cvtColor(read(images / "color.png"), cv2.COLOR_BGR2GRAY)
    cv2.imwrite(str(images / "luma.png"), luma)
    assert fuse(models, images / "thermal.png", images / "color.png", color) == 0
    assert fuse(models, images / "thermal.png", images / "luma.png", gray) == 0
    fused, expected = read(color), read(gray)
    assert fused.shape == (48, 64, 3)
    unsaturated = (fused > 0).all(2) & (fused < 255).all(2)
    difference = cv2.cvtColor(fused, cv2.COLOR_BGR2GRAY).astype(int) - expected
    assert np.abs(difference[unsaturated]).max() <= 2


def test_folders_give_a_png_for_each_name(models, images):
    for name in ("a.png", "b.png"):
        for stream, source in (("thermal", "thermal"), ("visible", "color")):
            (images / stream).mkdir(exist_ok=True)
            (images / stream / name).write_bytes((images / f"{source}.png").read_bytes())
    assert fuse(models, images / "thermal", images / "visible", images / "out" / "fused") == 0
    written = sorted(path.name for path in (images / "out" / "fused").iterdir())
    assert written == ["a.png", "b.png"]
    assert np.array_equal(read(images / "out" / "fused" / "a.png"), read(images / "out" / "fused" / "b.png"))


def test_counts_are_shown_over_the_range_that_is_given(models, images, capsys):
    out = images / "fused.png"
    assert fuse(models, images / "counts.png", images / "gray.png", out, "--thermal-range", 7000, 7255) == 0
    from_counts = read(out)
    assert fuse(models, images / "thermal.png", images / "gray.png", out) == 0
    assert np.abs(from_counts.astype(int) - read(out)).max() <= 1
    assert fuse(models, images / "counts.png", images / "gray.png", out, "--thermal-range", 20, 40) == 1
    assert "counts span 7009 to 7246, outside of 20 to 40" in last_line(capsys)


def test_each_file_is_conditioned_as_the_node_does_with_a_first_image(models, images):
    counts = read(images / "counts.png")
    for folder in ("thermal", "visible"):
        (images / folder).mkdir()
    for name, image in (("a.png", counts), ("b.png", 10 * counts), ("c.png", np.full_like(counts, 40000))):
        cv2.imwrite(str(images / "thermal" / name), image)
        (images / "visible" / name).write_bytes((images / "color.png").read_bytes())
    assert fuse(models, images / "thermal", images / "visible", images / "out") == 0
    engine = load_engine(EngineConfig(model=str(models[2]), scale=2, device="cpu", precision="fp32"))
    for name in ("a.png", "b.png", "c.png"):
        pair = Pair(
            Frame(read(images / "thermal" / name), 0, "", "mono16"), Frame(read(images / "color.png"), 0, "", "bgr8")
        )
        np.testing.assert_array_equal(read(images / "out" / name), FusionPipeline(engine).process(pair).image)


def test_thermal_gain_turns_thermal_out(models, images):
    paths = images / "counts.png", images / "color.png"
    fused = {}
    for gain in (0, 0.5, 1):
        assert fuse(models, *paths, images / "fused.png", "--thermal-gain", gain) == 0
        fused[gain] = read(images / "fused.png").astype(int)
    assert fuse(models, *paths, images / "fused.png") == 0
    np.testing.assert_array_equal(fused[1], read(images / "fused.png"))
    assert fuse(models, images / "thermal.png", images / "color.png", images / "fused.png", "--thermal-gain", 0) == 0
    np.testing.assert_array_equal(fused[0], read(images / "fused.png"))
    assert 0 < np.abs(fused[0.5] - fused[0]).mean() < np.abs(fused[1] - fused[0]).mean()


def test_a_thermal_gain_out_of_range_is_refused(models, images, capsys):
    paths = images / "counts.png", images / "color.png", images / "fused.png"
    assert fuse(models, *paths, "--thermal-gain", 1.5) == 1
    assert "thermal_gain is 1.5" in last_line(capsys)


@pytest.mark.parametrize(
    ("thermal", "visible", "out", "message"),
    [
        ("gone.png", "gray.png", "fused.png", "no such file or folder"),
        ("thermal.png", "empty", "fused.png", "one is a folder, the other a file"),
        ("empty", "empty", "fused", "hold no images"),
        ("thermal.png", "gray.png", "fused.jpg", "name a file that ends in .png"),
        ("thermal.png", "gray.png", "gray.png/fused.png", "choose another --out"),
        ("thermal.png", "broken.png", "fused.png", "not a readable image"),
        ("tiny.png", "tiny.png", "fused.png", "at least 16x16"),
    ],
)
def test_what_cannot_be_fused_is_one_line_and_status_1(models, images, capsys, thermal, visible, out, message):
    (images / "empty").mkdir()
    (images / "broken.png").write_bytes(b"no image")
    cv2.imwrite(str(images / "tiny.png"), np.zeros((8, 8), np.uint8))
    assert fuse(models, images / thermal, images / visible, images / out) == 1
    assert message in last_line(capsys)


def test_an_input_is_not_overwritten(models, images, capsys):
    for stream in ("thermal", "visible"):
        (images / stream).mkdir()
        (images / stream / "a.png").write_bytes((images / "thermal.png").read_bytes())
    before = (images / "thermal.png").read_bytes()
    for paths in (("thermal.png", "gray.png", "thermal.png"), ("thermal", "visible", "visible")):
        assert fuse(models, *(images / path for path in paths)) == 1
        assert "would be overwritten; choose another --out" in last_line(capsys)
    assert (images / "thermal.png").read_bytes() == (images / "visible" / "a.png").read_bytes() == before


def test_names_without_a_partner_are_named(models, images, capsys):
    for stream, name in (("thermal", "a.png"), ("thermal", "b.png"), ("visible", "a.png")):
        (images / stream).mkdir(exist_ok=True)
        (images / stream / name).write_bytes((images / "thermal.png").read_bytes())
    assert fuse(models, images / "thermal", images / "visible", images / "out") == 1
    assert "without a partner of the same name: b" in last_line(capsys)
