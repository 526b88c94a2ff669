"""Labels in YOLO's text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hkdnet_ros.errors import SourceError
from hkdnet_ros.evaluation.boxes import COCO_CLASSES
from hkdnet_ros.evaluation.labels import Labels


def test_a_line_is_an_object_in_shares_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("2 0.5 0.25 0.1 0.5\n\n0 0.25 0.75 0.5 0.5\n")
    found = Labels(tmp_path).of("a", 200, 100)
    assert found.boxes.tolist() == [[90, 0, 110, 50], [0, 50, 100, 100]]
    assert [COCO_CLASSES[number] for number in found.classes] == ["car", "person"]


def test_names_of_ones_own_are_taken_where_coco_has_them(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Lamp\nCar\nperson\n")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.2 0.2\n")
    labels = Labels(tmp_path)
    assert {COCO_CLASSES[number] for number in labels.classes} == {"car", "person"}
    assert [COCO_CLASSES[number] for number in labels.of("a", 100, 100).classes] == ["person", "car"]


def test_a_pair_without_a_file_has_no_objects(tmp_path: Path) -> None:
    assert len(Labels(tmp_path).of("a", 100, 100)) == 0


@pytest.mark.parametrize(
    "line", ["car 0.5 0.5 0.1 0.1", "80 0.5 0.5 0.1 0.1", "-1 0.5 0.5 0.1 0.1", "2 0.5 0.5 0.1", "2 0.5 0.5 0 0.1"]
)
def test_what_is_no_label_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.txt").write_text(f"2 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(SourceError, match=r"a\.txt: line 2 is .*; expected a class from 0 to 79"):
        Labels(tmp_path).of("a", 100, 100)


def test_labels_without_a_class_of_coco_are_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Lamp\n")
    with pytest.raises(SourceError, match="names none of COCO's classes"):
        Labels(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"a\.txt: cannot be read"):
        Labels(tmp_path).of("a", 100, 100)
