"""Video that browsers and phones play, H.264, by the system's ffmpeg or an OpenCV that can; else MPEG-4.

x264 is under the GPL, so that neither OpenCV's wheels nor ours bring an encoder.
"""

from __future__ import annotations

import errno
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .video_writer import VideoWriter, check_place, even

_ENCODERS = ("libx264", "libopenh264")  # which give the same file in every run, as hardware does not
_PROBE = """\
import sys, cv2, numpy
video = cv2.VideoWriter(sys.argv[1], cv2.VideoWriter.fourcc(*"avc1"), 10, (64, 64))
sys.exit(not video.isOpened())
"""
_PATIENCE_S = 600.0  # at the end of a long video its index is put in front

H264, MPEG4 = "H.264", "MPEG-4"


class Writer(Protocol):
    """What writes a video, of one size; see :class:`~.video_writer.VideoWriter`."""

    codec: str

    def write(self, image: NDArray[Any]) -> None:
        """Append an image, uint8, (H, W) or (H, W, 3)."""

    def close(self) -> None:
        """Finish the file."""


def open_video(path: Path, fps: float, size: tuple[int, int]) -> Writer:
    """Return a writer of H.264 where there is an encoder, else of MPEG-4; ``size`` is (width, height).

    Raises :class:`SourceError` where the file cannot be written.
    """
    if encoder := _ffmpeg_encoder():
        return FfmpegWriter(path, fps, size, encoder)
    return VideoWriter(path, fps, size, H264 if _opencv_can() else MPEG4)


class FfmpegWriter:
    """An H.264 file that ffmpeg writes, in a process of its own."""

    codec = H264

    def __init__(self, path: Path, fps: float, size: tuple[int, int], encoder: str) -> None:
        """See :func:`open_video`."""
        check_place(path, fps, size)
        self.path = path
        self.size = size
        width, height = size[0] + size[0] % 2, size[1] + size[1] % 2
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the video
        # Of one thread, so that every run gives the same file. The colours are those that OpenCV takes for granted, and
        # named in the file for players that look.
        self._ffmpeg = subprocess.Popen(
            [
                "ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-fflags", "+bitexact",
                "-f", "rawvideo", "-pixel_format", "bgr24", "-video_size", f"{width}x{height}",
                "-framerate", f"{fps:.6f}", "-i", "pipe:0",
                "-vf", "scale=out_color_matrix=bt601:out_range=tv", "-pix_fmt", "yuv420p",
                "-colorspace", "smpte170m", "-color_primaries", "bt709", "-color_trc", "bt709",
                "-c:v", encoder, *(("-preset", "superfast", "-crf", "21") if encoder == "libx264" else ("-b:v", "4M")),
                "-threads", "1", "-flags:v", "+bitexact", "-movflags", "+faststart", "-f", "mp4", str(path),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True,
        )  # fmt: skip

    def write(self, image: NDArray[Any]) -> None:
        """Append an image; raises :class:`ImageError` for another type or size, and what :meth:`close` does."""
        assert self._ffmpeg.stdin is not None
        try:
            self._ffmpeg.stdin.write(np.ascontiguousarray(even(image, self.size, self.path)).data)
        except BrokenPipeError:
            self.close()

    def close(self) -> None:
        """Finish the file; raises OSError where the disk is full, :class:`SourceError` where ffmpeg cannot go on."""
        if self._errors.closed:
            return
        with self._errors:
            try:
                self._ffmpeg.communicate(timeout=_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._ffmpeg.kill()
                self._ffmpeg.communicate()
            if self._ffmpeg.returncode == 0:
                return
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").split("\n")
        if any("No space left" in line for line in said):
            raise OSError(errno.ENOSPC, "No space left on device")
        reason = " ".join(said[0].split()) or f"it ended with status {self._ffmpeg.returncode}"
        raise SourceError(f"{self.path}: ffmpeg cannot write it ({reason}); evaluate with --no-video")


@functools.cache
def _ffmpeg_encoder() -> str:
    """Return the encoder of H.264 that the system's ffmpeg has, empty for none."""
    if shutil.which("ffmpeg") is None:
        return ""
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True, check=False).stdout
    return next((encoder for encoder in _ENCODERS if f" {encoder} " in listed), "")


@functools.cache
def _opencv_can() -> bool:
    """Tell whether OpenCV writes H.264; asked in another process, as it says on the console what it lacks."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [sys.executable, "-c", _PROBE, f"{folder}/probe.mp4"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
