"""The measures by one call: against values of published comparisons, and on input that does not fit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hkdnet_ros.errors import ConfigError, ImageError
from hkdnet_ros.metrics.fusion import FUSION_KEYS, fusion_metrics
from hkdnet_ros.metrics.images import min_max_stretch

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
EXAMPLES = ("m3_0115_1847_0000.png", "ms_00770N.png", "rs_FLIR_04071.png")  # one per data set, one at night


def bicubic_average(name: str, scale: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return thermal, visible and the mean of their upscaled low-resolution copies, as val_peers.csv was made."""
    sources, upscaled = [], []
    for side in ("thermal", "visible"):
        image = Image.open(DATA / "val" / side / name)
        width, height = image.width // scale * scale, image.height // scale * scale
        image = image.crop((0, 0, width, height))
        low = image.resize((width // scale, height // scale), Image.Resampling.BILINEAR)
        high = Image.fromarray(np.asarray(low, np.float32)).resize((width, height), Image.Resampling.BICUBIC)
        sources.append(np.asarray(image))
        upscaled.append(np.clip(np.asarray(high), 0, 255))
    return sources[0], sources[1], (upscaled[0] + upscaled[1]) / 2


@pytest.mark.skipif(not (DATA / "val_peers.csv").is_file(), reason="comparison data ../shared/data is not here")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", EXAMPLES)
def test_values_equal_those_of_the_published_comparison(name: str, scale: int) -> None:
    with open(DATA / "val_peers.csv", newline="") as file:
        rows = {r["method"]: r for r in csv.DictReader(file) if r["image"] == name and r["scale"] == str(scale)}
    thermal, visible, fused = bicubic_average(name, scale)
    for method, image in (("bicubic>average", fused), ("bicubic>average+stretch", min_max_stretch(fused))):
        expected = {key: float(rows[method][key]) for key in FUSION_KEYS}
        assert fusion_metrics(thermal, visible, image) == pytest.approx(expected, abs=1e-4)


@pytest.fixture(scope="module")
def triple() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    thermal, visible = rng.integers(0, 256, (2, 180, 200), np.uint8)
    return thermal, visible, ((thermal.astype(np.float32) + visible) / 2)


def test_keys_choose_measures_and_their_order(triple: tuple[np.ndarray, ...]) -> None:
    every = fusion_metrics(*triple)
    assert tuple(every) == FUSION_KEYS
    for key in FUSION_KEYS:
        assert fusion_metrics(*triple, keys=[key]) == {key: every[key]}
    assert list(fusion_metrics(*triple, keys=("SSIM", "MI"))) == ["SSIM", "MI"]


def test_the_sources_may_change_places(triple: tuple[np.ndarray, ...]) -> None:
    thermal, visible, fused = triple
    assert fusion_metrics(visible, thermal, fused) == pytest.approx(fusion_metrics(thermal, visible, fused))


def test_images_are_rounded_and_clipped_first(triple: tuple[np.ndarray, ...]) -> None:
    thermal, visible, fused = triple
    fused = fused * 1.5 - 40.0
    saved = np.clip(np.rint(fused), 0, 255).astype(np.uint8)
    assert fused.max() > 255
    assert fusion_metrics(thermal, visible, fused) == fusion_metrics(thermal, visible, saved)


def test_an_image_fused_of_itself_is_perfect(triple: tuple[np.ndarray, ...]) -> None:
    image = triple[0]
    values = fusion_metrics(image, image, image)
    assert values["PSNR"] == np.inf
    for key, best in {"NMI": 2, "CC": 1, "VIFp": 2, "Nabf": 0, "SSIM": 1, "MSSSIM": 1}.items():
        assert values[key] == pytest.approx(best, abs=1e-6)
    assert values["MI"] == pytest.approx(2 * values["EN"])
    assert values["Qabf"] > 0.97  # the published constants do not reach 1


def test_flat_images_give_finite_values() -> None:
    flat = np.full((176, 176), 90, np.uint8)
    ramp = np.tile(np.arange(176, dtype=np.uint8), (176, 1))
    for fused in (flat, ramp):
        values = fusion_metrics(flat, flat, fused)
        values.pop("PSNR")
        assert np.isfinite(list(values.values())).all()
    assert np.isfinite(list(fusion_metrics(ramp, flat, flat).values())).all()


@settings(deadline=None, max_examples=20)
@given(arrays(np.uint8, (3, 48, 41), elements=st.sampled_from([0, 1, 7, 128, 254, 255])))
def test_values_stay_in_their_ranges(images: np.ndarray) -> None:
    keys = [key for key in FUSION_KEYS if key != "MSSSIM"]
    values = fusion_metrics(*images, keys=keys)
    for key, (low, high) in {
        "EN": (0, 8), "MI": (0, 16), "NMI": (0, 2), "CC": (-1, 1), "SCD": (-2, 2), "Qabf": (0, 1), "Nabf": (0, 1),
        "SSIM": (-1, 1), "SD": (0, 127.5), "SF": (0, 255 * 2**0.5), "AG": (0, 255),
    }.items():  # fmt: skip
        assert low - 1e-9 <= values[key] <= high + 1e-9, key
    assert values["VIFp"] >= 0


def test_a_stretch_reaches_from_0_to_255_and_leaves_flat_images() -> None:
    image = np.array([[20, 30, 60]], np.uint8)
    np.testing.assert_allclose(min_max_stretch(image), [[0, 63.75, 255]])
    np.testing.assert_array_equal(min_max_stretch(np.full((2, 2), 7.0)), np.full((2, 2), 7.0))


@pytest.mark.parametrize(
    ("fused", "message"),
    [
        (np.zeros((180, 201), np.uint8), "differ in size .*fused 201x180"),
        (np.zeros((180, 200, 3), np.uint8), r"fused has shape \(180, 200, 3\)"),
        (np.zeros((180, 200), np.uint16), "fused is uint16"),
        (np.full((180, 200), np.nan), "fused holds NaN"),
    ],
)
def test_unfit_images_are_named(triple: tuple[np.ndarray, ...], fused: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        fusion_metrics(*triple[:2], fused)


@pytest.mark.parametrize(("key", "least"), [("MSSSIM", 176), ("VIFp", 41), ("SSIM", 11), ("Nabf", 2), ("SF", 2)])
def test_images_too_small_for_a_measure_are_refused(key: str, least: int) -> None:
    rng = np.random.default_rng(0)
    enough = rng.integers(0, 256, (3, least, least + 3), np.uint8)
    assert np.isfinite(fusion_metrics(*enough, keys=[key])[key])
    with pytest.raises(ImageError, match=f"{key} needs {least}x{least}"):
        fusion_metrics(*enough[:, 1:], keys=[key])


def test_unknown_keys_are_named(triple: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(ConfigError, match="unknown measure FMI; choose among EN"):
        fusion_metrics(*triple, keys=["MI", "FMI"])
