"""Objects over time in a whole result: what each image shows of them, counted by hand, and said in the report."""

from __future__ import annotations

import csv
import dataclasses

import cv2
import numpy as np
import pytest
from drives import PERIOD_NS
from recordings import START_NS, BagWriter
from rigging import FakeEngine

from hkdnet_ros.evaluation.bag import evaluate
from hkdnet_ros.evaluation.bag.downstream.findings import downstream_findings, held_against
from hkdnet_ros.evaluation.bag.downstream.found import FoundObjects, drawn
from hkdnet_ros.evaluation.bag.downstream.tracks import OBJECT_COLUMNS, object_rows, read_followed, write_tracks
from hkdnet_ros.evaluation.bag.finding import BAD, GOOD, NOTE
from hkdnet_ros.evaluation.bag.folder import read_run
from hkdnet_ros.evaluation.bag.reading import read_result
from hkdnet_ros.evaluation.bag.tables import read_table, write_table
from hkdnet_ros.evaluation.boxes import COCO_CLASSES, Objects

STEP_NS = 100_000_000


def person(x, score=0.9):
    return Objects(np.array([[x, 10, x + 20, 60]], np.float32), np.array([score], np.float32), np.zeros(1, np.int64))


NOBODY = person(0).where(np.zeros(1, np.bool_))


def write_objects(folder, frames, every=3):
    """Write what was found, by image, in one frame in ``every``, as a run does."""
    rows = []
    for place, found in enumerate(frames):
        rows += object_rows(every * place, START_NS + place * STEP_NS, found)
    write_table(folder / "objects.csv", OBJECT_COLUMNS, rows)


def test_what_each_image_shows_is_counted_from_the_first_sighting_to_the_last(tmp_path):
    shown = {"visible": [0, 1, 2, 3, 9], "thermal": [3, 4, 5, 9], "fused": [2, 3, 5, 6]}
    write_objects(
        tmp_path,
        [{name: person(4.0 * place) if place in shown[name] else NOBODY for name in ("thermal", "visible", "fused")}
         for place in range(12)],
    )  # fmt: skip
    write_tracks(tmp_path, 0.5)
    followed = read_followed(tmp_path)
    # In both it is seen in 0 to 5 and, after a gap of three, in 9.
    assert followed.tracks == {"thermal": 1, "visible": 1, "fused": 1, "both": 1}
    assert followed.lengths_s["both"] == pytest.approx(0.9)
    assert followed.gaps == {"thermal": 1, "visible": 0, "fused": 1, "both": 1}
    assert followed.frames.tolist() == list(range(0, 36, 3))
    assert followed.objects.tolist() == [1] * 10 + [0, 0]
    assert {name: counts.sum() for name, counts in followed.shown.items()} == {
        "thermal": 4, "visible": 5, "fused": 4, "fused_alone": 2, "visible_alone": 3, "none": 2,
    }  # fmt: skip
    assert followed.share("fused") == pytest.approx(0.4)
    assert followed.breaks == {"thermal": 1, "visible": 1, "fused": 1}
    both = next(row for row in read_table(tmp_path / "tracks.csv") if row["image"] == "both")
    assert (both["class"], both["frames"], both["shown_visible"], both["seen"]) == ("person", "10", "5", "7")


def test_frames_without_any_object_are_frames_all_the_same(tmp_path):
    write_objects(tmp_path, [dict.fromkeys(("thermal", "visible", "fused"), NOBODY)] * 3)
    write_tracks(tmp_path, 0.5)
    followed = read_followed(tmp_path)
    assert (len(followed.frames), followed.objects.sum(), followed.share("fused")) == (3, 0, 0.0)
    write_tracks(tmp_path / "elsewhere", 0.5)  # where nothing was sought
    assert read_followed(tmp_path / "elsewhere") is None


class Spots:
    """A detector whose persons are bright spots; made as OnnxDetector is, from a file."""

    size = (96, 128)

    def __init__(self, path):
        pass

    def __call__(self, image):
        _, _, stats, _ = cv2.connectedComponentsWithStats((image > 120).astype(np.uint8))
        boxes = [(left, top, left + width, top + height) for left, top, width, height, area in stats[1:] if area > 20]
        return Objects(
            np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32),
            np.full(len(boxes), COCO_CLASSES.index("person")),
        )  # fmt: skip


def write_walk(path):
    """A warm spot that walks, in all thermal images; the visible ones show it in the first half alone, and a lamp."""
    with BagWriter(path, "mcap") as bag:
        for place in range(40):
            stamp = START_NS + place * PERIOD_NS
            thermal, visible = np.full((48, 64), 30, np.uint8), np.full((48, 64), 20, np.uint8)
            thermal[10:26, 4 + place // 2 : 12 + place // 2] = 250
            visible[30:46, 44:54] = 250
            if place < 20:
                visible[10:26, 4 + place // 2 : 12 + place // 2] = 250
            bag.image("/thermal/image_raw", thermal, "mono8", stamp, "t")
            bag.image("/visible/image_raw", visible, "mono8", stamp, "v")
    return path


class Stopping(FakeEngine):
    def fuse(self, thermal, visible):
        if len(self.given) == 38:  # at most 32 frames are under way then, and lost
            raise KeyboardInterrupt
        return super().fuse(thermal, visible)


def test_a_recording_is_followed_at_its_rate_and_the_same_after_a_stop(evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "OnnxDetector", Spots)
    walk = write_walk(tmp_path / "walk")
    asked = {"detector": tmp_path / "spots.onnx", "classes": ("person",), "video": False, "every": 30, "part": 4}
    evaluated(walk, tmp_path / "one", **asked)
    with pytest.raises(KeyboardInterrupt):
        evaluated(walk, tmp_path / "two", Stopping(), **asked)
    evaluated(walk, tmp_path / "two", **asked)
    assert read_run(tmp_path / "two")["found"]["begun_at"] >= 4
    for name in ("objects.csv", "tracks.csv", "followed.csv", "frames.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    result = read_result(tmp_path / "one")
    assert result.followed.frames.tolist() == list(range(0, 40, 2))  # 20 Hz, followed at 10
    assert result.followed.objects.tolist() == [2] * 20
    assert result.followed.shown["visible"].tolist() == [2] * 10 + [1] * 10
    assert result.followed.tracks["both"] == 2
    text = (tmp_path / "one" / "report.html").read_text()
    assert "Objects over time" in text
    assert "Most that visible misses and fused shows" in text
    assert "Most that fused misses and visible shows" not in text  # there is none
    with (tmp_path / "one" / "frames.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 40
    evaluated(walk, tmp_path / "none", **asked, follow=0.0, limit=3)
    assert read_result(tmp_path / "none").followed is None
    assert not (tmp_path / "none" / "tracks.csv").exists()


@pytest.mark.parametrize(
    ("fused", "less", "tone", "words"),
    [
        (60, False, BAD, "Fused is worse than thermal and visible in length: 60, against 80 in thermal and 100"),
        (95, False, NOTE, "Fused is worse than visible in length"),
        (100, False, GOOD, "Fused is as good as the better source in length"),
        (120, False, GOOD, "Fused is better than either source in length"),
        (60, True, GOOD, "Fused is better than either source in length"),
        (120, True, BAD, "Fused is worse than thermal and visible in length"),
    ],
)
def test_where_fused_is_worse_a_sentence_says_so(fused, less, tone, words):
    finding = held_against("length", {"thermal": 80, "visible": 100, "fused": fused}, less=less)
    assert finding.tone == tone
    assert finding.text.startswith(words)


def test_all_that_is_measured_downstream_has_its_sentence(result, tmp_path):
    read = read_result(result)
    count = len(read.measured)
    sources = {"thermal": 2.0, "visible": 3.0}

    def worse(value):
        keys = ("inliers", "pose_inliers", "turn_step", "sought_again", "found_again")
        less = {"turn_step"}
        measures = {f"{key}.{name}": np.full(count, level) for key in keys for name, level in sources.items()}
        measures |= {f"{key}.fused": np.full(count, 9.0 - value if key in less else value) for key in keys}
        measures |= {f"sought_again.{name}": np.full(count, 9.0) for name in ("thermal", "visible", "fused")}
        counts = {
            "visible_kept": value,
            "visible_lost": 4 - value,
            "thermal_alone": 4,
            "gained": value,
            "fused_alone": 0,
        }
        measures |= {f"objects.{name}": np.full(count, float(level)) for name, level in counts.items()}
        write_objects(tmp_path, [{"visible": person(0), "thermal": NOBODY, "fused": person(0, value / 4)}] * 4)
        if value < 2:
            write_objects(tmp_path, [{"visible": person(0), "thermal": NOBODY, "fused": NOBODY}] * 4)
        write_tracks(tmp_path, 0.5)
        return dataclasses.replace(read, measures={**read.measures, **measures}, followed=read_followed(tmp_path))

    bad, good = (downstream_findings(worse(value)) for value in (1.0, 8.0))
    assert len(bad) == len(good) == 6
    assert all(finding.tone == BAD and "Fused is worse than" in finding.text for finding in bad)
    assert all(finding.tone == GOOD and "worse" not in finding.text for finding in good)


def test_boxes_are_drawn_where_they_lie_in_an_image_of_any_size(tmp_path):
    write_objects(tmp_path, [{"thermal": person(40), "visible": NOBODY, "fused": NOBODY}])
    found = FoundObjects(tmp_path / "objects.csv")
    assert found.of(0) == {"thermal": [[40, 10, 60, 60, pytest.approx(0.9)]]}
    assert found.of(1) == FoundObjects(tmp_path / "none.csv").of(0) == {}
    picture = drawn(np.full((60, 80), 90, np.uint8), found.of(0)["thermal"], (160, 120))
    assert picture.shape == (60, 80, 3)
    rows, columns = np.nonzero((picture == 255).all(axis=2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (20, 5, 30, 30)
