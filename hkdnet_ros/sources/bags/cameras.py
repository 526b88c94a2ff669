"""Which of a bag's image topics are the thermal and the visible camera's, where nobody says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...errors import SourceError
from ...images.frames import THERMAL, VISIBLE
from .bag_file import Connection
from .topics import COMPRESSED, IMAGE

WORDS = {
    THERMAL: {"thermal", "thermo", "lwir", "mwir", "ir", "infrared", "flir", "boson", "lepton", "tau2", "seek"},
    VISIBLE: {"visible", "vis", "rgb", "color", "colour", "bgr", "eo"},
}
"""Parts of a topic's name that tell whose images it has."""

OTHERS = {"depth", "disparity", "mask", "segmentation", "debug", "preview", "fused", "confidence"}
"""Parts of the names of images that are not a camera's own."""

_COMPRESSED = "/compressed"
_BEST = ("image_raw", "image", "image_color", "image_rect", "image_rect_color", "image_mono")


def find_cameras(name: str, connections: Sequence[Connection], given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the image topic of each stream: the one that is ``given``, else the one whose name tells.

    Compressed images count as the topic that they are of. Of several topics of one camera the raw one is taken. Raises
    :class:`SourceError`, which begins with ``name``, where there is none, or where several cameras may be meant.
    """
    found = {stream: topic for stream, topic in given.items() if topic}
    if len(found) == len(given):
        return found
    images = {
        c.topic.removesuffix(_COMPRESSED) if c.msgtype == COMPRESSED else c.topic
        for c in connections
        if c.msgtype in (IMAGE, COMPRESSED) and c.count
    }
    if not images:
        raise SourceError(f"{name}: has no images in it; record the image topics of a thermal and a visible camera")
    if all("fused" in _parts(topic) for topic in images):
        listed = ", ".join(sorted(images))
        raise SourceError(
            f"{name}: holds images that were fused ({listed}) and no camera's; name the recording they were made of"
        )
    cameras = {topic for topic in images if not _parts(topic) & OTHERS and topic not in found.values()}
    for stream, other in ((THERMAL, VISIBLE), (VISIBLE, THERMAL)):
        if stream in found:
            continue
        named = {topic for topic in cameras if _parts(topic) & WORDS[stream] and not _parts(topic) & WORDS[other]}
        if not named and stream == VISIBLE:  # a camera is a visible one unless its name says otherwise
            named = {topic for topic in cameras if not _parts(topic) & WORDS[THERMAL]}
        found[stream] = _one(name, stream, named, images)
    return found


def _one(name: str, stream: str, named: set[str], images: set[str]) -> str:
    ranked = sorted(named, key=lambda topic: (_rank(topic), topic))
    is_one_camera = len({topic.rpartition("/")[0] for topic in named}) == 1
    if len(ranked) == 1 or (ranked and is_one_camera and _rank(ranked[0]) < _rank(ranked[1])):
        return ranked[0]
    listed = ", ".join(ranked or sorted(images))
    what = f"{listed} may each be the {stream} camera's" if ranked else f"no topic is named like a {stream} camera's"
    there = "" if ranked else f" (image topics there: {listed})"
    raise SourceError(f"{name}: {what}{there}; name it with --{stream}-topic")


def _rank(topic: str) -> int:
    last = topic.rpartition("/")[2]
    return _BEST.index(last) if last in _BEST else len(_BEST)


def _parts(topic: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", topic.lower()))
