"""What the user names, opened as a camera source: the simulator, a folder, videos, a bag."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import SourceError
from ..images.frames import THERMAL, VISIBLE
from ..simulator.two_cameras import usual_rig
from .bags.bag_source import BagSource
from .bags.folder import is_bag
from .camera_source import NOMINAL_FPS, CameraSource, Resized
from .folders import FolderSource
from .simulated import RigSource, SimulatedSource, scene_of
from .videos import VideoSource

THERMAL_TOPIC, VISIBLE_TOPIC = "thermal/image_raw", "visible/image_raw"
VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".m4v", ".webm")
FORMS = (
    "simulator[:day|night|smoke[:SEED]], rig[:day|night|smoke[:SEED]] for one whose cameras stand apart, a folder with "
    "thermal/ and visible/ images, a folder with thermal.mp4 and visible.mp4, THERMAL.mp4,VISIBLE.mp4, or a bag: a "
    "rosbag2 (folder, .mcap or .db3), one of ROS 1 (.bag), or BAG,BAG for cameras in two"
)


def open_source(
    spec: str,
    *,
    size: tuple[int, int] | None = None,
    thermal_size: tuple[int, int] | None = None,
    fps: float = NOMINAL_FPS,
    thermal_topic: str | None = THERMAL_TOPIC,
    visible_topic: str | None = VISIBLE_TOPIC,
    thermal_offset: float = 0.0,
    depth_topic: str | None = None,
) -> CameraSource:
    """Open what ``spec`` names: see :data:`FORMS`.

    ``size`` is the (width, height) that both images are brought to, or the visible one alone where the thermal one has
    ``thermal_size``; None for their own. The simulator renders at them. ``fps`` is the frame rate of the simulator and
    of a folder of images. The topics are those of images in a bag, None where they are to be told by their names;
    ``thermal_offset``, in seconds, is added to the stamps of its thermal ones. ``depth_topic`` has depth images of the
    visible camera's view in a bag, for who registers by them.
    Raises :class:`SourceError` where there is nothing of these forms, or it cannot be opened.
    """
    for wanted in (size, thermal_size):
        if wanted is not None and min(wanted) < 1:
            raise SourceError(f"size {wanted[0]}x{wanted[1]} has no pixels; expected at least 1x1")
    thermal_size = thermal_size or size
    word, _, rest = spec.partition(":")
    if word == "simulator":
        return SimulatedSource(scene_of(rest, thermal_size, size, fps))
    if word == "rig":
        return _open_rig(rest, thermal_size, size, fps)
    bag = functools.partial(
        BagSource,
        thermal_topic=thermal_topic,
        visible_topic=visible_topic,
        thermal_offset=thermal_offset,
        depth_topic=depth_topic,
    )
    source = _open_files(spec, fps, bag)
    if thermal_offset and not isinstance(source, BagSource):
        raise SourceError(f"{spec}: an offset of thermal stamps is for bags; the images of this have none of their own")
    return Resized(source, thermal_size, size) if thermal_size or size else source


def bag_of(source: CameraSource) -> BagSource | None:
    """Return the bag that a source reads; None where it reads none."""
    if isinstance(source, Resized):
        return bag_of(source.source)
    return source if isinstance(source, BagSource) else None


def _open_rig(words: str, thermal_size: tuple[int, int] | None, size: tuple[int, int] | None, fps: float) -> RigSource:
    scene = scene_of(words, None, None, fps, "rig")
    default = usual_rig()
    return RigSource(scene, usual_rig(thermal_size or default.thermal.image_size, size or default.visible.image_size))


def _open_files(spec: str, fps: float, bag: Callable[[Sequence[Path]], CameraSource]) -> CameraSource:
    path = Path(spec).expanduser()
    if path.is_dir():
        return _open_folder(path, fps, bag)
    if path.is_file():
        if is_bag(path):
            return bag([path])
        raise SourceError(f"{path}: a file of no known recording; expected {FORMS}")
    files = [Path(file).expanduser() for file in spec.split(",")]
    if len(files) > 1 and any(is_bag(file) for file in files):
        for file in files:
            if not is_bag(file):
                raise SourceError(f"{file}: no bag; expected one on each side of the comma in {spec}")
        return bag(files)
    if len(files) == 2 and all(spec.split(",")):
        return VideoSource(*files)
    raise SourceError(f"{spec}: no such file or folder; expected {FORMS}")


def _open_folder(path: Path, fps: float, bag: Callable[[Sequence[Path]], CameraSource]) -> CameraSource:
    if not (path / "metadata.yaml").is_file():
        if (path / "thermal").is_dir() and (path / "visible").is_dir():
            return FolderSource(path, fps)
        videos = [_video_named(path, stream) for stream in (THERMAL, VISIBLE)]
        if all(videos):
            return VideoSource(*(video for video in videos if video))
    if is_bag(path):
        return bag([path])
    if (path / "run.json").is_file():
        raise SourceError(
            f"{path}: holds a result of `hkdnet evaluate bag`; name the recording that it was made of, or show the "
            f"result with `hkdnet view {path}`"
        )
    inside = sorted(str(folder) for folder in path.iterdir() if is_bag(folder))
    if inside:
        raise SourceError(f"{path}: holds {len(inside)} recordings; name one of them, such as {inside[0]}")
    raise SourceError(f"{path}: a folder without a recording in it; expected {FORMS}")


def _video_named(folder: Path, stem: str) -> Path | None:
    return next((file for suffix in VIDEO_SUFFIXES if (file := folder / (stem + suffix)).is_file()), None)
