"""``hkdnet evaluate images --guide``: the visible image at full size, thermal below it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hkdnet_ros import cli
from hkdnet_ros.evaluation.baselines import baselines
from hkdnet_ros.evaluation.measurements import measure_pair, read_peers
from hkdnet_ros.images.resampling import resample
from hkdnet_ros.inference import engine_api
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.metrics.fusion import FUSION_KEYS, fusion_metrics
from hkdnet_ros.metrics.ranking import RANKED_KEYS
from hkdnet_ros.sources.pairs import PairPaths

SIZE = (189, 451)  # neither side a multiple of 2; wider than a column of the sheet is elsewhere


class Backend:
    """The brighter of both images; "guided" takes the visible one at the output's size and thermal at half of it."""

    given: list[tuple[np.ndarray, np.ndarray]] = []  # noqa: RUF012
    device, precision, memory = "cpu", "fp32", None

    def __init__(self, config: EngineConfig) -> None:
        guided = config.model == "guided"
        self.model_name = config.model if guided else f"{config.model}_x{config.scale}"
        self.sizes = Sizes(2, 1) if guided else Sizes(config.scale, config.scale)

    def run(self, thermal: np.ndarray, visible: np.ndarray, lap: Callable[[str], None]) -> np.ndarray:
        self.given.append((thermal, visible))
        as_floats = (image / np.float32(255 if image.dtype == np.uint8 else 1) for image in (thermal, visible))
        sides = self.sizes.thermal, self.sizes.visible
        thermal, visible = (np.kron(x, np.ones((n, n))) for x, n in zip(as_floats, sides, strict=True))
        height, width = visible.shape
        return np.maximum(thermal[:height, :width], visible).astype(np.float32)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> type[Backend]:
    monkeypatch.setitem(engine_api.BACKENDS, "torch", f"{__name__}:Backend")
    monkeypatch.setattr(Backend, "given", [])
    return Backend


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, side in enumerate(("thermal", "visible")):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        texture = cv2.GaussianBlur(np.random.default_rng(seed).uniform(0, 255, SIZE), (0, 0), 4)
        gray = cv2.normalize(texture, None, 5, 250, cv2.NORM_MINMAX).round().astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / "pairs" / side / "a.png"), gray)
    return tmp_path


def evaluate(folder: Path, *options: object) -> int:
    words = ["evaluate", "images", "--pairs", folder / "pairs", "--out", folder / "out", *options]
    return cli.main([str(word) for word in words])


def truth(folder: Path, scale: int) -> list[np.ndarray]:
    """Thermal and visible, cropped to a multiple of ``scale``."""
    height, width = (side // scale * scale for side in SIZE)
    images = (cv2.imread(str(folder / "pairs" / side / "a.png"), 0) for side in ("thermal", "visible"))
    return [image[:height, :width] for image in images]


def reduced(image: np.ndarray, scale: int) -> np.ndarray:
    size = image.shape[1] // scale, image.shape[0] // scale
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def values(folder: Path) -> dict[str, dict[str, float]]:
    """The measures of each method on the one pair."""
    with open(folder / "out" / "values.csv", newline="") as file:
        return {row["method"]: {key: float(row[key]) for key in FUSION_KEYS} for row in csv.DictReader(file)}


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_guided_network_gets_visible_as_it_is_and_thermal_brought_to_half_of_it(
    folder: Path, backend: type[Backend], scale: int
) -> None:
    assert evaluate(folder, "--guide", "--scale", scale, "--model", "guided") == 0
    thermal, visible = truth(folder, scale)
    height, width = visible.shape
    coarse = reduced(thermal, scale)
    expected = resample(coarse.astype(np.float32) / 255, -(-width // 2), -(-height // 2))
    [(given_thermal, given_visible)] = backend.given
    np.testing.assert_array_equal(given_visible, visible)
    if scale == 2:
        np.testing.assert_array_equal(given_thermal, coarse)
    else:
        np.testing.assert_allclose(given_thermal, expected, atol=1e-6)
    as_published = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize((width, height), Image.BICUBIC))
    maximum = fusion_metrics(thermal, visible, np.maximum(as_published.clip(0, 255), visible))
    assert values(folder)["bicubic>maximum"] == pytest.approx(maximum, abs=1e-3)
    assert set(values(folder)) >= {"bicubic>average", "bicubic>laplacian", "hkdnet(guided)"}


def test_a_model_that_takes_both_at_one_size_gets_what_it_would_without_a_guide(folder: Path) -> None:
    assert evaluate(folder, "--scale", "3", "--model", "realtime") == 0
    without = values(folder)
    assert evaluate(folder, "--scale", "3", "--guide", "--model", "realtime") == 0
    guided = values(folder)
    assert guided["hkdnet(realtime_x3)"] == without["hkdnet(realtime_x3)"]
    assert guided["bicubic>maximum"]["Qabf"] > without["bicubic>maximum"]["Qabf"]


def test_a_network_that_takes_both_at_full_size_is_measured_at_scale_1(
    folder: Path, backend: type[Backend], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = Backend.__init__

    def teacher(self: Backend, config: EngineConfig) -> None:
        begin(self, config)
        self.sizes = Sizes(1, 1)

    monkeypatch.setattr(Backend, "__init__", teacher)
    assert evaluate(folder, "--guide", "--scale", "1", "--model", "guided") == 0
    [given] = backend.given
    for image, source in zip(given, truth(folder, 1), strict=True):
        np.testing.assert_array_equal(image, source)
    assert values(folder)["hkdnet(guided)"]["MI"] == values(folder)["bicubic>maximum"]["MI"]
    assert "input: both at full size" in capsys.readouterr().out


def test_a_network_that_enlarges_cannot_be_measured_at_scale_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, "--guide", "--scale", "1", "--model", "realtime") == 1
    assert "realtime_x2 enlarges by 2; thermal is reduced by 1" in capsys.readouterr().err
    assert evaluate(folder, "--scale", "1") == 1
    assert "--scale is 1; models enlarge by 2, 3, 4, or add --guide" in capsys.readouterr().err


def test_what_a_model_leaves_below_full_size_is_enlarged_bicubically(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, "--guide", "--scale", "8", "--model", "realtime") == 0
    thermal, visible = truth(folder, 8)
    half = np.kron(np.maximum(reduced(thermal, 8), reduced(visible, 8)), np.ones((4, 4), np.float32))
    size = visible.shape[1], visible.shape[0]
    fused = np.asarray(Image.fromarray(half.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    expected = fusion_metrics(thermal, visible, fused.clip(0, 255))
    assert values(folder)["hkdnet(realtime_x4)"] == pytest.approx(expected, abs=1e-3)
    told = "hkdnet(realtime_x4): fp32 on cpu by torch, visible reduced by 8 before, output enlarged by 2 after"
    assert told in capsys.readouterr().out


def test_a_guided_network_is_measured_where_both_are_reduced_too(
    folder: Path, backend: type[Backend], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, "--scale", "4", "--model", "guided") == 0
    [(thermal, visible)] = backend.given
    height, width = truth(folder, 4)[1].shape
    for given, source, shape in zip(
        (thermal, visible), truth(folder, 4), ((height // 2, width // 2), (height, width)), strict=True
    ):
        expected = resample(reduced(source, 4).astype(np.float32) / 255, shape[1], shape[0])
        np.testing.assert_allclose(given, expected, atol=1e-6)
    assert "hkdnet(guided): fp32 on cpu by torch, visible enlarged by 4 before" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "chosen"), [(["--guide"], "guided"), ([], "realtime_x4")])
def test_auto_takes_what_fits_the_sizes(folder: Path, options: list[str], chosen: str) -> None:
    assert evaluate(folder, "--scale", "4", "--model", "auto", *options) == 0
    assert [method for method in values(folder) if method.startswith("hkdnet")] == [
        f"hkdnet({chosen})",
        f"hkdnet({chosen})+stretch",
    ]


def test_the_sheet_has_full_size_and_the_report_says_what_was_reduced(folder: Path) -> None:
    assert evaluate(folder, "--guide", "--scale", "2", "--model", "guided") == 0
    thermal, visible = truth(folder, 2)
    width = visible.shape[1]
    sheet = cv2.imread(str(folder / "out" / "contact_sheet.png"), cv2.IMREAD_UNCHANGED)[56 : 56 + len(visible)]
    for column, image in enumerate((thermal, visible)):
        left = 4 + column * (width + 4)
        np.testing.assert_array_equal(sheet[:, left : left + width], image)
    report = (folder / "out" / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# Fusion quality at x2, visible at full size\n")
    assert "input: thermal reduced by 2, Pillow's antialiased BILINEAR, 8 bits; visible at full size" in report


def test_published_values_of_the_ranked_measures_alone_are_enough(folder: Path) -> None:
    peers = folder / "peers.csv"
    with peers.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("scale", "method", "image", *RANKED_KEYS))
        writer.writerow((8, "published", "a.png", *(-9 if key == "Nabf" else 99 for key in RANKED_KEYS)))
    assert evaluate(folder, "--guide", "--scale", "8", "--model", "guided", "--peers", peers) == 0
    as_is = (folder / "out" / "report.md").read_text(encoding="utf-8").split("## Stretched alike")[0]
    [row] = [line for line in as_is.splitlines() if line.startswith("| published |")]
    unranked = [key for key in FUSION_KEYS if key not in RANKED_KEYS]
    assert row.startswith("| published | 1.00 | **99.000** |")
    assert row.endswith("|" + " – |" * len(unranked))


def test_a_scale_that_no_model_has_needs_a_guide(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "--scale", "8") == 1
    assert "--scale is 8; models enlarge by 2, 3, 4, or add --guide" in capsys.readouterr().err


@pytest.mark.parametrize("scale", [2, 8])
@pytest.mark.parametrize("name", ["ms_00770N.png", "rs_FLIR_04071.png"])
def test_baselines_equal_the_published_values(data_folder: Path, name: str, scale: int) -> None:
    sizes = Sizes(thermal=scale, visible=1)
    methods = {method: fuse for method, fuse in baselines(sizes).items() if method != "bicubic>laplacian"}
    paths = PairPaths(name, data_folder / "val" / "thermal" / name, data_folder / "val" / "visible" / name)
    measured = {row.method: row.values for row in measure_pair(paths, sizes, methods, keys=RANKED_KEYS).measurements}
    published = {row.method: row.values for row in read_peers(data_folder / "val_peers_guided.csv", scale, [name])}
    for method in ("bicubic>maximum", "bicubic>average", "bicubic>average+stretch"):
        assert measured[method] == pytest.approx(published[method], abs=1e-3)
