"""The fusion node: a lifecycle node around :class:`~hkdnet_ros.node.session.FusionSession`.

Subscribed: thermal/image_raw, thermal/camera_info, thermal/shutter, visible/image_raw, visible/camera_info, and where
registration needs them depth/image_raw and /tf_static. Published: fused/image, fused/image/compressed,
fused/camera_info, fused/status, fused/validity, fused/temperature, fused/overlay, thermal/preview, /diagnostics.
Parameters: docs/parameters.md.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Bool

from hkdnet_ros.msg import FusionStatus

from ..errors import HkdnetError
from ..images.frames import THERMAL, VISIBLE
from ..inference.config import EngineConfig
from ..inference.engine_api import Engine, load_engine, runs_on
from ..inference.fallback_engine import FallbackEngine
from ..perception.intake import ThermalIntake
from ..perception.output_calibration import TOPICS as CAMERA_INFO_TOPICS
from ..perception.registration_config import DEPTH, RECTIFY, load_registration
from .bond import ManagerBond
from .diagnostics import deaf_subscribers, diagnostic_array, resident_bytes
from .distributions import ClockType, ForgivingLifecycleMixin
from .following_subscription import FollowingSubscription, no_events
from .graph import CrowdWatch, why_silent
from .health import ERROR, OK, Report, device_report, qos_report, reports
from .loading import GivenUpError, Loader
from .parameters import NodeParameters
from .schema import COMPRESSED, PARAMETERS, FusionConfig
from .session import FusionSession, Outputs
from .static_transforms import static_transforms
from .topic_names import camera_info_topic, compressed_topic

IMAGE_TOPICS = {THERMAL: "thermal/image_raw", VISIBLE: "visible/image_raw"}
SHUTTER_TOPIC = "thermal/shutter"
DEPTH_TOPIC = "depth/image_raw"
PREVIEW_TOPIC = "thermal/preview"
FUSED_CAMERA_INFO = "fused/camera_info"
_SILENCE_S = 2.0  # after which a camera is listened to whatever it offers when it comes back
_TICK_S = 0.1
_DIAGNOSTICS_S = 1.0


# Reliable, as rviz and image viewers ask for it by default and best-effort subscribers accept it, too; and a large
# image sent best effort is lost as soon as it exceeds Fast DDS's shared-memory segment (following_subscription.py).
# Few are kept: a subscriber that stalls should get the newest image, and each waiting one is a megabyte or more.
def _output_qos() -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE)


# Small, so best effort hears every publisher and loses nothing that matters.
def _small_qos() -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


Transition = Callable[["FusionNode", LifecycleState], None]


def _transition(action: Transition) -> Callable[[FusionNode, LifecycleState], TransitionCallbackReturn]:
    """Make a transition callback of ``action``: a foreseen error fails it with one line, a defect with its traceback.

    rclpy itself would swallow the exception.
    """

    @functools.wraps(action)
    def callback(node: FusionNode, state: LifecycleState) -> TransitionCallbackReturn:
        name = action.__name__.removeprefix("on_")
        try:
            action(node, state)
        except (HkdnetError, ParameterException) as error:  # rclpy's is about qos_overrides
            node.get_logger().error(f"{name} failed: {error}")
            node._trouble = f"{name} failed: {error}"
            return TransitionCallbackReturn.FAILURE
        except GivenUpError:
            node.get_logger().info(f"{name} given up: the node is to end")
            return TransitionCallbackReturn.FAILURE
        except Exception:
            node.get_logger().fatal(f"{name} failed by an internal error:\n{traceback.format_exc()}")
            node._trouble = f"{name} failed by an internal error; the log says which"
            return TransitionCallbackReturn.ERROR
        node._trouble = ""
        return TransitionCallbackReturn.SUCCESS

    return callback


class FusionNode(ForgivingLifecycleMixin, Node):
    """Lifecycle node "fusion": configure loads the model, activate starts, deactivate stops, cleanup frees.

    Needs a multi-threaded executor, so that parameter and lifecycle services answer while a model loads.
    """

    def __init__(
        self,
        engine_factory: Callable[[EngineConfig], Engine] = load_engine,
        loader: Loader[FallbackEngine] | None = None,
        **node_options: Any,
    ) -> None:
        """Make the node, unconfigured; ``loader`` lets others give up its loading."""
        Node.__init__(self, "fusion", **node_options)
        # Re-entrant: the state can be asked for during a transition. A second transition is refused by rcl itself.
        ForgivingLifecycleMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._engine_factory = engine_factory
        self._engine: FallbackEngine | None = None
        self._loader = loader or Loader[FallbackEngine]()
        self._trouble = ""  # why the node is not in the state that was asked for
        self._config: FusionConfig | None = None
        self._session: FusionSession | None = None
        self._subscriptions_now: list[FollowingSubscription] = []
        self._crowd = CrowdWatch(self)
        self._crowded: list[str] = []
        self._camera_infos: list[FollowingSubscription] = []
        self._small_subscriptions: list[Subscription[Any]] = []
        self._bond = ManagerBond(self)
        self._good_engine_config: EngineConfig | None = None  # of the last engine that could be loaded
        self._parameters_of_node = NodeParameters(self, PARAMETERS, lambda: self._config is not None, self._apply)
        self._receiving = MutuallyExclusiveCallbackGroup()
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # the node's own may stand still in simulation
        self.create_timer(_TICK_S, self._tick, self._receiving, clock=steady)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(_DIAGNOSTICS_S, self._diagnose, self._receiving, clock=steady)
        self._device_lost = self.create_guard_condition(self._give_up, ReentrantCallbackGroup())
        self._camera_info = self._camera_info_of_fused()
        self._outputs = {
            topic: self.create_lifecycle_publisher(
                kind, topic, _output_qos(), qos_overriding_options=QoSOverridingOptions.with_default_policies()
            )
            for topic, kind in (
                ("fused/image", Image),
                (compressed_topic(self, "fused/image"), CompressedImage),
                (self._camera_info, CameraInfo),
                ("fused/status", FusionStatus),
                ("fused/validity", Image),
                ("fused/temperature", Image),
                ("fused/overlay", Image),
                (PREVIEW_TOPIC, Image),
            )
        }
        if self.get_parameter("autostart").value:
            group = MutuallyExclusiveCallbackGroup()
            self._autostart_timer = self.create_timer(0.0, self._autostart, group, clock=steady)

    def _apply(self, config: FusionConfig) -> None:
        """Follow a change of live parameters."""
        session = self._session  # once: another thread may end it meanwhile
        if session is not None:
            session.reconfigure(config)

    def _tick(self) -> None:
        session = self._session
        if session is not None:
            session.tick()

    def _diagnose(self) -> None:
        """Publish the node's health, in every state."""
        self._look_for_crowds()
        if not self._diagnostics.get_subscription_count():
            return
        session, engine = self._session, self._engine  # once: a transition may take them away meanwhile
        state = "active" if session else "inactive" if engine else "unconfigured"
        found = [Report("state", ERROR, f"{state}: {self._trouble}") if self._trouble else Report("state", OK, state)]
        if session is not None:
            found += reports(session.health(), self._parameters_of_node.config().diagnostics)
            following = [*self._subscriptions_now, *self._camera_infos]
            mismatches = [*self._crowded, *(text for subscription in following for text in subscription.unheard())]
            for topic, publisher in self._outputs.items():
                mismatches += deaf_subscribers(self, topic, publisher.qos_profile)
            found.append(qos_report(mismatches))
        if engine is not None:
            found.append(
                device_report(
                    model=engine.model_name,
                    scale=engine.scale,
                    device=engine.device,
                    precision=engine.precision,
                    backend=engine.backend,
                    memory=engine.memory,
                    resident=resident_bytes(),
                    failure=engine.failure,
                )
            )
        name = self.get_fully_qualified_name().removeprefix("/")
        now_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(diagnostic_array(found, name, engine.device if engine else "", now_ns))

    def _look_for_crowds(self) -> None:
        """Say once of each topic that more publish it than should."""
        inputs = [subscription.topic for subscription in (*self._subscriptions_now, *self._camera_infos)]
        crowded = self._crowd.look(inputs, self._outputs, time.monotonic()) if self._session is not None else []
        for text in crowded:
            if text not in self._crowded:
                self.get_logger().warning(text)
        self._crowded = crowded

    def _why_silent(self, stream: str) -> str:
        """Return why no image of ``stream`` comes, as far as the graph knows it."""
        subscriptions = dict(zip(IMAGE_TOPICS, self._subscriptions_now, strict=False))  # may be ended meanwhile
        asked = subscriptions.pop(stream, None)
        others = [other.resolved for other in subscriptions.values()]
        return "" if asked is None else why_silent(asked, IMAGE_TOPICS[stream], stream, others)

    def _give_up(self) -> None:
        if self._session is None:  # deactivated for this already
            return
        self.get_logger().error("deactivating: the device failed, and device_failure is 'inactive'")
        self.trigger_deactivate()
        self._trouble = "deactivated, for the device failed"

    def _camera_info_of_fused(self) -> str:
        """Return the name of the calibration of the fused image: beside it, but where a camera has its own."""
        name = camera_info_topic(self, "fused/image", FUSED_CAMERA_INFO)
        cameras = [camera_info_topic(self, IMAGE_TOPICS[stream], topic) for stream, topic in CAMERA_INFO_TOPICS.items()]
        if self.resolve_topic_name(name) not in map(self.resolve_topic_name, cameras):
            return name
        self.get_logger().warning(
            f"{name}, beside the fused image, is a camera's; its calibration is on "
            f"{self.resolve_topic_name(FUSED_CAMERA_INFO)}: remap {FUSED_CAMERA_INFO} where that is not wanted"
        )
        return FUSED_CAMERA_INFO

    def set_parameters_atomically(self, parameter_list: list[Parameter[Any]]) -> SetParametersResult:
        """Set parameters, as services ask for; a name that is unknown is refused with the nearest one."""
        for parameter in parameter_list:
            if not self.has_parameter(parameter.name):
                return SetParametersResult(successful=False, reason=self._parameters_of_node.unknown(parameter.name))
        return super().set_parameters_atomically(parameter_list)

    def _autostart(self) -> None:
        self._autostart_timer.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS and not self._loader.has_given_up:
            self.trigger_activate()

    @_transition
    def on_configure(self, state: LifecycleState) -> None:
        """Read the parameters, load the model and, where ``grid`` says for what size, warm it up."""
        begun = time.perf_counter()
        self._config = config = self._parameters_of_node.config()  # from here on only live parameters change
        try:
            # A file that cannot be read or believed is said while it can be changed.
            load_registration(config.registration)
            ThermalIntake(config.thermal)
            self._engine = engine = self._loader.load(lambda: self._load_engine(config))
        except BaseException:
            self._config = None
            raise
        self.get_logger().info(
            f"configured in {time.perf_counter() - begun:.1f} s: {engine.model_name} x{engine.scale}, {runs_on(engine)}"
        )

    def _load_engine(self, config: FusionConfig) -> FallbackEngine:
        """Return the engine that the parameters ask for, warmed up, or the one before where that cannot be had.

        A robot that tries a new model should not be blind because its file is bad. The parameters are then set back.
        """
        log = self.get_logger()

        def load(wanted: EngineConfig) -> FallbackEngine:
            engine = FallbackEngine(self._engine_factory, wanted, config.node.device_failure, log.warning)
            width, height = config.pipeline.grid
            if width and height:
                try:
                    engine.warm_up(height, width)
                except BaseException:
                    engine.close()
                    raise
            return engine

        good = self._good_engine_config
        try:
            engine = load(config.engine)
            self._good_engine_config = config.engine
        except HkdnetError as error:
            if good is None or good == config.engine:
                raise
            log.error(f"{error}; going back to the model before, {good.model} x{good.scale}")
            engine = load(good)
            self._parameters_of_node.set_back("engine", good)
        return engine

    @_transition
    def on_activate(self, state: LifecycleState) -> None:
        """Start pairing, fusing and publishing; all counts begin at zero."""
        try:
            self._start(state)
        except BaseException:
            self._stop(state)
            raise
        inputs = [subscription.resolved for subscription in self._subscriptions_now]
        if len(set(inputs)) < len(inputs):
            self.get_logger().warning(
                f"both cameras are {inputs[0]}, which is fused with itself; remap {' or '.join(IMAGE_TOPICS.values())}"
            )
        topics = " and ".join(inputs)
        self.get_logger().info(f"active: fusing {topics} into {self.resolve_topic_name('fused/image')}")

    @_transition
    def on_deactivate(self, state: LifecycleState) -> None:
        """Stop after the pair in work; the model stays loaded."""
        self._stop(state)

    @_transition
    def on_cleanup(self, state: LifecycleState) -> None:
        """Free the model; parameters can be changed again."""
        self._free(state)

    @_transition
    def on_shutdown(self, state: LifecycleState) -> None:
        """Stop and free whatever the state was."""
        self._free(state)

    @_transition
    def on_error(self, state: LifecycleState) -> None:
        """Fall back to unconfigured with everything freed."""
        self._free(state)

    def destroy_node(self) -> None:
        """Stop, free and destroy; may be called in any state and again."""
        self._free(LifecycleState("", 0))
        Node.destroy_node(self)

    def _start(self, state: LifecycleState) -> None:
        assert self._engine is not None
        config = self._parameters_of_node.config()  # again, for the live ones
        for publisher in self._outputs.values():
            publisher.on_activate(state)
        outputs = Outputs(
            image=self._outputs["fused/image"],
            compressed=self._outputs[compressed_topic(self, "fused/image")],
            camera_info=self._outputs[self._camera_info],
            status=self._outputs["fused/status"],
            validity=self._outputs["fused/validity"],
            temperature=self._outputs["fused/temperature"],
            overlay=self._outputs["fused/overlay"],
            preview=self._outputs[PREVIEW_TOPIC],
            now_ns=lambda: int(self.get_clock().now().nanoseconds),
            device_lost=self._device_lost.trigger,
            why_silent=self._why_silent,
        )
        session = FusionSession(config, self._engine, outputs, self.get_logger())
        self._session = session
        transports = {THERMAL: config.node.thermal_transport, VISIBLE: config.node.visible_transport}
        silence_s = max(_SILENCE_S, 2.0 * config.mode.limit)  # what is normal for a slow camera is no silence
        for stream, topic in IMAGE_TOPICS.items():
            receive = functools.partial(session.receive, stream)
            kind: type[Any] = Image
            if transports[stream] == COMPRESSED:
                kind, topic = CompressedImage, compressed_topic(self, topic)
            following = FollowingSubscription(self, kind, topic, receive, self._receiving, silence_s)
            self._subscriptions_now.append(following)
        for stream, topic in CAMERA_INFO_TOPICS.items():
            take = functools.partial(session.receive_camera_info, stream)
            name = camera_info_topic(self, IMAGE_TOPICS[stream], topic)
            self._camera_infos.append(FollowingSubscription(self, CameraInfo, name, take, self._receiving))
        subscription = self.create_subscription(
            Bool,
            SHUTTER_TOPIC,
            session.receive_shutter,
            _small_qos(),
            callback_group=self._receiving,
            event_callbacks=no_events(),
        )
        self._small_subscriptions.append(subscription)
        registration = config.registration
        if registration.mode == DEPTH:
            depth = FollowingSubscription(self, Image, DEPTH_TOPIC, session.receive_depth, self._receiving)
            self._subscriptions_now.append(depth)
        if registration.mode in (RECTIFY, DEPTH) and load_registration(registration).thermal_to_visible is None:
            transforms = static_transforms(self, session.receive_transforms, self._receiving)
            if transforms is not None:
                self._small_subscriptions.append(transforms)
        self._bond.start(config.node.bond_heartbeat_period)

    def _stop(self, state: LifecycleState) -> None:
        for following in (self._subscriptions_now, self._camera_infos):
            while following:
                following.pop().destroy()
        while self._small_subscriptions:
            self.destroy_subscription(self._small_subscriptions.pop())
        if self._session is not None:
            session, self._session = self._session, None
            session.stop()
            totals = session.totals()
            drops = ", ".join(f"{count} {reason}" for reason, count in sorted(totals.drops.items())) or "none"
            self.get_logger().info(
                f"stopped: {totals.received[THERMAL]} thermal and {totals.received[VISIBLE]} visible images, "
                f"{totals.pairs} pairs, {totals.published} fused; dropped: {drops}"
            )
        for publisher in self._outputs.values():
            publisher.on_deactivate(state)
        self._bond.stop()

    def _free(self, state: LifecycleState) -> None:
        self._stop(state)
        if self._engine is not None:
            engine, self._engine = self._engine, None
            engine.close()
        self._config = None
