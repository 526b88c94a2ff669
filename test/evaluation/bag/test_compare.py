"""Two results of one recording against each other."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from recordings import assert_one_line, write_videos
from rigging import FakeEngine

from hkdnet_ros.errors import SourceError
from hkdnet_ros.evaluation.bag.compare import Difference, compare, mean_interval


class Duller(FakeEngine):
    """Halves what the other shows, and makes each second frame darker."""

    model_name = "duller"

    def fuse(self, thermal, visible):
        return super().fuse(thermal, visible) * np.float32(0.5 if len(self.given) % 2 else 0.45)


@pytest.fixture
def duller(drive, evaluated, tmp_path):
    evaluated(drive, tmp_path / "duller", Duller())
    return tmp_path / "duller"


def test_what_is_worse_is_told_with_its_interval(result, duller, tmp_path, browser):
    report, found = compare(result, duller, tmp_path / "out")
    by_name = {one.measure: one for one in found}
    assert by_name["flicker.fused"].verdict == "worse"
    for one in found:
        assert one.low <= one.b - one.a <= one.high
        assert one.frames == 14
    with (tmp_path / "out" / "differences.csv").open() as file:
        assert [row["measure"] for row in csv.DictReader(file)] == list(by_name)
    page = browser.open(report.as_uri())
    assert page.title() == "drive against duller"
    assert page.locator("section#measures .scroll tbody tr").count() == len(found)
    assert page.locator(".chart canvas").count() == len(found)
    page.locator("section#frames .shot").nth(2).click()
    assert page.locator("dialog img").is_visible()
    page.keyboard.press("Escape")
    assert "duller, fp32 on cpu" in page.locator("section#settings").inner_text()


def test_a_result_does_not_differ_from_itself(result, tmp_path):
    shutil.copytree(result, tmp_path / "copy")
    report, found = compare(result, tmp_path / "copy", tmp_path / "out")
    assert {one.verdict for one in found} == {""}
    assert {one.b - one.a for one in found} == {0.0}
    assert "Nothing: both were asked the same" in report.read_text()


def test_frames_belong_together_by_their_stamps(result, drive, evaluated, tmp_path):
    evaluated(drive, tmp_path / "shifted", parameters={"sync.thermal_offset": -0.004}, limit=40)
    _, found = compare(result, tmp_path / "shifted", tmp_path / "out")
    assert {one.b - one.a for one in found} == {0.0}
    assert {one.frames for one in found} == {10}


def test_results_without_a_frame_in_common_are_one_line(result, evaluated, tmp_path):
    evaluated("simulator:day", tmp_path / "other", limit=3, every=1)
    with pytest.raises(SourceError) as caught:
        compare(result, tmp_path / "other", tmp_path / "out")
    assert_one_line(caught.value, "no frame of the same stamps", "one recording")
    with pytest.raises(SourceError) as caught:
        compare(result, tmp_path / "gone", tmp_path / "out")
    assert_one_line(caught.value, tmp_path / "gone", "--out folder")


def test_results_of_two_recordings_whose_stamps_are_alike_are_told(evaluated, tmp_path, caplog, browser):
    for name, count in (("a", 6), ("b", 7)):
        evaluated(write_videos(tmp_path / f"clip_{name}", count), tmp_path / name, video=False)
    report, _ = compare(tmp_path / "a", tmp_path / "b", tmp_path / "out")
    (said,) = caplog.messages
    assert all(word in said for word in ("clip_a", "clip_b", "files differ"))
    page = browser.open(report.as_uri(), width=390)
    assert page.get_by_text(said).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # however long the names of files are


def test_neither_a_result_nor_another_comparison_is_written_over(result, tmp_path):
    for name in ("copy", "other"):
        shutil.copytree(result, tmp_path / name)
    report, _ = compare(result, tmp_path / "copy", tmp_path / "a & b")
    compare(result, tmp_path / "copy", tmp_path / "a & b")
    before = report.read_bytes()
    with pytest.raises(SourceError) as caught:
        compare(result, tmp_path / "other", tmp_path / "a & b")
    assert_one_line(caught.value, report, "other results", "--out")
    assert report.read_bytes() == before
    with pytest.raises(SourceError) as caught:
        compare(result, tmp_path / "copy", tmp_path / "other")
    assert_one_line(caught.value, tmp_path / "other", "holds a result", "--out")
    assert not (tmp_path / "other" / "compare.html").exists()


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = [low <= 0.2 <= high for low, high in (mean_interval(rng.normal(0.2, 1, 400)) for _ in range(200))]
    assert 0.88 <= np.mean(covered) <= 0.99
    # Frames in a row are alike: were each drawn by itself, the interval would be much too narrow.
    walk = np.repeat(rng.normal(0, 1, 40), 10)
    low, high = mean_interval(walk)
    assert high - low > 2.5 * 1.96 * walk.std() / np.sqrt(len(walk))


@pytest.mark.parametrize(
    ("measure", "low", "high", "verdict"),
    [
        ("Qabf.fused", 0.01, 0.02, "better"),
        ("Qabf.fused", -0.01, 0.02, ""),
        ("flicker.fused", 0.01, 0.02, "worse"),
        ("objects.visible_kept", 0.1, 0.2, "better"),
        ("objects.visible_lost", 0.1, 0.2, "worse"),
    ],
)
def test_better_is_more_or_less_as_the_measure_has_it(measure, low, high, verdict):
    assert Difference(measure, 20, 1.0, 1.0 + (low + high) / 2, low, high).verdict == verdict
