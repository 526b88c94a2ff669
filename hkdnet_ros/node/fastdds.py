"""A Fast DDS profile whose shared-memory segment holds several fused images.

A participant sends to others on its machine through a segment of its own, 512 KB by default. What does not fit is lost
for best-effort subscribers and sent again and again for reliable ones; and one subscriber that is stopped (Ctrl-Z, a
debugger) can keep the default segment so full that nobody hears an image any more. Here there is room besides for
all that it can hold. docs/large_images.md has the measurements.

The profile also announces its participant more often: a process that missed others as it started is found by the next
announcement of either side, by default after up to 3 s.
"""

from __future__ import annotations

import math

from ..errors import ConfigError

SIZE, SCALE = (640, 480), 2  # of config/fastdds.xml
IMAGES = 4  # one being sent, and some that a slow subscriber has not taken yet
_BYTES_PER_PIXEL = 3  # bgr8
_OTHER_BYTES = 512 * 1024  # all other topics, which the default segment is made for
_PIECE_BYTES = 65_000  # a large message travels in pieces of about this size, each with a place in a port's queue
_QUEUE = 512  # such places in the port of a subscriber without a profile; what a stopped one holds at most
_ANNOUNCEMENT_NS = 250_000_000

_PROFILE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- Fast DDS with shared memory for {images} bgr8 images of {width}x{height}; `hkdnet fastdds` writes one for any size.
     For FASTRTPS_DEFAULT_PROFILES_FILE (Humble, Jazzy) and FASTDDS_DEFAULT_PROFILES_FILE (Kilted). -->
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>large_shared_memory</transport_id>
        <type>SHM</type>
        <segment_size>{segment}</segment_size>
        <port_queue_capacity>{queue}</port_queue_capacity>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="large_images" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>large_shared_memory</transport_id>
          <transport_id>udp</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
        <builtin>
          <discovery_config>
            <leaseAnnouncement>
              <sec>0</sec>
              <nanosec>{announcement_ns}</nanosec>
            </leaseAnnouncement>
          </discovery_config>
        </builtin>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


def profile(size: tuple[int, int] = SIZE, scale: int = SCALE, images: int = IMAGES) -> str:
    """Return the XML profile for fused images of ``scale`` times ``size`` (width, height).

    Raises :class:`ConfigError` for a scale or a number of images below 1, and for a segment beyond Fast DDS's 4 GiB.
    """
    for name, value in (("scale", scale), ("images", images)):
        if value < 1:
            raise ConfigError(f"--{name} is {value}; it must be at least 1")
    width, height = size[0] * scale, size[1] * scale
    image_bytes = width * height * _BYTES_PER_PIXEL
    held_bytes = _QUEUE * min(image_bytes, _PIECE_BYTES)
    segment = images * image_bytes + held_bytes + _OTHER_BYTES
    if segment >= 1 << 32:
        raise ConfigError(
            f"{images} images of {width}x{height} take {segment / 2**30:.1f} GiB; Fast DDS shares up to 4"
        )
    queue = max(_QUEUE, images * math.ceil(image_bytes / _PIECE_BYTES))
    return _PROFILE.format(
        images=images, width=width, height=height, segment=segment, queue=queue, announcement_ns=_ANNOUNCEMENT_NS
    )
