"""Boxes: overlap, double ones, and who answers for whom; against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.evaluation.boxes import (
    COCO_CLASSES,
    Objects,
    covered,
    joined,
    matched,
    overlaps,
    size_names,
    without_doubles,
)

CAR, BUS = COCO_CLASSES.index("car"), COCO_CLASSES.index("bus")


def objects(*rows: tuple[float, ...]) -> Objects:
    """Return objects from rows of left, top, right, bottom, score, class."""
    table = np.asarray(rows, np.float32).reshape(-1, 6)
    return Objects(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def test_overlap_is_intersection_over_union() -> None:
    one = objects((0, 0, 10, 10, 1, CAR), (20, 0, 30, 10, 1, CAR)).boxes
    other = objects((5, 0, 15, 10, 1, CAR), (0, 0, 10, 10, 1, CAR), (2, 2, 7, 12, 1, CAR)).boxes
    np.testing.assert_allclose(overlaps(one, other), [[1 / 3, 1, 40 / 110], [0, 0, 0]], rtol=1e-6)


def test_boxes_without_area_overlap_nothing() -> None:
    point = objects((5, 5, 5, 5, 1, CAR)).boxes
    assert overlaps(point, point) == 0


def test_of_double_boxes_of_one_class_the_surest_stays() -> None:
    found = objects(
        (0, 0, 10, 10, 0.6, CAR),
        (1, 0, 11, 10, 0.9, CAR),  # IoU 9/11
        (1, 0, 11, 10, 0.7, BUS),
        (6, 0, 16, 10, 0.5, CAR),  # IoU 1/3 with the surest
    )
    assert without_doubles(found, 0.45).scores == pytest.approx([0.9, 0.7, 0.5])
    assert without_doubles(found, 0.3).scores == pytest.approx([0.9, 0.7])
    assert len(without_doubles(objects(), 0.45)) == 0


def test_an_object_is_found_where_a_box_of_its_class_covers_half_of_both() -> None:
    sought = objects((0, 0, 10, 10, 1, CAR), (50, 0, 60, 10, 1, CAR), (80, 0, 90, 10, 1, CAR))
    found = objects((0, 0, 20, 10, 0.3, CAR), (50, 0, 60, 10, 1, BUS), (80, 0, 101, 10, 1, CAR))
    assert matched(sought, found).tolist() == [True, False, False]  # IoU 0.5, another class, IoU 10/21


def test_one_box_answers_for_one_object_that_it_covers_best() -> None:
    sought = objects((0, 0, 10, 10, 1, CAR), (0, 0, 10, 12, 1, CAR))
    assert matched(sought, objects((0, 0, 10, 12, 1, CAR))).tolist() == [False, True]
    assert matched(sought, objects((0, 0, 10, 12, 1, CAR), (0, 1, 10, 10, 1, CAR))).tolist() == [True, True]


def test_one_box_may_cover_two() -> None:
    two = objects((0, 0, 10, 10, 1, CAR), (0, 0, 10, 12, 1, CAR), (0, 0, 10, 12, 1, BUS))
    assert covered(two, objects((0, 0, 10, 12, 1, CAR))).tolist() == [True, True, False]
    assert covered(two, objects()).tolist() == [False] * 3


def test_nothing_matches_nothing() -> None:
    assert matched(objects(), objects((0, 0, 1, 1, 1, CAR))).tolist() == []
    assert matched(objects((0, 0, 1, 1, 1, CAR)), objects()).tolist() == [False]


def test_sizes_are_those_of_coco() -> None:
    boxes = objects(
        (0, 0, 31, 33, 1, CAR), (0, 0, 32, 32, 1, CAR), (0, 0, 95, 97, 1, CAR), (0, 0, 96, 96, 1, CAR)
    ).boxes
    assert size_names(boxes) == ["small", "medium", "medium", "large"]


def test_boxes_are_scaled_then_moved_and_cut_at_the_border() -> None:
    box = objects((1, 2, 3, 4, 1, CAR)).transformed((2, 3), (10, 20))
    assert box.boxes.tolist() == [[12, 26, 16, 32]]
    assert box.clipped(15, 30).boxes.tolist() == [[12, 26, 15, 30]]
    assert len(box.clipped(12, 30)) == 0
    assert len(joined([box, box])) == 2


def test_coco_has_80_classes_in_the_order_of_detectors() -> None:
    assert len(set(COCO_CLASSES)) == 80
    assert [COCO_CLASSES[number] for number in (0, 1, 2, 3, 5, 7, 79)] == [
        "person", "bicycle", "car", "motorcycle", "bus", "truck", "toothbrush",
    ]  # fmt: skip
