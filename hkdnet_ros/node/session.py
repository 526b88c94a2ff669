"""The session of the node between activation and deactivation: messages wrapped for the core, its results published.

Every rule is the core's (perception/session.py); here is only what a message is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Header

from ..errors import HkdnetError
from ..geometry.messages import child_to_parent
from ..images import color
from ..images.bit_depth import BitDepth
from ..images.frames import VISIBLE, Frame
from ..images.messages import camera_model, check_depth, check_message, decode_depth, decode_message, stamp_to_ns
from ..inference.engine_api import Engine
from ..perception.health import Health
from ..perception.incoming import DEPTH, Incoming
from ..perception.log import Log, Throttle
from ..perception.mode import ModeChange
from ..perception.pairing import NEAREST, StampPairer
from ..perception.session import Session
from ..perception.sink import Drop, Figures, Output, Wants
from ..perception.statistics import Totals
from .image_messages import AnyImage, camera_info, encode_image, encode_jpeg, ns_to_stamp
from .schema import FusionConfig
from .status import fusion_status
from .time_synchronizer import StockPairer

_NO_CLOCK = "no clock"
_BAD_TRANSFORM = "bad transform"


class Publisher(Protocol):
    """The part of rclpy's publisher used here."""

    def publish(self, msg: Any, /) -> Any: ...
    def get_subscription_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where messages go, the clock that says when, whom to tell that the device is lost, and whom to ask of a camera.

    ``why_silent`` gives the reason why no image of a stream comes, empty where it does not know.
    """

    image: Publisher
    compressed: Publisher
    camera_info: Publisher
    status: Publisher
    validity: Publisher
    temperature: Publisher
    overlay: Publisher
    preview: Publisher  # of the conditioned thermal image
    now_ns: Callable[[], int]  # the node's clock
    device_lost: Callable[[], None]
    why_silent: Callable[[str], str] = lambda stream: ""


class FusionSession:
    """Takes messages and publishes what the core makes of them, until :meth:`stop`.

    One thread at a time calls the ``receive`` methods, :meth:`tick` and :meth:`health`; any thread the others.
    """

    def __init__(self, config: FusionConfig, engine: Engine, outputs: Outputs, log: Log) -> None:
        self._now_ns = outputs.now_ns
        self._log = log
        self._visible_depth = BitDepth()
        self._throttle = Throttle()
        self._throttle.passes(_NO_CLOCK)  # from now on a warning must wait for a period
        self._publishing = _Publishing(outputs, engine, config.node.jpeg_quality)
        make_pairer = StampPairer if config.sync.policy == NEAREST else StockPairer
        self._core = Session(
            config,
            engine,
            self._publishing,
            log,
            now_ns=outputs.now_ns,
            make_pairer=make_pairer,
            why_silent=outputs.why_silent,
        )

    def receive(self, stream: str, message: AnyImage) -> None:
        """Take one camera image of ``stream`` ("thermal" or "visible"); what is malformed is counted and logged."""
        depth = self._visible_depth if stream == VISIBLE else None
        self._core.receive(
            Incoming(
                stream,
                stamp_to_ns(message.header.stamp),
                self._now_ns(),
                message.header.frame_id,
                decode=lambda: decode_message(message, depth),
                check=lambda: check_message(message),
                content=message.data,
            )
        )

    def receive_camera_info(self, stream: str, message: CameraInfo) -> None:
        """Take the calibration of a camera."""
        self._core.receive_calibration(stream, camera_model(message), stamp_to_ns(message.header.stamp))

    def receive_depth(self, message: Image) -> None:
        """Take a depth image of the visible camera's view."""
        self._core.receive_depth(
            Incoming(
                DEPTH,
                stamp_to_ns(message.header.stamp),
                self._now_ns(),
                message.header.frame_id,
                decode=lambda: decode_depth(message),
                check=lambda: check_depth(message),
            )
        )

    def receive_transforms(self, message: Any) -> None:
        """Take a tf2_msgs/TFMessage; what is no transform is logged now and then."""
        for stamped in message.transforms:
            try:
                pose = child_to_parent(stamped)
            except HkdnetError as error:
                if self._throttle.passes(_BAD_TRANSFORM):
                    self._log.warning(f"/tf_static: {stamped.header.frame_id} to {stamped.child_frame_id}: {error}")
                continue
            self._core.receive_transform(stamped.header.frame_id, stamped.child_frame_id, pose)

    def receive_shutter(self, message: Bool) -> None:
        """Take the thermal camera's word that its shutter is closed (true) or open, from its last image on."""
        self._core.receive_shutter(message.data)

    def tick(self) -> None:
        """Do what no image does: notice that images stay away. To be called a few times per second."""
        now_ns = self._now_ns()
        if now_ns == 0 and self._throttle.passes(_NO_CLOCK):
            self._log.warning(
                "use_sim_time is set but nothing comes on /clock: no rate, no age and no late camera can be told; "
                "play the bag with --clock, or set use_sim_time to false"
            )
        self._core.tick(now_ns)

    @property
    def mode(self) -> str:
        """What is published at this time: FUSED, STOPPED or a single stream (perception/mode.py)."""
        return self._core.mode

    def health(self) -> Health:
        """Return the figures for /diagnostics."""
        return self._core.health()

    def reconfigure(self, config: FusionConfig) -> None:
        """Go by the live parameters of ``config`` from the next image on."""
        self._publishing.jpeg_quality = config.node.jpeg_quality
        self._core.reconfigure(config)

    def totals(self) -> Totals:
        """Return the counts since the session began."""
        return self._core.totals()

    def stop(self) -> None:
        """End the worker after the pair it is at, and publish nothing more. Waits for that pair."""
        self._core.stop()


class _Publishing:
    """The core's sink (perception/sink.py): its results as messages, as far as somebody subscribes."""

    def __init__(self, outputs: Outputs, engine: Engine, jpeg_quality: int) -> None:
        self._outputs = outputs
        self._engine = engine
        self.jpeg_quality = jpeg_quality  # may be exchanged at any time

    def wants(self) -> Wants:
        outputs = self._outputs
        camera_info, validity, temperature, overlay = map(
            _is_heard, (outputs.camera_info, outputs.validity, outputs.temperature, outputs.overlay)
        )
        others = map(_is_heard, (outputs.image, outputs.compressed, outputs.status))
        return Wants(
            fused=camera_info or validity or temperature or overlay or any(others),
            camera_model=camera_info,
            validity=validity,
            temperature=temperature,
            overlay=overlay,
            conditioned=_is_heard(outputs.preview),
        )

    def fused(self, output: Output) -> Mapping[str, float]:
        begun = time.perf_counter()
        messages = self._messages(output)
        encoded = time.perf_counter()
        for publisher, message in messages:
            publisher.publish(message)
        return {"encode": encoded - begun, "publish": time.perf_counter() - encoded}

    def figures(self, output: Output, figures: Figures) -> None:
        if _is_heard(self._outputs.status):
            header = Header(stamp=ns_to_stamp(output.fused.stamp_ns), frame_id=output.fused.frame_id)
            self._outputs.status.publish(fusion_status(output, figures, header, self._engine))

    def conditioned(self, thermal: Frame, conditioned: NDArray[np.float32]) -> None:
        self._outputs.preview.publish(_preview(thermal, conditioned))

    def dropped(self, drop: Drop) -> None:
        """Do nothing: the status counts what was dropped, and the core logs it."""

    def mode_changed(self, change: ModeChange, now_ns: int) -> None:
        """Do nothing: the status has the mode, and the core logs its change."""

    def device_failed(self) -> None:
        self._outputs.device_lost()

    def _messages(self, output: Output) -> list[tuple[Publisher, Any]]:
        """Return what somebody subscribes to, with where it goes."""
        outputs, fused = self._outputs, output.fused
        header = fused.stamp_ns, fused.frame_id
        messages: list[tuple[Publisher, Any]] = []
        if _is_heard(outputs.image):
            encoding = "mono8" if fused.image.ndim == 2 else "bgr8"
            messages.append((outputs.image, encode_image(fused.image, encoding, *header)))
        if _is_heard(outputs.compressed):
            messages.append((outputs.compressed, encode_jpeg(fused.image, self.jpeg_quality, *header)))
        if output.camera_model is not None:
            messages.append((outputs.camera_info, camera_info(output.camera_model, fused.stamp_ns)))
        if fused.validity is not None:
            messages.append((outputs.validity, encode_image(fused.validity, "mono8", *header)))
        if fused.temperature is not None:
            messages.append((outputs.temperature, encode_image(fused.temperature, "32FC1", *header)))
        if fused.overlay is not None:
            messages.append((outputs.overlay, encode_image(fused.overlay, "bgr8", *header)))
        if output.thermal and fused.thermal is not None and output.is_live and _is_heard(outputs.preview):
            messages.append((outputs.preview, _preview(output.thermal, fused.thermal)))
        return messages


def _is_heard(publisher: Publisher) -> bool:
    return publisher.get_subscription_count() > 0


def _preview(thermal: Frame, conditioned: NDArray[np.float32]) -> Image:
    return encode_image(color.to_uint8(conditioned), "mono8", thermal.stamp_ns, thermal.frame_id)
