"""The folder a demo leaves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from recordings import thermal_image, visible_image

from hkdnet_ros.errors import SourceError
from hkdnet_ros.evaluation.side_by_side import Moment, side_by_side
from hkdnet_ros.trials.demo.files import DemoFiles


def moments(count):
    for index in range(count):
        yield Moment(thermal_image(index), visible_image(index), visible_image(3 * index, (64, 48)))


def test_frames_video_and_overview_show_the_moments(tmp_path):
    files = DemoFiles(tmp_path / "a" / "demo")
    files.write_pictures(moments(7), 7, fps=5.0, keep_every=4)
    names = sorted(path.name for path in (files.folder / "frames").iterdir())
    assert names == [f"{4 * index:05d}.png" for index in range(7)]
    for index, name in enumerate(names):
        assert np.array_equal(cv2.imread(str(files.folder / "frames" / name)), visible_image(3 * index, (64, 48)))
    rows = [side_by_side(moment) for moment in moments(7)]
    overview = cv2.imread(str(files.folder / "overview.png"))
    assert np.array_equal(overview, np.vstack([rows[1], rows[3], rows[5]]))
    video = cv2.VideoCapture(str(files.folder / "side_by_side.mp4"))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (7, 5.0)
    there, image = video.read()
    assert there
    assert np.abs(image[: rows[0].shape[0]].astype(int) - rows[0]).mean() < 6


def test_one_moment_is_enough(tmp_path):
    files = DemoFiles(tmp_path)
    files.write_pictures(moments(1), 1, fps=1.0, keep_every=1)
    assert cv2.imread(str(tmp_path / "overview.png")).shape[0] == side_by_side(next(moments(1))).shape[0]


def test_results_of_an_earlier_demo_go_and_other_files_stay(tmp_path):
    files = DemoFiles(tmp_path)
    files.write_pictures(moments(3), 3, fps=5.0, keep_every=1)
    kept = [tmp_path / "frames" / "notes.png", tmp_path / "mine.mp4"]
    for path in kept:
        path.touch()
    DemoFiles(tmp_path)
    assert (tmp_path / "overview.png").exists()  # as long as nothing else is known to work
    files.clear()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


@pytest.mark.parametrize("name", ["file", "file/demo", "/proc/demo"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match=r"cannot be written \(.+\); choose another --out") as caught:
        DemoFiles(tmp_path / name)
    assert "\n" not in str(caught.value)
