"""The core without ROS: frames go in as calls, what comes out is kept."""

from __future__ import annotations

import numpy as np

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.node.schema import build
from hkdnet_ros.perception.incoming import Incoming
from hkdnet_ros.perception.session import Session
from hkdnet_ros.perception.sink import Wants
from hkdnet_ros.perception.worker import EVERY

NOW_NS = 1_000_000_000_000
S, MS = 1_000_000_000, 1_000_000


def gray(stamp_ns, height=20, width=30, value=100):
    return Frame(np.full((height, width), value, np.uint8), stamp_ns, "thermal", "mono8")


def bgr(stamp_ns, height=20, width=30, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(image, stamp_ns, "visible", "bgr8")


def noisy(stamp_ns):
    image = np.random.default_rng(stamp_ns % 1000003).integers(0, 256, (20, 30)).astype(np.uint8)
    return Frame(image, stamp_ns, "thermal", "mono8")


def calibration(width, height, focal_length=25.0):
    k = (focal_length, 0.0, 14.5, 0.0, 26.0, 9.5, 0.0, 0.0, 1.0)
    return CameraModel(
        width, height, "elsewhere", k, (0.1, 0.0, 0.0, 0.0, 0.0), p=(*k[:3], -2.5, *k[3:6], 0.0, *k[6:], 0.0)
    )


class KeepingSink:
    """Keeps all that it is given."""

    def __init__(self):
        self.now_wants = Wants()
        self.outputs, self.given_figures, self.previews, self.drops, self.changes, self.times = [], [], [], [], [], []
        self.devices_lost = 0

    def wants(self):
        return self.now_wants

    def fused(self, output):
        self.outputs.append(output)
        return {"kept": 0.25}

    def figures(self, output, figures):
        assert output is self.outputs[-1]
        self.given_figures.append(figures)

    def conditioned(self, thermal, conditioned):
        self.previews.append((thermal, conditioned))

    def dropped(self, drop):
        self.drops.append(drop)

    def mode_changed(self, change, now_ns):
        self.changes.append(change)
        self.times.append(now_ns)

    def device_failed(self):
        self.devices_lost += 1


class CoreRig:
    """A session that works on every pair at once, with its sink and its log. ``it`` is the session."""

    def __init__(self, engine, logger, *, policy=EVERY, **parameters):
        self.logger, self.sink = logger, KeepingSink()
        self.now_ns = NOW_NS + 50 * MS
        self.it = Session(build(parameters), engine, self.sink, logger, policy=policy, now_ns=lambda: self.now_ns)

    def receive(self, stream, frame):
        """Take a frame as it would arrive now, its pixels as its content."""
        self.it.receive(
            Incoming(
                stream, frame.stamp_ns, self.now_ns, frame.frame_id, decode=lambda: frame, content=frame.image.tobytes()
            )
        )

    def receive_damaged(self, stream, stamp_ns=NOW_NS, *, seen_at_once=True):
        """Take an image that cannot be decoded, which its header may show."""

        def refuse():
            raise ImageError("the data are truncated; expected more")

        check = refuse if seen_at_once else lambda: None
        self.it.receive(Incoming(stream, stamp_ns, self.now_ns, "", decode=refuse, check=check, content=b""))

    def pair(self, stamp_ns, thermal=None, visible=None):
        self.receive("thermal", thermal or gray(stamp_ns))
        self.receive("visible", visible or bgr(stamp_ns))

    def stream(self, seconds, thermal=True, visible=True, rate=10, make_thermal=noisy, make_visible=bgr):
        """Let both cameras, or one, send for some time, and the receiver's timer run."""
        for _ in range(round(seconds * rate)):
            self.now_ns += S // rate
            if thermal:
                self.receive("thermal", make_thermal(self.now_ns))
            if visible:
                self.receive("visible", make_visible(self.now_ns))
            self.it.tick(self.now_ns)

    @property
    def fused(self):
        """The fused frames so far."""
        return [output.fused for output in self.sink.outputs]

    @property
    def modes(self):
        """The modes of the fused frames, without repetitions."""
        modes = [fused.mode for fused in self.fused]
        return [mode for index, mode in enumerate(modes) if index == 0 or modes[index - 1] != mode]

    @property
    def drops(self):
        """The drops by reason, as counted and as told."""
        told = {}
        for drop in self.sink.drops:
            told[drop.reason] = told.get(drop.reason, 0) + 1
        assert told == dict(self.it.totals().drops)
        return told
