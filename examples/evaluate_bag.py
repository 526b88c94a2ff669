"""Judge a bag as the node would treat it, without ROS: ``python evaluate_bag.py BAG THERMAL_TOPIC VISIBLE_TOPIC``."""

import logging
import sys
from collections import Counter

import cv2
import numpy as np

from hkdnet_ros import load_engine
from hkdnet_ros.images.color import luma
from hkdnet_ros.metrics.fusion import fusion_metrics
from hkdnet_ros.node.schema import FusionConfig
from hkdnet_ros.perception.incoming import Incoming
from hkdnet_ros.perception.session import Session
from hkdnet_ros.perception.sink import Sink, Wants
from hkdnet_ros.perception.worker import EVERY
from hkdnet_ros.sources.opening import open_source


class Measures(Sink):
    """Measures each fused frame against the two images it was made of, and counts modes and drops."""

    def __init__(self):
        self.counts, self.values = Counter(), []

    def wants(self):
        return Wants(camera_model=False)

    def fused(self, output):
        fused, visible = output.fused, output.visible
        self.counts[f"frames {fused.mode}"] += 1
        if fused.thermal is not None and visible is not None:
            gray = luma(fused.image, "bgr8" if fused.image.ndim == 3 else "mono8")
            inputs = 255 * fused.thermal, luma(visible.image, visible.encoding)
            enlarged = [cv2.resize(image, gray.shape[::-1], interpolation=cv2.INTER_CUBIC) for image in inputs]
            self.values.append(fusion_metrics(*enlarged, gray, keys=("MI", "VIFp", "Qabf", "SSIM")))
        return {}

    def dropped(self, drop):
        self.counts[f"dropped: {drop.reason}"] += 1


bag, thermal_topic, visible_topic = sys.argv[1:]
sink = Measures()
session = Session(FusionConfig(), load_engine(), sink, logging.getLogger("core"), policy=EVERY)
for stream, frame in open_source(bag, thermal_topic=thermal_topic, visible_topic=visible_topic).events():
    stamp_ns = frame.stamp_ns + 1  # a stamp of 0 is one that was not set
    session.receive(Incoming(stream, stamp_ns, stamp_ns, frame.frame_id, decode=lambda frame=frame: frame))
session.flush()

for what, count in sorted(sink.counts.items()):
    print(f"{count:6} {what}")
for name in sink.values[0] if sink.values else ():
    print(f"{np.mean([values[name] for values in sink.values]):6.3f} {name}")
