"""Finding objects: tiles, layouts of detectors' outputs, and ONNX files that are detectors or not."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from spot_finder import SpotFinder

from hkdnet_ros.errors import CheckpointError, MissingDependencyError
from hkdnet_ros.evaluation.boxes import COCO_CLASSES, Objects
from hkdnet_ros.evaluation.detector import (
    OnnxDetector,
    find_objects,
    read_columns,
    read_grid,
    read_ready,
    read_rows,
    tile_starts,
)

CAR, BUS = COCO_CLASSES.index("car"), COCO_CLASSES.index("bus")
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize("side", [1, 48, 49, 64, 72, 73, 200, 480])
def test_tiles_cover_a_side_and_overlap_by_half(side: int) -> None:
    starts = tile_starts(side, 48)
    assert starts[0] == 0
    assert starts[-1] == max(0, side - 48)
    assert all(0 < after - before <= 24 for before, after in itertools.pairwise(starts))
    assert len(starts) == (1 if side <= 48 else 1 + math.ceil((side - 48) / 24))


def spot(left: int, top: int, width: int, height: int, level: int = 200, shape: tuple[int, int] = (110, 150)) -> Any:
    image = np.zeros(shape, np.uint8)
    image[top : top + height, left : left + width] = level
    return image


class Magnifier(SpotFinder):
    """Does not see what is reduced: of reduced images the edges are soft, and a spot has more than one level."""

    def __call__(self, image: np.ndarray) -> Objects:
        found = super().__call__(image)
        return found if len(np.unique(image)) <= 2 else found.where(found.scores > 1)


@pytest.mark.parametrize("top", [0, 1, 13, 31, 60, 97])
@pytest.mark.parametrize("left", [0, 2, 33, 64, 70, 138])
def test_a_small_object_is_found_once_wherever_it_is(left: int, top: int) -> None:
    found = find_objects(spot(left, top, 12, 13), Magnifier(), score=0.5)
    assert found.boxes.tolist() == [[left, top, left + 12, top + 13]]


def test_an_object_larger_than_a_tile_is_found_in_the_whole_image() -> None:
    found = find_objects(spot(10, 10, 120, 90), SpotFinder(), score=0.5)
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], [10, 10, 130, 100], atol=3)  # a pixel of the reduced image


def test_an_object_that_reaches_out_of_the_image_is_not_taken_for_cut() -> None:
    found = find_objects(spot(140, 100, 10, 10), Magnifier(), score=0.5)
    assert found.boxes.tolist() == [[140, 100, 150, 110]]


def test_an_object_in_an_image_smaller_than_a_tile_is_found_once() -> None:
    image = spot(3, 4, 10, 11, shape=(24, 32))
    assert find_objects(image, Magnifier(), score=0.5).boxes.tolist() == [[3, 4, 13, 15]]
    found = find_objects(image, SpotFinder(), score=0.5)
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], [3, 4, 13, 15], atol=0.5)  # a pixel of the enlarged image


def test_score_and_class_decide_what_counts() -> None:
    image = np.maximum(spot(5, 5, 10, 10, 200), spot(100, 60, 10, 10, 90))
    assert len(find_objects(image, SpotFinder(), score=0.3)) == 2
    sure = find_objects(image, SpotFinder(), score=0.5, classes={CAR})
    assert len(sure) == 1
    np.testing.assert_allclose(sure.boxes[0], [5, 5, 15, 15], atol=3)
    assert len(find_objects(image, SpotFinder(), score=0.3, classes={BUS})) == 0


def test_a_grid_is_read_as_fastestdet_writes_it() -> None:
    output = np.zeros((85, 2, 4), np.float32)
    output[0, 1, 2] = 0.81  # objectness of the cell x 2, y 1
    output[1:5, 1, 2] = math.atanh(0.5), math.atanh(-0.25), math.log(1 / 3), math.log(3)  # sigmoid: 1/4, 3/4
    output[5 + CAR, 1, 2], output[5 + BUS, 1, 2] = 0.64, 0.3
    found = read_grid(output, 100, 200)
    best = int(np.argmax(found.scores))
    # Centre (2.5 / 4, 0.75 / 2) of 200x100, sides 50 and 75.
    assert found.boxes[best] == pytest.approx([100, 0, 150, 75], abs=1e-4)
    assert found.scores[best] == pytest.approx(0.81**0.6 * 0.64**0.4)
    assert found.classes[best] == CAR
    assert len(found) == 8


def test_rows_and_columns_are_read_as_yolo_writes_them() -> None:
    rows = np.zeros((3, 85), np.float32)
    rows[1, :5] = 50, 40, 20, 10, 0.5
    rows[1, 5 + BUS], rows[1, 5 + CAR] = 0.8, 0.7
    columns = np.zeros((84, 3), np.float32)
    columns[:4, 1] = 50, 40, 20, 10
    columns[4 + BUS, 1], columns[4 + CAR, 1] = 0.8, 0.7
    for found, score in ((read_rows(rows, 99, 99), 0.4), (read_columns(columns, 99, 99), 0.8)):
        assert found.boxes[1].tolist() == [40, 35, 60, 45]
        assert found.scores.tolist() == pytest.approx([0, score, 0])
        assert found.classes[1] == BUS


def test_boxes_without_doubles_are_taken_as_they_are() -> None:
    found = read_ready(np.float32([[1, 2, 3, 4, 0.5, BUS]]), 99, 99)
    assert found.boxes.tolist() == [[1, 2, 3, 4]]
    assert found.scores.tolist() == [0.5]
    assert found.classes.tolist() == [BUS]


def save_model(path: Path, output: np.ndarray, inputs: tuple[int | str, ...] = (1, 3, 24, 32)) -> Path:
    """Write a model whose output is ``output``, multiplied by the mean of its input."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["constant", "mean"], ["output"]),
        ],
        "detector",
        [helper.make_tensor_value_info("image", number, inputs)],
        [helper.make_tensor_value_info("output", number, None)],
        [onnx.numpy_helper.from_array(output, "constant")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def _runtime() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.mark.usefixtures("_runtime")
@pytest.mark.parametrize("layout", ["grid", "rows", "columns", "ready"])
def test_each_layout_is_told_by_its_shape(layout: str, tmp_path: Path) -> None:
    outputs = {
        "grid": np.zeros((1, 85, 3, 4), np.float32),
        "rows": np.zeros((1, 7, 85), np.float32),
        "columns": np.zeros((1, 84, 7), np.float32),
        "ready": np.zeros((1, 7, 6), np.float32),
    }
    outputs["grid"][0, [0, 5 + BUS], 1, 1] = 1
    outputs["rows"][0, 3, [2, 3, 4, 5 + BUS]] = 8, 8, 1, 1
    outputs["columns"][0, [2, 3, 4 + BUS], 3] = 8, 8, 1
    outputs["ready"][0, 3] = 1, 2, 3, 4, 1, BUS
    detector = OnnxDetector(save_model(tmp_path / "model.onnx", outputs[layout]))
    assert detector.size == (24, 32)
    found = detector(np.full((24, 32), 255, np.uint8))
    assert found.scores.max() == pytest.approx(1)
    assert found.classes[np.argmax(found.scores)] == BUS


@pytest.mark.usefixtures("_runtime")
def test_gray_levels_reach_the_detector_from_0_to_1(tmp_path: Path) -> None:
    output = np.zeros((1, 1, 6), np.float32)
    output[0, 0, 4] = 1
    detector = OnnxDetector(save_model(tmp_path / "model.onnx", output, (1, 3, "height", "width")))
    assert detector.size == (640, 640)
    image = np.full((640, 640), 51, np.uint8)
    assert detector(image).scores.tolist() == pytest.approx([0.2], rel=0.01)


@pytest.mark.usefixtures("_runtime")
def test_files_that_are_no_detectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        OnnxDetector(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(CheckpointError, match="cannot be loaded as an ONNX file") as caught:
        OnnxDetector(tmp_path / "text.onnx")
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"gives \(1, 7, 20\); expected a detector of COCO's 80 classes"):
        OnnxDetector(save_model(tmp_path / "other.onnx", np.zeros((1, 7, 20), np.float32)))
    with pytest.raises(CheckpointError, match=r"expected one image \(1, 3, H, W\)"):
        OnnxDetector(save_model(tmp_path / "gray.onnx", np.zeros((1, 7, 6), np.float32), (1, 1, 24, 32)))


def test_a_missing_onnxruntime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="pip install onnxruntime"):
        OnnxDetector(tmp_path / "model.onnx")


@pytest.mark.usefixtures("_runtime")
@pytest.mark.skipif(not (DATA / "detector").is_dir(), reason="the detector ../shared/data/detector is not here")
def test_a_real_detector_finds_more_at_an_images_own_resolution() -> None:
    detector = OnnxDetector(DATA / "detector" / "fastestdet.onnx")
    image = cv2.imread(str(DATA / "val" / "visible" / "ms_00367D.png"), cv2.IMREAD_GRAYSCALE)
    assert detector.size == (352, 352)
    found = find_objects(image, detector, score=0.5)
    whole = detector(cv2.resize(image, (352, 352), interpolation=cv2.INTER_AREA))
    assert len(found) > 2 * np.sum(whole.scores >= 0.9)
    assert {COCO_CLASSES[number] for number in found.classes} >= {"person", "car"}
