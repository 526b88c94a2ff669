"""Flicker of clips: what is measured against what, and the command as called by a user."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from recordings import write_bag, write_folder, write_videos

from hkdnet_ros import cli
from hkdnet_ros.evaluation.baselines import Method, baselines
from hkdnet_ros.evaluation.measurements import mean_values
from hkdnet_ros.evaluation.resampling import enlarge_bicubic, reduce_bilinear
from hkdnet_ros.evaluation.video import gray_pairs, measure_clip
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.metrics.fusion import FUSION_KEYS, fusion_metrics
from hkdnet_ros.sources.opening import open_source

DOUBLED = Sizes(thermal=2, visible=2)
SOURCES = ["thermal", "visible", "bicubic>thermal", "bicubic>visible"]
METHODS = ["bicubic>average", "bicubic>maximum", "bicubic>laplacian"]


def clip(count: int = 5, size: tuple[int, int] = (176, 180)) -> list[tuple[np.ndarray, np.ndarray]]:
    """Thermal stands still, visible is brighter by 8 in every other frame."""
    random = np.random.default_rng(0)
    thermal, visible = (cv2.GaussianBlur(random.uniform(60, 190, size), (0, 0), 2) for _ in range(2))
    return [
        (np.rint(thermal).astype(np.uint8), np.rint(visible + index % 2 * 8).astype(np.uint8)) for index in range(count)
    ]


def write_clip(folder: Path, count: int = 5) -> Path:
    for index, pair in enumerate(clip(count)):
        for stream, image in zip(("thermal", "visible"), pair, strict=True):
            (folder / stream).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / stream / f"{index}.png"), image)
    return folder


def evaluate(tmp_path: Path, *options: object) -> int:
    words = ["evaluate", "video", "--model", "--out", tmp_path / "out", *options]
    return cli.main([str(word) for word in words])


def values(tmp_path: Path) -> list[dict[str, str]]:
    with open(tmp_path / "out" / "values.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_sources_and_fused_images_flicker_in_one_unit() -> None:
    means = mean_values(measure_clip(clip(), DOUBLED, baselines(DOUBLED), reduce=True, every=0))
    assert list(means) == SOURCES + METHODS
    assert means["thermal"] == {"brightness": 0, "change": 0, "flicker": 0}
    assert means["visible"] == {"brightness": 8, "change": 8, "flicker": 8}
    assert means["bicubic>average"]["flicker"] == pytest.approx(4, abs=0.1)
    assert means["bicubic>average"]["unexplained"] == pytest.approx(0, abs=1e-4)


def test_a_method_that_passes_a_source_through_flickers_as_it_does() -> None:
    def visible_alone(_: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return enlarge_bicubic(visible, 2)

    rng = np.random.default_rng(0)
    noisy = [tuple(rng.integers(0, 256, (2, 32, 32), np.uint8)) for _ in range(4)]
    for reduce in (True, False):
        means = mean_values(measure_clip(noisy, DOUBLED, {"visible alone": visible_alone}, reduce=reduce, every=0))
        alone = means["visible alone"]
        assert alone.pop("unexplained") == 0
        assert alone == means["bicubic>visible"]
        assert alone["flicker"] > 1
        assert "still" in alone


def test_quality_is_that_of_the_reduced_pair_fused_against_the_pair() -> None:
    rows = list(measure_clip(clip(3), DOUBLED, baselines(DOUBLED), reduce=True, every=2))
    measured = {(row.image, row.method): row.values for row in rows if "MI" in row.values}
    assert set(measured) == {(image, method) for image in ("00000", "00002") for method in METHODS}
    thermal, visible = clip(3)[2]
    fused = baselines(DOUBLED)["bicubic>maximum"](reduce_bilinear(thermal, 2), reduce_bilinear(visible, 2))
    found = measured["00002", "bicubic>maximum"]
    assert {key: found[key] for key in FUSION_KEYS} == fusion_metrics(thermal, visible, fused)


def test_the_report_sets_flicker_in_relation_to_the_flickering_source(tmp_path: Path) -> None:
    assert evaluate(tmp_path, "--source", write_clip(tmp_path / "clip"), "--every", 4) == 0
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    flicker, quality = report.split("## Quality")
    assert "| stream | flicker ↓ | / visible | / bicubic>visible | still ↓ | / visible | / bicubic>visible |" in flicker
    assert "| visible | 8.000 | 1.00 |" in flicker
    assert "| thermal | 0.000 | 0.00 | 0.00 | – | – | – | – | 0.000 | 0.000 |" in flicker
    assert "| bicubic>average | 4.0" in flicker
    assert "mean of 2 frames, one in 4" in report
    assert all(f"| {method} |" in quality for method in METHODS)
    assert "| visible |" not in quality
    rows = values(tmp_path)
    assert len(rows) == 5 * 7
    assert {row["image"] for row in rows if row["MI"]} == {"00000", "00004"}
    assert {row["image"] for row in rows if not row["flicker"]} == {"00000", "00001"}


def test_a_clip_can_be_fused_at_its_own_size(tmp_path: Path) -> None:
    assert evaluate(tmp_path, "--source", write_clip(tmp_path / "clip"), "--no-reduce", "--limit", 3) == 0
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| stream | flicker ↓ | / bicubic>visible | still ↓ | / bicubic>visible | unexplained" in report
    assert "## Quality" not in report
    assert {row["method"] for row in values(tmp_path)} == {"bicubic>thermal", "bicubic>visible", *METHODS}


def test_a_still_clip_has_no_ratio(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip", 3)
    for index in (1, 2):
        (folder / "visible" / f"{index}.png").write_bytes((folder / "visible" / "0.png").read_bytes())
    assert evaluate(tmp_path, "--source", folder, "--every", 0) == 0
    assert "| thermal | 0.000 | – | – | 0.000 | – | – | – |" in (tmp_path / "out" / "report.md").read_text(
        encoding="utf-8"
    )


def test_videos_bags_and_folders_are_played(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "videos")
    write_bag(tmp_path / "bag", count=4)
    write_folder(tmp_path / "folder", count=3)
    for options, count in (
        (("--thermal", videos / "thermal.mp4", "--visible", videos / "visible.mp4"), 6),
        (("--source", videos, "--limit", 4), 4),
        (("--source", tmp_path / "bag"), 4),
        (("--source", tmp_path / "folder", "--limit", 9), 3),
    ):
        assert evaluate(tmp_path, "--every", 0, *options) == 0
        assert len({row["image"] for row in values(tmp_path)}) == count


def test_pairs_are_8_bit_gray_of_the_thermal_images_size(tmp_path: Path) -> None:
    written = write_folder(tmp_path / "folder", count=3)  # visible in colour and of another size
    for (thermal, visible), (first, second) in zip(
        gray_pairs(open_source(str(tmp_path / "folder")), Sizes(3, 3), reduce=True), written, strict=True
    ):
        np.testing.assert_array_equal(thermal, first[:24, :30])
        gray = cv2.cvtColor(second, cv2.COLOR_BGR2GRAY)
        np.testing.assert_array_equal(visible, cv2.resize(gray, (32, 24), interpolation=cv2.INTER_AREA)[:24, :30])


def seen_by(given: list[tuple[np.ndarray, np.ndarray]]) -> Method:
    """The brighter of visible and thermal enlarged; keeps what it is given."""

    def fuse(thermal: np.ndarray, visible: np.ndarray) -> np.ndarray:
        given.append((thermal, visible))
        return np.maximum(enlarge_bicubic(thermal, visible.shape[0] // thermal.shape[0]), visible)

    return fuse


def test_a_guide_keeps_its_size_and_thermal_alone_is_reduced() -> None:
    given: list[tuple[np.ndarray, np.ndarray]] = []
    rows = list(measure_clip(clip(4), Sizes(4, 1), {"own": seen_by(given)}, reduce=True, every=1))
    for (thermal, visible), pair in zip(given, clip(4), strict=True):
        np.testing.assert_array_equal(thermal, reduce_bilinear(pair[0], 4))
        np.testing.assert_array_equal(visible, pair[1])
    means = mean_values(rows)
    assert means["visible"] == means["bicubic>visible"]
    assert means["visible"]["flicker"] == 8
    measured = next(row.values for row in rows if row.method == "own")
    fused = seen_by([])(reduce_bilinear(clip()[0][0], 4), clip()[0][1])
    assert {key: measured[key] for key in FUSION_KEYS} == fusion_metrics(*clip()[0], fused)


def of_two_sizes(count: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    """Thermal of a third of the visible image's 180x177 pixels, as two cameras give them, in all gray levels."""
    y, x = np.mgrid[:59, :60]
    thermal = np.rint(127.5 + 127.5 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)
    return [(thermal, visible) for _, visible in clip(count, (177, 180))]


def write_two_sizes(folder: Path, count: int = 4) -> Path:
    for index, pair in enumerate(of_two_sizes(count)):
        for stream, image in zip(("thermal", "visible"), pair, strict=True):
            (folder / stream).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / stream / f"{index}.png"), image)
    return folder


def test_cameras_of_two_sizes_are_fused_as_they_are(tmp_path: Path) -> None:
    folder = write_two_sizes(tmp_path / "clip")
    pairs = list(gray_pairs(open_source(str(folder)), Sizes(3, 1), reduce=False))
    for pair, written in zip(pairs, of_two_sizes(), strict=True):
        for image, expected in zip(pair, written, strict=True):
            np.testing.assert_array_equal(image, expected)
    assert evaluate(tmp_path, "--source", folder, "--guide", "--no-reduce", "--scale", 3) == 0
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# Flicker at x3, visible at full size\n")
    assert "input: visible at its own size, thermal at 1/3 of it, 8 bits" in report
    assert "| bicubic>visible | 8.000 | 1.00 |" in report


def test_thermal_that_is_smaller_than_its_guide_cannot_be_reduced_from_the_guides_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path, "--source", write_two_sizes(tmp_path / "clip"), "--guide") == 1
    fact = "pair 0: thermal is 60x59, visible 180x177; to fuse them as they are add --no-reduce"
    assert fact in capsys.readouterr().err


def test_a_guide_whose_size_changes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_two_sizes(tmp_path / "clip")
    assert cv2.imwrite(str(folder / "visible" / "2.png"), np.zeros((90, 90), np.uint8))
    assert evaluate(tmp_path, "--source", folder, "--guide", "--no-reduce", "--scale", 3) == 1
    assert "pair 2: size changes to 90x90 from 180x177" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "named by --thermal VIDEO and --visible VIDEO, or by --source alone"),
        (("--thermal", "thermal.mp4"), "named by --thermal VIDEO"),
        (("--source", "videos", "--thermal", "a.mp4", "--visible", "b.mp4"), "or by --source alone"),
        (("--thermal", "gone.mp4", "--visible", "gone.mp4"), "gone.mp4: no such file"),
        (("--source", "simulator"), "has no end"),
        (("--source", "videos", "--limit", "2"), "--limit is 2; flicker needs 3 pairs or more"),
        (("--source", "short"), "gives 2 pairs; flicker needs 3 or more"),
        (("--source", "mixed", "--every", "0"), "mixed: pair 1: size changes to 20x18 from 32x24"),
        (("--source", "videos", "--every", "-1"), "--every is -1"),
        (("--source", "videos", "--every", "2", "--no-reduce"), "leave out --no-reduce"),
        (("--source", "bag", "--thermal-topic", "other"), "no thermal images on topic other"),
        (("--source", "videos", "--out", "file"), "cannot be made a folder for the results"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_videos(Path("videos"), count=4)
    write_folder(Path("short"), count=2)
    write_folder(Path("mixed"), count=3)
    cv2.imwrite("mixed/thermal/frame_001.png", np.zeros((18, 20), np.uint8))
    write_bag(Path("bag"))
    Path("file").write_text("")
    if "short" in options:
        options = (*options, "--every", "0")
    assert evaluate(tmp_path, *options) == 1
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("hkdnet:")]
    assert len(lines) == 1
    assert message in lines[0]
