"""Video for browsers: H.264 by ffmpeg where it is installed, the same in every run, else what OpenCV can."""

from __future__ import annotations

import errno

import cv2
import numpy as np
import pytest
from recordings import assert_one_line

from hkdnet_ros.errors import ImageError, SourceError
from hkdnet_ros.sources import h264_writer
from hkdnet_ros.sources.h264_writer import H264, MPEG4, FfmpegWriter, open_video

ENCODER = h264_writer._ffmpeg_encoder()
needs_ffmpeg = pytest.mark.skipif(not ENCODER, reason="needs ffmpeg with H.264; `apt install ffmpeg` brings it")

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))  # blue, green, red


def flat(colour, size=(65, 49)):
    return np.full((size[1], size[0], 3), colour, np.uint8)


def write_many(video):
    for _ in range(1000):
        video.write(flat(COLOURS[0]))


def write(path):
    video = open_video(path, 12.5, (65, 49))
    for colour in COLOURS:
        video.write(flat(colour))
    video.close()
    return video


def test_frames_and_colours_come_back(tmp_path):
    video = write(tmp_path / "a.mp4")
    assert video.codec == (H264 if ENCODER else MPEG4)
    found = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert found.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    for colour in COLOURS:
        there, image = found.read()
        assert there
        assert image.shape == (50, 66, 3)
        assert np.abs(image[20, 20].astype(int) - colour).max() < 8
    assert not found.read()[0]


@needs_ffmpeg
def test_every_run_gives_the_same_file_and_it_begins_with_its_index(tmp_path):
    write(tmp_path / "a.mp4")
    write(tmp_path / "b.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    assert data == (tmp_path / "b.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")  # so that a browser plays before it has all


@needs_ffmpeg
def test_a_frame_of_another_size_is_refused(tmp_path):
    video = FfmpegWriter(tmp_path / "a.mp4", 10.0, (65, 49), ENCODER)
    with pytest.raises(ImageError) as caught:
        video.write(flat(COLOURS[0], (20, 20)))
    assert_one_line(caught.value, "a.mp4", "65x49")
    video.write(flat(COLOURS[0]))
    video.close()


@pytest.mark.parametrize(("said", "kind"), [("a.mp4: No space left on device", OSError), ("strange", SourceError)])
def test_what_stops_ffmpeg_is_told(tmp_path, monkeypatch, said, kind):
    stopped = tmp_path / "ffmpeg"
    stopped.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    stopped.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    video = FfmpegWriter(tmp_path / "a.mp4", 10.0, (65, 49), "libx264")
    with pytest.raises(kind) as caught:
        write_many(video)
    if kind is OSError:
        assert caught.value.errno == errno.ENOSPC
    else:
        assert_one_line(caught.value, "a.mp4", "strange", "--no-video")


def test_without_an_encoder_it_is_mpeg4(tmp_path, monkeypatch):
    monkeypatch.setattr(h264_writer, "_ffmpeg_encoder", lambda: "")
    monkeypatch.setattr(h264_writer, "_opencv_can", lambda: False)
    assert write(tmp_path / "a.mp4").codec == MPEG4


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError) as caught:
        open_video(tmp_path / "file" / "a.mp4", 10.0, (64, 48))
    assert_one_line(caught.value, "a.mp4", "another folder")
