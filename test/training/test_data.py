from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
import torch

from hkdnet_ros.cli import main
from hkdnet_ros.errors import SourceError
from hkdnet_ros.evaluation.resampling import reduce_bilinear
from hkdnet_ros.sources.pairs import read_gray
from hkdnet_ros.training.augment import downscale, observe, vary_intensity
from hkdnet_ros.training.data import Batch, PairSet


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_crops_of_both_modalities_show_the_same_place(pair_folder):
    """Thermal is 0.3 of visible but for the hot spot, so registered crops keep that ratio, turned and mirrored too."""
    batch = PairSet(pair_folder).crops(32, 40, generator())
    assert batch.thermal.shape == batch.visible.shape == (32, 1, 40, 40)
    cold = batch.thermal < 0.5
    assert bool(((batch.thermal - 0.3 * batch.visible).abs()[cold] < 2 / 255).all())


def test_crops_follow_the_generator_alone(pair_folder):
    pairs = PairSet(pair_folder)
    first, again, other = (pairs.crops(4, 32, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.visible, again.visible)
    assert not torch.equal(first.visible, other.visible)


def test_crops_reach_every_pair_and_its_borders(pair_folder):
    pairs = PairSet(pair_folder)
    for index, image in enumerate(pairs.images):
        image.fill_(index)
        image[:, -1, :] = 100
        image[:, :, -1] = 200
    batch = pairs.crops(600, 96, generator())
    values = batch.visible.mul(255).round().unique().tolist()
    assert {0, 1, 2, 3, 4, 5, 100, 200} <= set(values)


def test_a_pair_too_small_for_the_crop_is_named(pair_folder):
    with pytest.raises(SourceError, match=r"0\.png is 120x100; crops of 104 px need a larger image"):
        PairSet(pair_folder).check_size(104)


def test_whole_pairs_come_as_batches_of_one(pair_folder):
    pair = PairSet(pair_folder).pair(1)
    assert pair.thermal.shape == pair.visible.shape == (1, 1, 104, 120)
    assert 0 <= float(pair.thermal.min()) < float(pair.thermal.max()) <= 1


def test_16_bit_thermal_counts_are_stretched_to_the_scene(tmp_path):
    """A 14-bit camera's counts from 7000 to 9000; divided by 65535 they would lie between 0.107 and 0.137."""
    counts = np.linspace(7000, 9000, 64 * 64).astype(np.uint16).reshape(64, 64)
    for name, image in (("thermal", counts), ("visible", np.full((64, 64), 51, np.uint8))):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), image)
    pair = PairSet(tmp_path).pair(0)
    expected = np.clip((counts - 7010.0) / 1980.0, 0, 1)  # 0.5 % of the scene lie below 7010, and above 8990
    np.testing.assert_allclose(pair.thermal[0, 0].numpy(), expected, atol=0.004)
    assert (float(pair.thermal.min()), float(pair.thermal.max())) == (0, 1)
    assert pair.visible.unique().tolist() == pytest.approx([0.2])


def test_floats_are_stretched_from_percentiles_in_any_unit(tmp_path):
    celsius = np.linspace(-10, 40, 64 * 64).astype(np.float32).reshape(64, 64)
    for folder, scale, offset in (("celsius", 1, 0), ("kelvin", 1, 273.15)):
        for name, image in (
            ("thermal", celsius * scale + np.float32(offset)),
            ("visible", np.full((64, 64), 51, np.uint8)),
        ):
            (tmp_path / folder / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / folder / name / "a.tiff"), image)
    thermal = [PairSet(tmp_path / folder).pair(0).thermal[0, 0].numpy() for folder in ("celsius", "kelvin")]
    expected = np.clip((celsius + 9.75) / 49.5, 0, 1)
    for image in thermal:
        np.testing.assert_allclose(image, expected, atol=0.005)


def test_all_pairs_that_cannot_be_trained_on_are_counted(pair_folder):
    (pair_folder / "thermal" / "0.png").write_bytes(b"")
    (pair_folder / "visible" / "2.png").write_bytes(b"")
    cv2.imwrite(str(pair_folder / "visible" / "3.png"), np.zeros((50, 60), np.uint8))
    with pytest.raises(SourceError, match=r"^3 of 6 pairs cannot be used.*thermal/0\.png.*visible/2\.png.*3\.png"):
        PairSet(pair_folder)


def test_8_bit_thermal_images_keep_their_levels(pair_folder):
    """The camera has conditioned them already."""
    stored = PairSet(pair_folder).pair(0).thermal[0, 0].numpy()
    np.testing.assert_array_equal(stored, read_gray(pair_folder / "thermal" / "0.png"))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("missing", "thermal: no such folder; pairs are expected as thermal/NAME and visible/NAME"),
        ("empty", "hold no images; expected files of the same names"),
        ("unmatched", "visible: 1 image(s) without a partner of the same name: 3; add or remove them"),
        ("sizes", "3.png: thermal is 60x50, visible 120x112; register the pair to one size"),
        ("unreadable", "3.png: not a readable image (4 bytes); expected a whole one"),
        ("small", "0.png is 120x100; crops of 128 px need a larger image"),
    ],
)
def test_pairs_that_cannot_be_trained_on_end_the_command_with_one_line(pair_folder, tmp_path, capsys, fault, says):
    path = pair_folder / "thermal" / "3.png"
    if fault == "missing":
        (pair_folder / "thermal").rename(tmp_path / "elsewhere")
    elif fault == "empty":
        for image in pair_folder.glob("*/*.png"):
            image.unlink()
    elif fault == "unmatched":
        path.unlink()
    elif fault == "sizes":
        cv2.imwrite(str(path), np.zeros((50, 60), np.uint8))
    elif fault == "unreadable":
        path.write_bytes(b"\x89PNG")
    words = ["--data", str(pair_folder), "--val", str(pair_folder), "--out", str(tmp_path / "run")]
    assert main(["train", *words, "--crop", "128", "--steps", "1", "--device", "cpu"]) == 1
    # The bar of the pairs that were read is overwritten after carriage returns. Bars drawn earlier in this process
    # may move the cursor when they are collected.
    err = capsys.readouterr().err
    lines = [line for line in re.split("[\r\n]|\x1b\\[A", err) if line.strip()]
    assert lines[-1].startswith("hkdnet: ")
    assert lines[-1].endswith(says)
    assert err.count("hkdnet: ") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bilinear_downscaling_equals_pillows(scale):
    image = np.random.default_rng(scale).integers(0, 256, (24 * scale, 20 * scale), dtype=np.uint8)
    got = downscale(torch.from_numpy(image).float().div(255)[None, None], scale)[0, 0]
    # Pillow rounds to whole levels twice, after the rows and after the columns.
    np.testing.assert_allclose(255 * got.numpy(), reduce_bilinear(image, scale), rtol=0, atol=1.001)


@pytest.mark.parametrize("kernel", ["bilinear", "area", "bicubic"])
def test_every_kernel_keeps_the_mean_and_the_place(kernel):
    image = torch.zeros(1, 1, 48, 48)
    image[:, :, 16:24, 32:40] = 1
    small = downscale(image, 2, kernel)
    assert float(small.mean()) == pytest.approx(float(image.mean()), abs=2e-3)
    assert float(small[0, 0, 9:11, 17:19].mean()) == pytest.approx(1, abs=0.02)


def batch_of(count=64):
    values = torch.rand(count, 2, 48, 48, generator=generator(9))
    return Batch(values[:, :1], values[:, 1:])


def test_intensity_changes_keep_the_range_and_leave_half_alone():
    batch = batch_of(200)
    varied = vary_intensity(batch, generator())
    assert 0 <= float(varied.visible.min()) <= float(varied.visible.max()) <= 1
    untouched = (varied.thermal == batch.thermal).flatten(1).all(1).float().mean()
    assert 0.35 < float(untouched) < 0.65


def test_night_darkens_the_visible_image_only():
    bright = Batch(torch.full((300, 1, 4, 4), 0.9), torch.full((300, 1, 4, 4), 0.9))
    varied = vary_intensity(bright, generator())
    assert float(varied.thermal.min()) > 0.5
    dark = (varied.visible.amax((1, 2, 3)) < 0.55).float().mean()
    assert 0.05 < float(dark) < 0.2


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_observed_images_are_8_bit_low_resolution_and_repeatable(scale):
    batch = Batch(*(image[:, :, : 12 * scale, : 12 * scale] for image in batch_of(8)))
    low = observe(batch, scale, generator(5))
    assert low.thermal.shape == low.visible.shape == (8, 1, 12, 12)
    levels = 255 * low.thermal
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    again = observe(batch, scale, generator(5))
    assert torch.equal(low.thermal, again.thermal)
    assert torch.equal(low.visible, again.visible)


def test_misregistration_stays_within_half_a_low_resolution_pixel():
    """Centroids of a blob, found in thermal and in visible, differ by no more, and for about a fifth of the pairs."""
    axis = torch.arange(64).float()
    blob = torch.exp(-((axis[:, None] - 31.5).square() + (axis - 31.5).square()) / 50)[None, None]
    batch = Batch(blob.repeat(200, 1, 1, 1), blob.repeat(200, 1, 1, 1))
    low = observe(batch, 2, generator())

    def centroid(image):
        weight = image.clamp_min(0.1) - 0.1
        positions = torch.arange(32).float()
        return (weight * positions).sum((1, 2, 3)) / weight.sum((1, 2, 3))

    offset = (centroid(low.thermal) - centroid(low.visible)).abs()
    assert float(offset.max()) < 0.6
    assert 0.08 < float((offset > 0.05).float().mean()) < 0.35


def test_half_of_the_pairs_are_only_reduced_and_the_others_spoilt():
    batch = batch_of(200)
    low = observe(batch, 2, generator())
    reduced = [
        downscale(batch.visible, 2, kernel).mul(255).round().div(255) for kernel in ("bilinear", "area", "bicubic")
    ]
    difference = min(((low.visible - image).abs().flatten(1).amax(1) for image in reduced), key=torch.median)
    assert 0.5 < float((difference == 0).float().mean()) < 0.75  # of the others, some have no fault by chance
    assert float((difference > 0.02).float().mean()) > 0.15


def test_spoilt_images_keep_their_brightness():
    batch = batch_of(200)
    low = observe(batch, 2, generator())
    for before, after in zip(batch, low, strict=True):
        assert float((before.mean((1, 2, 3)) - after.mean((1, 2, 3))).abs().max()) < 0.02


def test_a_wall_is_flat_in_training_as_in_the_node(tmp_path):
    for side in ("thermal", "visible"):
        (tmp_path / side).mkdir()
    counts = np.rint(29315 + 5 * np.random.default_rng(0).standard_normal((60, 80))).astype(np.uint16)
    for name, image in (("16.png", counts), ("8.png", (counts - 29200).astype(np.uint8))):
        assert cv2.imwrite(str(tmp_path / "thermal" / name), image)
        assert cv2.imwrite(str(tmp_path / "visible" / name), np.zeros((60, 80), np.uint8))
    for images in PairSet(tmp_path).images:
        assert 0 < images[0].float().std() < 8  # of 255
