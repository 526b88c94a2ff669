"""The video writer: readable files, and clear errors where none can be written."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from recordings import VISIBLE_SIZE, thermal_image, visible_image

from hkdnet_ros.errors import ImageError, SourceError
from hkdnet_ros.sources.video_writer import VideoWriter


def frames_in(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, image = capture.read()
        if not there:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(image)


def test_written_frames_can_be_read_back(tmp_path):
    path = tmp_path / "a" / "b" / "out.mp4"
    with VideoWriter(path, 12.5, VISIBLE_SIZE) as video:
        for index in range(5):
            video.write(visible_image(index))
        video.write(thermal_image(0, size=VISIBLE_SIZE))
        assert video.frames == 6
    frames, fps = frames_in(path)
    assert (len(frames), fps) == (6, 12.5)
    for index in range(5):
        assert np.abs(frames[index].astype(int) - visible_image(index)).mean() < 6
    assert np.abs(frames[5].astype(int) - thermal_image(0, size=VISIBLE_SIZE)[..., None]).mean() < 8


def test_odd_sizes_are_filled_up(tmp_path):
    with VideoWriter(tmp_path / "odd.mp4", 10.0, (51, 37)) as video:
        video.write(visible_image(0, size=(51, 37)))
    frame = frames_in(tmp_path / "odd.mp4")[0][0]
    assert frame.shape == (38, 52, 3)
    assert np.abs(frame[:37, :51].astype(int) - visible_image(0, size=(51, 37))).mean() < 6


def test_a_part_of_a_larger_image_can_be_written(tmp_path):
    with VideoWriter(tmp_path / "part.mp4", 10.0, (20, 16)) as video:
        video.write(visible_image(3)[4:20, 10:30])
    part = frames_in(tmp_path / "part.mp4")[0][0]
    assert np.abs(part.astype(int) - visible_image(3)[4:20, 10:30]).mean() < 6


@pytest.mark.parametrize(
    "image", [np.zeros((36, 47, 3), np.uint8), np.zeros((36, 48, 3), np.uint16), np.zeros((36, 48, 4), np.uint8)]
)
def test_a_frame_that_does_not_fit_is_refused(tmp_path, image):
    with VideoWriter(tmp_path / "out.mp4", 10.0, VISIBLE_SIZE) as video, pytest.raises(ImageError, match="48x36"):
        video.write(image)


def test_a_file_in_the_way_of_the_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError) as caught:
        VideoWriter(tmp_path / "file" / "out.mp4", 10.0, VISIBLE_SIZE)
    assert "out.mp4: cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_one_clear_line(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(SourceError, match="Permission denied"):
        VideoWriter(folder / "out.mp4", 10.0, VISIBLE_SIZE)


@pytest.mark.parametrize(("fps", "size"), [(0.0, (48, 36)), (10.0, (0, 36)), (float("nan"), (48, 36))])
def test_an_impossible_video_is_refused(tmp_path, fps, size):
    with pytest.raises(SourceError, match=r"out\.mp4"):
        VideoWriter(tmp_path / "out.mp4", fps, size)
