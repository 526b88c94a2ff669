"""Which of a bag's connections are a camera's images."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import SourceError
from .bag_file import CDR, ROS1, Connection

IMAGE, COMPRESSED, CAMERA_INFO = (f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo"))
SHUTTER_FLAG = "std_msgs/msg/Bool"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
STATIC_TRANSFORMS = "/tf_static"


def find_images(name: str, connections: Sequence[Connection], stream: str, topic: str) -> list[Connection]:
    """Return the connections of the image topic that is called ``topic``, with or without its namespace.

    Where only its ``/compressed`` form was recorded, or that alone holds messages, it is taken. A topic may have
    several connections: of several files, of a driver that was started again, of two types. Raises
    :class:`SourceError`, which begins with ``name``, where there is none, or several fit.
    """
    images = [c for c in connections if c.msgtype in (IMAGE, COMPRESSED) and c.encoding in (CDR, ROS1)]
    empty = ""
    for wanted in (topic.strip("/"), f"{topic.strip('/')}/compressed"):
        for matches in (
            [c for c in images if c.topic.strip("/") == wanted],
            [c for c in images if c.topic.endswith("/" + wanted)],
        ):
            if len({c.topic for c in matches}) > 1:
                names = ", ".join(sorted({c.topic for c in matches}))
                raise SourceError(f"{name}: {stream} topic {topic} may be any of {names}; give it in full")
            if any(c.count for c in matches):
                return matches
            if matches:
                empty = empty or matches[0].topic
    if empty:
        raise SourceError(
            f"{name}: nothing was recorded on the {stream} topic {empty}; check that its camera publishes, and by a "
            "QoS that the recorder takes"
        )
    there = ", ".join(sorted({c.topic for c in images})) or "none"
    # Transports publish below the topic, as /theora or /ffmpeg, packets that are no images.
    others = [c for c in connections if f"/{topic.strip('/')}/" in f"/{c.topic.strip('/')}/"]
    if other := sorted({f"{c.topic} holds {c.msgtype}" for c in others if c not in images}):
        raise SourceError(
            f"{name}: no {stream} images on topic {topic}: {', '.join(other)}, which is not read; image topics there: "
            f"{there}"
        )
    if images and all("fused" in c.topic.split("/") for c in images):
        raise SourceError(
            f"{name}: holds images that were fused ({there}) and no camera's; name the recording they were made of"
        )
    raise SourceError(
        f"{name}: no {stream} images on topic {topic}; image topics there: {there}; name the topic to read"
    )


def beside(connections: Sequence[Connection], images: str, kind: str) -> list[Connection]:
    """Return the connections of the camera's topic of type ``kind`` beside the image topic ``images``.

    ``kind`` is CAMERA_INFO or SHUTTER_FLAG.
    """
    name = {CAMERA_INFO: "camera_info", SHUTTER_FLAG: "shutter"}[kind]
    topic = f"{images.removesuffix('/compressed').rpartition('/')[0]}/{name}"
    return [c for c in connections if c.topic == topic and c.msgtype == kind]
