from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pictures import slope
from PIL import Image, ImageOps

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


def test_a_range_says_which_counts_are_black_and_white(models, images, capsys):
    out = images / "fused.png"
    assert fuse(models, images / "counts.png", images / "gray.png", out, "--thermal-range", 7000, 7255) == 0
    from_counts = read(out)
    assert fuse(models, images / "thermal.png", images / "gray.png", out) == 0
    assert np.abs(from_counts.astype(int) - read(out)).max() <= 1
    assert fuse(models, images / "counts.png", images / "gray.png", out, "--thermal-range", 20, 40) == 1
    assert "outside of 20 to 40; give --thermal-range in the unit" in last_line(capsys)


@pytest.mark.parametrize("unit", [np.float32(100), np.float32(1)])
def test_float_tiff_in_any_unit_is_conditioned_as_counts_are(models, images, unit):
    out = images / "fused.png"
    assert fuse(models, images / "counts.png", images / "gray.png", out) == 0
    expected = read(out)
    cv2.imwrite(str(images / "floats.tiff"), (read(images / "counts.png") / unit - 27315 / unit).astype(np.float32))
    assert fuse(models, images / "floats.tiff", images / "gray.png", out) == 0
    assert np.abs(expected.astype(int) - read(out)).max() <= 1
    assert fuse(models, images / "thermal.png", images / "floats.tiff", out) == 1


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
        ("empty", "also_empty", "fused", "hold no images"),
        ("empty", "gone/../empty", "fused", "no such file or folder"),
        ("empty", "empty", "fused", "are one folder: each image would be fused with itself"),
        ("empty", "empty_too", "fused", "are one folder: each image would be fused with itself"),
        ("gray.png", "gray.png", "fused.png", "are one file, which would be fused with itself"),
        ("gray.png", "linked.png", "fused.png", "are one file, which would be fused with itself"),
        ("thermal.png", "gray.png", "fused.jpg", "name a file that ends in .png"),
        ("thermal.png", "gray.png", "gray.png/fused.png", "choose another --out"),
        ("thermal.png", "broken.png", "fused.png", "not a readable image"),
        ("thermal.png", "nothing.png", "fused.png", "not a readable image (0 bytes)"),
        ("thermal.png", "floats.tiff", "fused.png", "32FC1 has no luma"),
        ("thermal.png", "wide.png", "fused.png", "thermal is 32x24 and visible 48x24"),
        ("tiny.png", "gray.png", "fused.png", "at least 16x16"),
    ],
)
def test_what_cannot_be_fused_is_one_line_and_status_1(models, images, capsys, thermal, visible, out, message):
    for name in ("empty", "also_empty"):
        (images / name).mkdir()
    (images / "empty_too").symlink_to("empty")
    (images / "linked.png").symlink_to("gray.png")
    (images / "nothing.png").touch()
    cv2.imwrite(str(images / "floats.tiff"), np.ones((24, 32), np.float32))
    cv2.imwrite(str(images / "wide.png"), np.zeros((24, 48), np.uint8))
    (images / "broken.png").write_bytes(b"no image")
    cv2.imwrite(str(images / "tiny.png"), np.zeros((6, 8), np.uint8))
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


def folders(images, names, thermal="thermal.png", visible="color.png"):
    """Write pairs of these names, with their suffixes, to thermal/ and visible/."""
    for stream, source in (("thermal", thermal), ("visible", visible)):
        for name in names:
            path = images / stream / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((images / source).read_bytes())


def test_what_is_wrong_with_some_files_is_named_and_the_rest_fused(models, images, capsys):
    folders(images, ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png", "Straße ü.PNG"])
    (images / "visible" / "b.png").write_bytes((images / "color.png").read_bytes()[:300])  # broken off
    (images / "thermal" / "c.png").unlink()
    (images / "visible" / "d.png").unlink()
    (images / "visible" / "d.png").symlink_to("gone.png")
    (images / "visible" / "e.png").unlink()
    (images / "visible" / "e.png").symlink_to(images / "thermal" / "e.png")
    (images / "visible" / "f.bmp").write_bytes(b"")
    (images / "thermal" / "._a.png").write_bytes(b"of macOS")
    out = images / "out"
    assert fuse(models, images / "thermal", images / "visible", out) == 1
    assert sorted(path.name for path in out.iterdir()) == ["Straße ü.png", "a.png"]
    said = capsys.readouterr()
    assert "2 fused images in" in said.out
    lines = [line for line in said.err.replace("\r", "\n").splitlines() if line.startswith("hkdnet: left out: ")]
    for words in (
        "b.png: not a readable image (300 bytes)",
        "d.png: cannot be read (No such file or directory)",
        "visible: 1 image(s) without a partner of the same name: c",
        "thermal: 1 image(s) without a partner of the same name: f",
        "e.png are one file",
        "visible: f.bmp and f.png bear one name",
    ):
        assert sum(words in line for line in lines) == 1, words
    assert len(lines) == 6


def test_a_thousand_files_that_are_wrong_alike_are_counted(models, images, capsys):
    folders(images, [f"{index:02}.png" for index in range(30)])
    for index in range(1, 30):
        (images / "visible" / f"{index:02}.png").write_bytes(b"")
    assert fuse(models, images / "thermal", images / "visible", images / "out") == 1
    assert last_line(capsys) == "hkdnet: left out: 9 more of 29"


def test_folders_without_one_pair_to_fuse_are_one_line(models, images, capsys):
    folders(images, ["a.png", "b.png"])
    for name in ("a.png", "b.png"):
        (images / "visible" / name).write_bytes(b"")
    assert fuse(models, images / "thermal", images / "visible", images / "out") == 1
    assert "not one pair could be fused: " in last_line(capsys)
    (images / "visible" / "a.png").rename(images / "visible" / "c.png")
    (images / "visible" / "b.png").unlink()
    assert fuse(models, images / "thermal", images / "visible", images / "out") == 1
    assert "no pair of images: " in last_line(capsys)


def test_names_pair_by_patterns_in_one_folder_or_two(models, images, capsys):
    for name, source in (
        ("ir_007.png", "thermal"),
        ("vis_007.jpg", "color"),
        ("ir_008.png", "thermal"),
        ("x.png", "gray"),
    ):
        cv2.imwrite(str(images / name), read(images / f"{source}.png"))
    out = images / "out"
    assert fuse(models, images, images, out, "--match", "ir_(.*)", "vis_(.*)") == 1
    assert [path.name for path in out.iterdir()] == ["ir_007.png"]
    assert last_line(capsys).endswith("1 image(s) without a partner by these patterns: ir_008.png")
    assert fuse(models, images, images, out, "--match", r"ir_(\d*)\.png", r"vis_(007)\.jpg") == 1
    for patterns, words in ((("ir_.*", "vis_(.*)"), "has no group"), (("ir_(", "vis_(.*)"), "no regular expression")):
        assert fuse(models, images, images, out, "--match", *patterns) == 1
        assert words in last_line(capsys)
    files = (images / "thermal.png", images / "gray.png", images / "fused.png")
    assert fuse(models, *files, "--match", "(.*)", "(.*)") == 1
    assert "--match pairs the names in folders" in last_line(capsys)


def test_a_tree_of_folders_pairs_by_patterns_with_a_slash(models, images):
    """The tree of the KAIST dataset."""
    for video in ("V000", "V001"):
        for folder, source in (("lwir", "thermal"), ("visible", "color")):
            file = images / "kaist" / "set00" / video / folder / "I00000.jpg"
            file.parent.mkdir(parents=True)
            cv2.imwrite(str(file), read(images / f"{source}.png"))
    tree, out = images / "kaist", images / "out"
    assert fuse(models, tree, tree, out, "--match", "(.*)/lwir/(.*)", "(.*)/visible/(.*)") == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert written == ["set00/V000/lwir/I00000.png", "set00/V001/lwir/I00000.png"]


def test_letters_with_dots_above_are_one_letter_however_they_are_written(models, images):
    folders(images, ["a.png"])
    for stream, form in (("thermal", "NFC"), ("visible", "NFD")):
        (images / stream / "a.png").rename(images / stream / f"{unicodedata.normalize(form, 'Tür')}.png")
    assert fuse(models, images / "thermal", images / "visible", images / "out") == 0


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_a_picture_on_its_side_is_fused_upright(models, images, tag, suffix):
    """Pillow turns as the EXIF standard says."""
    upright = Image.fromarray(read(images / "color.png")[..., ::-1])
    undo = {1: (), 2: (0,), 3: (3,), 4: (1,), 5: (5,), 6: (2,), 7: (6,), 8: (4,)}[tag]  # of Image.Transpose
    stored = upright.transpose(Image.Transpose(*undo)) if undo else upright
    exif = Image.Exif()
    exif[274] = tag
    options = {"tiffinfo": {274: tag}} if suffix == "tiff" else {"exif": exif}
    stored.save(
        images / f"turned.{suffix}", **options, **({"lossless": True} if suffix == "webp" else {"quality": 100})
    )
    out = images / "fused.png"
    assert fuse(models, images / "thermal.png", images / "color.png", out) == 0
    expected = read(out)
    assert fuse(models, images / "thermal.png", images / f"turned.{suffix}", out) == 0
    assert np.abs(read(out).astype(int) - expected).mean() < 3  # JPEG's
    reference = np.asarray(ImageOps.exif_transpose(Image.open(images / f"turned.{suffix}")))
    assert np.abs(reference.astype(int) - np.asarray(upright)).mean() < 3


def test_images_of_different_shapes_are_refused_cropped_or_stretched(models, images, capsys):
    wide = np.zeros((24, 48, 3), np.uint8)
    wide[:, 8:40] = read(images / "color.png")
    cv2.imwrite(str(images / "wide.png"), wide)
    out = images / "fused.png"
    assert fuse(models, images / "thermal.png", images / "color.png", out) == 0
    expected = read(out)
    out.unlink()
    assert fuse(models, images / "thermal.png", images / "wide.png", out) == 1
    assert "(wider by 50%); register them, or give fit (--fit) crop" in last_line(capsys)
    assert not out.exists()
    assert fuse(models, images / "thermal.png", images / "wide.png", out, "--fit", "crop") == 0
    np.testing.assert_array_equal(read(out), expected)
    assert fuse(models, images / "thermal.png", images / "wide.png", out, "--fit", "stretch") == 0
    assert (read(out) != expected).any()
    assert read(out).shape == expected.shape


def test_the_grid_is_the_size_that_a_student_takes(models, images):
    out = images / "fused.png"
    assert fuse(models, images / "thermal.png", images / "color.png", out, "--grid", "48x36") == 0
    assert read(out).shape == (72, 96, 3)


def test_what_was_there_is_replaced_by_a_whole_file_or_stays(models, images, capsys, monkeypatch):
    folders(images, ["a.png"])
    out = images / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"before")

    def full(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert fuse(models, images / "thermal", images / "visible", out) == 1
    assert "a.png: cannot be written (No space left on device); choose another --out" in last_line(capsys)
    assert (out / "a.png").read_bytes() == b"before"
    assert fuse(models, images / "thermal", images / "visible", out) == 0
    assert read(out / "a.png").shape == (48, 64, 3)
    assert [path.name for path in out.iterdir()] == ["a.png"]


def test_an_image_may_come_through_a_pipe(models, images):
    pipe = images / "pipe.png"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=((images / "gray.png").read_bytes(),))
    writer.start()
    assert fuse(models, images / "thermal.png", pipe, images / "fused.png") == 0
    writer.join()


LIMITED = """
import resource, sys
from pathlib import Path
from hkdnet_ros.cli import main
from hkdnet_ros.inference import engine_api
load = engine_api.load_engine
def limited(config):
    engine = load(config)
    engine.warm_up(32, 32)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (300 << 20),) * 2)
    return engine
import hkdnet_ros.sources.fused_files as fused_files
fused_files.load_engine = limited
sys.exit(main(sys.argv[1:]))
"""


def test_out_of_memory_is_one_line_with_a_size_that_would_fit(images):
    noise = np.random.default_rng(0).integers(0, 256, (900, 1000), dtype=np.uint8)
    for name in ("large_thermal.png", "large_visible.png"):
        cv2.imwrite(str(images / name), noise)
        noise = noise[::-1]
    words = ["fuse", "--thermal", images / "large_thermal.png", "--visible", images / "large_visible.png", "--out"]
    words += [
        images / "fused.png",
        "--model",
        "realtime",
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--backend",
        "torch",
    ]

    def run(*more):
        command = [sys.executable, "-c", LIMITED, *map(str, words), *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    failed = run()
    assert failed.returncode == 1
    (line,) = failed.stderr.splitlines()
    size = re.fullmatch(
        r"hkdnet: large_thermal\.png: not enough memory for realtime_x2 to give 2000x1800 pixels, .* are free: "
        r"grid \(--grid\) (\d+x\d+) would fit.*",
        line,
    )[1]
    fitting = run("--grid", size)
    assert fitting.returncode == 0, fitting.stderr


def fused_with(models, tmp_path, thermal, *options):
    """Return what the command makes of a thermal image beside one visible image."""
    visible = np.random.default_rng(3).integers(0, 256, (120, 160), np.uint8)
    cv2.imwrite(str(tmp_path / "t.png"), thermal)
    cv2.imwrite(str(tmp_path / "v.png"), visible)
    command = ["fuse", "--thermal", str(tmp_path / "t.png"), "--visible", str(tmp_path / "v.png")]
    command += ["--out", str(tmp_path / "out.png"), "--model", str(models[2]), "--device", "cpu"]
    assert main([*command, "--thermal-range", "6500", "9000", *options]) == 0
    return cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)


def test_telemetry_bad_pixels_and_polarity_are_taken_as_the_node_takes_them(models, tmp_path):
    counts = (7000 + 10 * np.mgrid[:120, :160][1]).astype(np.uint16)
    plain = fused_with(models, tmp_path, counts)
    with_telemetry = np.concatenate([counts, np.zeros((2, 160), np.uint16)])
    np.testing.assert_array_equal(fused_with(models, tmp_path, with_telemetry), plain)
    cut = fused_with(models, tmp_path, np.pad(counts, ((1, 0), (0, 3)), mode="edge"), "--thermal-crop", "1,0,0,3")
    np.testing.assert_array_equal(cut, plain)
    mask = np.zeros((120, 160), np.uint8)
    mask[60, 80] = 1
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    hot = counts.copy()
    hot[60, 80] = 8900
    mended = fused_with(models, tmp_path, hot, "--thermal-bad-pixels", str(tmp_path / "mask.png"))
    assert np.abs(mended.astype(int) - plain).max() <= 1
    turned = fused_with(models, tmp_path, (15500 - counts).astype(np.uint16), "--thermal-polarity", "black_hot")
    assert np.abs(turned.astype(int) - plain).max() <= 1


def test_a_rendering_is_fused_by_the_palette_it_looks_like_or_the_one_that_is_named(models, tmp_path):
    levels = np.clip(128 + 100 * np.sin(np.mgrid[:120, :160][0] / 20), 0, 255).astype(np.uint8)
    plain = fused_with(models, tmp_path, levels).astype(int)
    jet = cv2.applyColorMap(levels, cv2.COLORMAP_JET)
    assert np.abs(fused_with(models, tmp_path, jet) - plain).mean() < 3
    assert np.abs(fused_with(models, tmp_path, jet, "--thermal-palette", "gray") - plain).mean() > 10
    twice = cv2.applyColorMap(levels, cv2.COLORMAP_HOT)
    assert np.abs(fused_with(models, tmp_path, twice, "--thermal-palette", "hot") - plain).mean() < 3
