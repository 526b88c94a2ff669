"""The command as called by a user: on pairs small enough for a test, with a stand-in for the network."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hkdnet_ros import cli
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.inference import engine_api
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.metrics.fidelity import fidelity_metrics
from hkdnet_ros.metrics.fusion import FUSION_KEYS, fusion_metrics
from hkdnet_ros.metrics.images import min_max_stretch
from hkdnet_ros.perception.thermal import ThermalConditioner
from hkdnet_ros.training.data import PairSet

TORCH = engine_api.BACKENDS["torch"]
SIZE = (183, 201)  # neither side a multiple of 2; reduced by 2 and enlarged, enough for MSSSIM's 176


class RepeatingBackend:
    """Repeats the brighter pixel of the low-resolution pair; in [0, 1] as a network's output."""

    opened: list[EngineConfig] = []  # noqa: RUF012
    closed = 0
    device, precision, memory = "cpu", "fp32", None

    def __init__(self, config: EngineConfig) -> None:
        self.sizes = Sizes(thermal=config.scale, visible=config.scale)
        self.model_name = config.model
        self.opened.append(config)

    def run(self, thermal: np.ndarray, visible: np.ndarray, lap: Callable[[str], None]) -> np.ndarray:
        assert thermal.dtype == visible.dtype == np.uint8
        return np.kron(np.maximum(thermal, visible), np.ones(2 * [self.sizes.visible])).astype(np.float32) / 255

    def close(self) -> None:
        RepeatingBackend.closed += 1


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> type[RepeatingBackend]:
    monkeypatch.setitem(engine_api.BACKENDS, "torch", f"{__name__}:RepeatingBackend")
    RepeatingBackend.opened, RepeatingBackend.closed = [], 0
    return RepeatingBackend


def textured(seed: int) -> np.ndarray:
    image = cv2.GaussianBlur(np.random.default_rng(seed).uniform(0, 255, SIZE), (0, 0), 4)
    return np.rint(min_max_stretch(image) * 0.8 + 10).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        for offset, side in enumerate(("thermal", "visible")):
            (tmp_path / "pairs" / side).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(tmp_path / "pairs" / side / name), textured(2 * seed + offset))
    return tmp_path


def evaluate(folder: Path, *options: str) -> int:
    return cli.main(["evaluate", "images", "--pairs", str(folder / "pairs"), "--out", str(folder / "out"), *options])


def values(folder: Path) -> list[dict[str, str]]:
    with open(folder / "out" / "values.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_model_and_baselines_stand_side_by_side(folder: Path, backend: type[RepeatingBackend]) -> None:
    assert evaluate(folder, "--device", "cpu") == 0
    methods = ["bicubic>average", "bicubic>maximum", "bicubic>laplacian", "hkdnet(realtime)"]
    both = [name for method in methods for name in (method, f"{method}+stretch")]
    assert [(row["image"], row["method"]) for row in values(folder)] == [
        (f"{image}.png", method) for image in "abc" for method in both
    ]
    report = (folder / "out" / "report.md").read_text(encoding="utf-8")
    as_is, stretched = report.split("## Stretched alike")
    for method in methods:
        assert f"| {method} |" in as_is
        assert f"| {method}+stretch |" in stretched
    assert "hkdnet(realtime): fp32 on cpu by torch" in report
    # What was not given is left to the engine; the back end is that of all tests.
    assert backend.opened == [EngineConfig(model="realtime", scale=2, device="cpu", backend="torch")]
    assert backend.closed == 1


def test_the_model_gets_the_reduced_pair_and_is_measured_against_the_pair(folder: Path) -> None:
    assert evaluate(folder, "--limit", "1") == 0
    thermal, visible = textured(0)[:182, :200], textured(1)[:182, :200]
    from PIL import Image

    low = [np.asarray(Image.fromarray(x).resize((100, 91), Image.Resampling.BILINEAR)) for x in (thermal, visible)]
    fused = np.kron(np.maximum(*low), np.ones((2, 2)))
    rows = {row["method"]: row for row in values(folder)}
    for method, image in (("hkdnet(realtime)", fused), ("hkdnet(realtime)+stretch", min_max_stretch(fused))):
        expected = fusion_metrics(thermal, visible, image)
        assert {key: float(rows[method][key]) for key in FUSION_KEYS} == pytest.approx(expected, abs=2e-5)


def test_16_bit_counts_are_measured_as_training_and_robot_see_them(folder: Path) -> None:
    counts = textured(0).astype(np.uint16) * 8 + 7000  # a camera's 14 bits, of which a scene fills a part
    path = folder / "pairs" / "thermal" / "a.png"
    assert cv2.imwrite(str(path), counts)
    assert evaluate(folder, "--limit", "1", "--model") == 0
    sheet = cv2.imread(str(folder / "out" / "contact_sheet.png"), cv2.IMREAD_UNCHANGED)
    shown = sheet[56 : 56 + 182, 4 : 4 + 200]
    seen = ThermalConditioner().condition(Frame(counts, 0, "", "mono16"))
    np.testing.assert_array_equal(shown, np.rint(seen * 255)[:182, :200])
    trained_on = PairSet(folder / "pairs").images[0][0].numpy()
    np.testing.assert_array_equal(shown, trained_on[:182, :200])
    assert np.ptp(shown) == 255


def test_the_contact_sheet_shows_every_column(folder: Path) -> None:
    assert evaluate(folder, "--model") == 0
    sheet = cv2.imread(str(folder / "out" / "contact_sheet.png"), cv2.IMREAD_UNCHANGED)
    assert sheet.shape[1] == 5 * 404 + 4
    assert sheet.shape[0] > 3 * 182
    column = sheet[56 : 56 + 182, 4 : 4 + 200]  # under the titles and the first name
    np.testing.assert_array_equal(column, textured(0)[:182, :200])


def test_several_models_or_none_can_be_named(folder: Path, backend: type[RepeatingBackend]) -> None:
    assert evaluate(folder, "--limit", "1", "--model", "one", "two") == 0
    assert {"hkdnet(one)", "hkdnet(two)"} < {row["method"] for row in values(folder)}
    assert evaluate(folder, "--limit", "1", "--model") == 0
    assert len(values(folder)) == 6
    assert len(backend.opened) == 2


def test_published_methods_stand_in_the_table_and_in_the_rank(folder: Path) -> None:
    assert evaluate(folder, "--model") == 0
    rows = values(folder)
    peers = folder / "peers.csv"
    with peers.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["scale", "method", "image", *FUSION_KEYS, "FMI"], restval="0.5")
        writer.writeheader()
        for row in rows:
            if row["method"] == "bicubic>laplacian":
                better = {key: -9.0 if key == "Nabf" else 99.0 for key in FUSION_KEYS}
                writer.writerow({"scale": 2, "method": "published", "image": row["image"], **better})
            if not row["method"].startswith("bicubic>laplacian"):
                writer.writerow({**row, "EN": "77.0"})  # measured here too: not to be listed twice
        writer.writerow({**rows[0], "scale": 3, "method": "of another scale"})
    assert evaluate(folder, "--model", "--peers", str(peers)) == 0
    as_is, stretched = (folder / "out" / "report.md").read_text(encoding="utf-8").split("## Stretched alike")
    assert "| published | 1.00 | **99.000** " in as_is
    assert "another scale" not in as_is
    assert as_is.count("| bicubic>average |") == 1
    assert as_is.count("| bicubic>average+stretch |") == 1  # published so
    assert "| bicubic>laplacian+stretch |" not in as_is
    assert "77.0" in as_is
    assert "77.0" not in stretched


def test_a_values_file_serves_as_peers_of_the_next_run(folder: Path) -> None:
    assert evaluate(folder, "--limit", "2") == 0
    (folder / "out" / "values.csv").rename(folder / "before.csv")
    assert evaluate(folder, "--limit", "1", "--model", "--peers", str(folder / "before.csv")) == 0
    assert "| hkdnet(realtime) |" in (folder / "out" / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """An untrained teacher's weights."""
    from hkdnet_ros.inference.checkpoint import save_checkpoint
    from hkdnet_ros.network.teacher import Teacher

    torch.manual_seed(0)
    network = Teacher()
    torch.nn.init.constant_(network.output.bias, 0.5)  # a picture of grays instead of black
    save_checkpoint(tmp_path / "teacher.safetensors", network, {})
    return tmp_path / "teacher.safetensors"


def test_fidelity_is_to_the_teachers_fusion_of_the_full_size_pair(folder: Path, teacher: Path) -> None:
    from hkdnet_ros.inference.checkpoint import load_teacher

    assert evaluate(folder, "--limit", "1", "--teacher", str(teacher)) == 0
    pair = [torch.tensor(textured(seed)[:182, :200] / 255.0, dtype=torch.float32)[None, None] for seed in (0, 1)]
    with torch.inference_mode():
        taught = load_teacher(teacher)[0](*pair).fused[0, 0].clamp(0, 1).numpy() * 255
    fused = cv2.imread(str(folder / "out" / "contact_sheet.png"), cv2.IMREAD_UNCHANGED)[56 : 56 + 182]
    for column, row in enumerate(row for row in values(folder) if not row["method"].endswith("+stretch")):
        left = 4 + (column + 2) * 404  # after thermal and visible
        expected = fidelity_metrics(fused[:, left : left + 200], taught)
        assert {key: float(row[key]) for key in expected} == pytest.approx(expected, abs=1e-4)


def test_fidelity_is_reported_where_there_is_a_teacher_and_not_ranked(folder: Path, teacher: Path) -> None:
    def cells(report: str) -> list[list[str]]:
        return [line.split(" | ") for line in report.splitlines() if line.startswith("| bicubic>")]

    assert evaluate(folder, "--model") == 0
    without = (folder / "out" / "report.md").read_text(encoding="utf-8")
    assert "SR_" not in without
    assert evaluate(folder, "--model", "--teacher", str(teacher)) == 0
    report = (folder / "out" / "report.md").read_text(encoding="utf-8")
    assert [row[:15] for row in cells(report)] == [row[:15] for row in cells(without)]  # ranks and order as before
    as_is, stretched = report.split("## Stretched alike")
    assert "| SR_PSNR | SR_SSIM |" in as_is
    assert "SR_PSNR" not in stretched.split("Mean rank")[0]


def test_a_published_method_has_no_fidelity(folder: Path, teacher: Path) -> None:
    assert evaluate(folder, "--model", "--limit", "1") == 0
    peers = folder / "peers.csv"
    peers.write_text((folder / "out" / "values.csv").read_text().replace("bicubic>", "published>"))
    assert evaluate(folder, "--model", "--limit", "1", "--teacher", str(teacher), "--peers", str(peers)) == 0
    lines = (folder / "out" / "report.md").read_text(encoding="utf-8").split("## Stretched alike")[0].splitlines()
    assert all(line.endswith("| – | – |") for line in lines if line.startswith("| published>"))
    assert not any("–" in line for line in lines if line.startswith("| bicubic>"))


def test_other_weights_than_a_teachers_are_named(
    folder: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such weights file" in failure(folder, capsys, "--teacher", str(folder / "gone.safetensors"))
    teacher.write_bytes(b"no weights")
    assert "not a readable safetensors file" in failure(folder, capsys, "--teacher", str(teacher))


def test_a_scale_without_shipped_weights_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine_api.BACKENDS, "torch", TORCH)
    monkeypatch.setattr("hkdnet_ros.inference.checkpoint.WEIGHTS", folder)
    assert "no weights come with the package for realtime at x3" in failure(folder, capsys, "--scale", "3")
    assert evaluate(folder, "--scale", "3", "--model") == 0
    assert {row["scale"] for row in values(folder)} == {"3"}


def failure(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Return the one line that a failing call ends with."""
    assert evaluate(folder, *options) == 1
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("hkdnet:")]
    assert len(lines) == 1
    return lines[0]


def test_bad_pairs_are_named_before_any_is_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = folder / "pairs" / "thermal" / "c.png"
    good = last.read_bytes()
    last.write_bytes(good[:200])
    assert "c.png: not a readable image" in failure(folder, capsys)
    cv2.imwrite(str(last), textured(0)[:180])
    assert "c.png: thermal is 201x180, visible 201x183" in failure(folder, capsys)
    cv2.imwrite(str(last), np.full(SIZE, 7300, np.uint16))
    assert "c.png: spans 1 of 256 gray levels; it shows nothing, as behind a closed shutter" in failure(folder, capsys)
    last.unlink()
    assert "visible: 1 image(s) without a partner of the same name: c" in failure(folder, capsys)
    assert not (folder / "out" / "values.csv").exists()


def test_measures_for_which_a_pair_is_too_small_are_left_out_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a thermal camera of 160x120: of all pairs, so that all means are over the same."""
    for side in ("thermal", "visible"):
        cv2.imwrite(str(folder / "pairs" / side / "b.png"), textured(0)[:101])
    assert evaluate(folder) == 0
    text = capsys.readouterr().out
    assert "not measured: MSSSIM, for which 100 pixels, the shortest side of a pair, are too few" in text
    assert "MSSSIM ↑" not in text
    assert "Mean rank is over MI, SCD, VIFp, Qabf, Nabf, SSIM;" in text
    rows = list(csv.DictReader((folder / "out" / "values.csv").open()))
    assert {row["image"] for row in rows} == {"a.png", "b.png", "c.png"}
    assert "MSSSIM" not in rows[0]


def test_an_empty_set_and_a_missing_folder_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder" in failure(tmp_path, capsys)
    for side in ("thermal", "visible"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
    assert "hold no images" in failure(tmp_path, capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("scale,method,image\n", "lacks the column MI"),
        ("", "lacks the column scale"),
        ("HEAD\n3,x,a.png,ROW\n", "holds no row of scale 2"),
        ("HEAD\n2,x,a.png,ROW\n", "x lacks 2 of the 3 images, as b.png"),
        ("HEAD\n2,x,other.png,ROW\n", "x lacks 3 of the 3 images"),
        ("HEAD\n2,x,a.png,ROW\n2,x,b.png,1.0,much\n", "line 3 is damaged"),
    ],
)
def test_a_peers_file_that_does_not_fit_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    head, row = ",".join(("scale", "method", "image", *FUSION_KEYS)), ",".join("1" for _ in FUSION_KEYS)
    (folder / "peers.csv").write_text(content.replace("HEAD", head).replace("ROW", row))
    assert message in failure(folder, capsys, "--peers", str(folder / "peers.csv"))


def test_wrong_options_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--limit is 0" in failure(folder, capsys, "--limit", "0")
    assert "gone.csv: cannot be read" in failure(folder, capsys, "--peers", str(folder / "gone.csv"))
    assert "two models are called x" in failure(folder, capsys, "--model", "x", "x")
    (folder / "file").write_text("")
    assert "cannot be made a folder" in failure(folder, capsys, "--out", str(folder / "file"))
