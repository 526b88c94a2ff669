"""The command as called by a user: on pairs with bright spots for objects, and a detector that finds such."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from spot_finder import SpotFinder

from hkdnet_ros import cli
from hkdnet_ros.evaluation import detection
from hkdnet_ros.evaluation.baselines import baselines
from hkdnet_ros.evaluation.detection import Search, search_pair
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.sources.pairs import list_pairs

SIZE = (97, 129)  # neither side a multiple of 2
VISIBLE_SPOTS = [(8, 8, 12, 12), (80, 40, 36, 40)]  # left, top, width, height: small and medium
THERMAL_SPOTS = [(8, 8, 12, 12), (40, 64, 14, 14)]  # the first is in visible, too


def spots(places: list[tuple[int, int, int, int]], level: int) -> np.ndarray:
    image = np.zeros(SIZE, np.uint8)
    for left, top, width, height in places:
        image[top : top + height, left : left + width] = level
    return image


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pairs: in the first all is black but for the spots, by night; in the second visible has a bright half."""
    monkeypatch.setattr(detection, "OnnxDetector", SpotFinder)
    for side, places in (("thermal", THERMAL_SPOTS), ("visible", VISIBLE_SPOTS)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for name in ("a.png", "b.png"):
            assert cv2.imwrite(str(tmp_path / "pairs" / side / name), spots(places, 200))
    return tmp_path


def evaluate(folder: Path, *options: str) -> int:
    words = ["--pairs", str(folder / "pairs"), "--detector", "spots.onnx", "--out", str(folder / "out"), "--model"]
    return cli.main(["evaluate", "detection", *words, *options])


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "out" / "objects.csv", newline="") as file:
        return list(csv.DictReader(file))


def cells(folder: Path, heading: str) -> dict[str, list[str]]:
    """Return the cells of the table under a heading, by their row's first; the heads by ``image``."""
    section = (folder / "out" / "report.md").read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("## ")[0]
    table = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {first: rest for first, *rest in table}


def test_what_each_source_shows_is_sought_in_the_other_images(folder: Path) -> None:
    assert evaluate(folder) == 0
    kept, gained = cells(folder, "Kept"), cells(folder, "Gained")
    assert kept["image"] == ["all (4)", "small (2)", "medium (2)", "night (4)", "found"]
    assert kept["visible"] == ["1.00", "1.00", "1.00", "1.00", "4"]
    assert kept["thermal"] == ["0.50", "1.00", "0.00", "0.50", "4"]
    assert kept["bicubic>maximum"] == ["1.00", "1.00", "1.00", "1.00", "6"]
    assert gained["image"] == ["all (2)", "small (2)", "night (2)", "found"]
    assert {name: row[0] for name, row in gained.items() if name != "image"} == {
        "thermal": "1.00",
        "visible": "0.00",
        "bicubic>thermal": "1.00",
        "bicubic>visible": "0.00",
        "bicubic>average": "1.00",  # of level 100: found, but not to be sought
        "bicubic>maximum": "1.00",
        "bicubic>laplacian": "1.00",
    }


def test_what_is_unsure_in_thermal_is_not_sought_and_what_is_unsure_in_visible_is_no_gain(folder: Path) -> None:
    in_both, alone = THERMAL_SPOTS
    assert cv2.imwrite(str(folder / "pairs/thermal/a.png"), spots([in_both], 200) + spots([alone], 100))
    assert cv2.imwrite(str(folder / "pairs/visible/b.png"), spots(THERMAL_SPOTS, 100))
    assert evaluate(folder) == 0
    assert [(row["image"], row["origin"]) for row in rows(folder)] == [("a.png", "visible")] * 2
    assert "There are none." in (folder / "out" / "report.md").read_text(encoding="utf-8")


def test_every_object_has_a_row_that_says_where_it_was_found(folder: Path) -> None:
    assert evaluate(folder, "--limit", "1") == 0
    first, second, third = rows(folder)
    assert [first[key] for key in ("image", "light", "origin", "class", "size")] == [
        "a.png", "night", "visible", "car", "small",
    ]  # fmt: skip
    assert [first[key] for key in ("left", "top", "right", "bottom")] == ["8.0", "8.0", "20.0", "20.0"]
    assert (second["size"], third["origin"]) == ("medium", "thermal alone")
    assert [row["thermal"] for row in (first, second, third)] == ["1", "0", "1"]
    assert [row["bicubic>maximum"] for row in (first, second, third)] == ["1", "1", "1"]


def test_the_mean_of_visible_tells_day_from_night(folder: Path) -> None:
    bright = spots([(0, 0, 129, 97)], 200)
    assert cv2.imwrite(str(folder / "pairs/visible/b.png"), bright)
    assert evaluate(folder) == 0
    assert {(row["image"], row["light"]) for row in rows(folder)} == {("a.png", "night"), ("b.png", "day")}


def test_with_guide_the_visible_image_is_not_reduced(folder: Path) -> None:
    assert evaluate(folder, "--guide", "--scale", "8") == 0
    kept = cells(folder, "Kept")
    assert "bicubic>visible" not in kept
    assert "bicubic>thermal" in kept
    assert "thermal reduced by 8" in (folder / "out" / "report.md").read_text(encoding="utf-8")


def test_methods_get_the_reduced_pair_and_their_images_are_searched(folder: Path) -> None:
    (paths, _) = list_pairs(folder / "pairs")
    asked = []

    def black(thermal: np.ndarray, visible: np.ndarray) -> np.ndarray:
        asked.append((thermal.shape, visible.shape))
        return np.zeros((96, 128), np.float32)

    car = frozenset({2})
    pair = search_pair(paths, Sizes(thermal=4, visible=1), {"black": black}, Search(SpotFinder(), car))
    assert asked == [((24, 32), (96, 128))]
    assert not len(pair.objects["black"])
    assert [one.found_in["black"] for one in pair.sought] == [False] * 3
    everything = search_pair(
        paths, Sizes(thermal=2, visible=2), baselines(Sizes(thermal=2, visible=2)), Search(SpotFinder(), car)
    )
    assert all(image.shape == (96, 128) and image.dtype == np.uint8 for image in everything.images.values())


def test_labels_take_the_place_of_what_the_sources_show(folder: Path) -> None:
    (folder / "pairs" / "labels").mkdir()
    left, top, width, height = VISIBLE_SPOTS[1]
    shares = [(left + width / 2) / 129, (top + height / 2) / 97, width / 129, height / 97]
    car = f"2 {' '.join(map(str, shares))}\n"
    (folder / "pairs" / "labels" / "a.txt").write_text(car + "0 0.5 0.1 0.2 0.2\n9 0.5 0.1 0.2 0.2\n")
    assert evaluate(folder) == 0
    table = cells(folder, "Labelled")
    assert table["image"] == ["all (2)", "small (1)", "medium (1)", "night (2)", "found", "precision"]
    assert table["visible"] == ["0.50", "0.00", "1.00", "0.50", "4", "0.25"]  # the person is none
    assert table["thermal"] == ["0.00", "0.00", "0.00", "0.00", "4", "0.00"]
    assert table["bicubic>maximum"] == ["0.50", "0.00", "1.00", "0.50", "6", "0.17"]
    report = (folder / "out" / "report.md").read_text(encoding="utf-8")
    assert "## Kept" not in report
    assert [row["class"] for row in rows(folder)] == ["car", "person"]  # a traffic light was not asked for


def test_the_contact_sheet_shows_the_boxes(folder: Path) -> None:
    assert evaluate(folder) == 0
    sheet = cv2.imread(str(folder / "out" / "contact_sheet.png"), cv2.IMREAD_UNCHANGED)
    cell = sheet[56 : 56 + 96, 4 : 4 + 128]
    left, top, width, height = THERMAL_SPOTS[1]
    assert (cell[top, left : left + width] == 255).all()
    assert (cell[top + height, left : left + width] == 255).all()
    assert cell[top + height // 2, left + width // 2] == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--found", "0.6"), "--found is 0.6 and --sure 0.5"),
        (("--found", "0"), "expected 0 < found <= sure <= 1"),
        (("--sure", "1.5"), "expected 0 < found <= sure <= 1"),
        (("--limit", "0"), "--limit is 0"),
        (("--classes", "pedestrian"), "'pedestrian' is none of COCO's classes, which are person, "),
        (("--classes", "bus"), "holds no bus to be found"),
        (("--scale", "8"), "or add --guide"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert evaluate(folder, *options) == 1
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("hkdnet:")]
    assert len(lines) == 1
    assert message in lines[0]


def test_labels_of_other_classes_than_those_asked_for_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pairs" / "labels").mkdir()
    (folder / "pairs" / "labels" / "classes.txt").write_text("dog\n")
    assert evaluate(folder) == 1
    assert "knows none of person, " in capsys.readouterr().err


def test_a_bad_label_is_named_before_anything_is_fused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "open_methods", None)
    (folder / "pairs" / "labels").mkdir()
    (folder / "pairs" / "labels" / "b.txt").write_text("car\n")
    assert evaluate(folder) == 1
    assert "b.txt: line 1 is 'car'; expected a class" in capsys.readouterr().err


def test_the_detector_is_looked_at_before_anything_is_fused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "open_methods", None)
    for side in ("thermal", "visible"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / "pairs" / side / "a.png"), spots(THERMAL_SPOTS, 200))
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert evaluate(tmp_path) == 1
    assert capsys.readouterr().err.endswith("hkdnet: spots.onnx: no such file; give a detector in ONNX form\n")
