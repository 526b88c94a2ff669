"""Which pixel of one camera shows what a pixel of the other does, from calibrations, transforms and depth.

``none`` takes both images to show one field of view. The other modes keep the view of the *reference* camera and bring
the other one's image, the *source*, to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, RegistrationError
from ..geometry.correspondence import homography_trace, parallax, plane_trace
from ..geometry.depth_view import DepthView
from ..geometry.depth_warp import DepthGeometry
from ..geometry.frame_tree import FrameTree
from ..geometry.homography import check_homography
from ..geometry.lookup import Size, Trace
from ..geometry.projection import check_lens, image_model, rectified_model
from ..geometry.rigid_transform import RigidTransform, check_baseline
from ..images.camera_model import CameraModel
from ..images.frames import THERMAL, VISIBLE, Frame
from .crop import Margins
from .plan import size_of
from .registered_view import RegisteredView, View, registered_view
from .registration_config import (
    CROP,
    HOMOGRAPHY,
    NO_HOMOGRAPHY,
    NONE,
    RECTIFY,
    RegistrationConfig,
    load_registration,
    turned,
)

_SOME = 8  # each so many rows and columns of a depth image are looked at for what is odd
_LEAST_KNOWN = 0.01  # of a depth image's pixels, that have a value
_FAR = 100.0  # m, within which something lies before a camera


@dataclass(frozen=True, slots=True)
class _Rig:
    """What a view by lenses is made of."""

    thermal: CameraModel
    visible: CameraModel
    thermal_to_visible: RigidTransform
    reference: str
    border: str
    distance: float

    @property
    def sizes(self) -> dict[str, Size]:
        return {THERMAL: (self.thermal.width, self.thermal.height), VISIBLE: (self.visible.width, self.visible.height)}

    def trace(self) -> Trace:
        """Return the way from the reference's pixels to the source's, by the plane at the distance."""
        if self.reference == VISIBLE:
            return plane_trace(self.visible, self.thermal, self.thermal_to_visible.inverse, self.distance)
        return plane_trace(self.thermal, self.visible, self.thermal_to_visible, self.distance)


class Registration:
    """Knows the view that a pair is to be brought to. One thread calls :meth:`view`; any thread the others."""

    def __init__(self, config: RegistrationConfig | None = None) -> None:
        """Raises what :func:`load_registration` does."""
        self._config = config or RegistrationConfig()
        self._given = load_registration(self._config)
        self._lock = threading.Lock()
        self._cut: tuple[Size, Margins] = (0, 0), Margins()
        self._models: dict[str, CameraModel] = {}  # of the topics
        self._frames = FrameTree()
        self._rig: _Rig | None = None
        self._rig_made_of: object = None
        self._changes = 0  # of what topics say of the cameras
        self._made_of: object = None  # what the planar view was made of
        self._planar: RegisteredView | None = None
        self._depth_made_of: object = None
        self._geometry: DepthGeometry | None = None
        self._depth_view: DepthView | None = None  # where thermal is the reference
        self._depth: Frame | None = None  # that of the latest view
        self._latest: View = View()
        self.remark = ""
        """What is odd about the latest depth image, by which pairs are registered all the same; empty where nothing."""

    @property
    def is_on(self) -> bool:
        """Whether anything is registered."""
        return self._config.mode != NONE

    @property
    def border(self) -> str:
        """What is shown where one camera sees nothing."""
        return self._config.border

    @property
    def parallax(self) -> str:
        """How far what is off the distance of mode rectify lies beside it, in words; empty where that is not known."""
        pose = self._given.thermal_to_visible
        model = self._given.visible if self._config.reference == VISIBLE else self._given.thermal
        if self._config.mode != RECTIFY or model is None or pose is None:
            return ""
        reference, baseline = image_model(model), float(np.linalg.norm(pose.translation))
        off = ", ".join(
            f"{parallax(reference.k[0], baseline, self._config.distance, distance):.1f} px at {distance} m"
            for distance in (2, 5, 10, 50)
        )
        return (
            f"registered at {self._config.distance:g} m; cameras {baseline:.3f} m apart make the parallax of other "
            f"distances {off} of the {self._config.reference} image"
        )

    @property
    def thermal_offset(self) -> float:
        """The seconds that the calibration's file wants added to thermal stamps; 0 where it says nothing of them."""
        return self._given.thermal_offset

    @property
    def unused(self) -> str:
        """What was given and counts for nothing, since nothing is registered; empty where there is none."""
        config = self._config
        given = {
            "calibration": config.calibration,
            "thermal_camera_info": config.thermal_camera_info,
            "visible_camera_info": config.visible_camera_info,
            "homography": config.homography != NO_HOMOGRAPHY,
        }
        names = [f"registration.{name}" for name, value in given.items() if value]
        if self.is_on or not names:
            return ""
        return f"registration.mode is none, so that images are not registered and {', '.join(names)} not used"

    def reconfigure(self, config: RegistrationConfig) -> None:
        """Go by the live settings of ``config`` from the next pair on."""
        self._config = config

    def cut(self, sent: Size, margins: Margins) -> None:
        """Say what is cut off thermal images, which are sent with the size ``sent``: calibrations follow."""
        self._cut = sent, margins

    def update_model(self, stream: str, model: CameraModel) -> None:
        """Take the calibration of a camera from its topic; one from a file goes before it."""
        with self._lock:
            self._changes += model != self._models.get(stream)
            self._models[stream] = model

    def update_transform(self, parent: str, child: str, child_to_parent: RigidTransform) -> None:
        """Take the pose of a frame in its parent, as /tf_static has it; a calibration from a file goes before it."""
        with self._lock:
            self._changes += 1
            self._frames.update(parent, child, child_to_parent)

    @property
    def latest(self) -> View:
        """The view of the latest pair."""
        return self._latest

    def alone(self, stream: str) -> View:
        """Return the view of the latest pair where it is that of ``stream``, else one that moves nothing."""
        return self._latest if self._latest.reference == stream else View()

    def view(self, thermal: Frame, visible: Frame, depth: Frame | None = None) -> View:
        """Return the view that this pair is to be brought to; tables are kept while nothing changes.

        ``depth`` registers it in mode depth: the depth image of the visible camera's view that is nearest in time,
        16UC1 in mm or 32FC1 in m, 0 or NaN where there is none (:mod:`.depth_matching` chooses it). Raises
        :class:`RegistrationError` where a calibration, a transform or a depth image is missing, or does not belong to
        these images, and where the cameras do not see the same.
        """
        config = self._config  # once: another thread may exchange it meanwhile
        if config.mode == NONE:
            return self._latest
        if config.mode == HOMOGRAPHY:
            self._latest = self._by_homography(config, thermal, visible)
            return self._latest
        rig = self._rig_of(config, thermal, visible)
        planar = self._by_trace(rig, rig.sizes, rig.reference, rig.border, rig.trace)
        if config.mode == RECTIFY:
            self._latest = planar
        else:
            self._latest = self._by_depth(rig, planar, _checked_depth(depth, visible, config.depth_slop))
        return self._latest

    def _by_homography(self, config: RegistrationConfig, thermal: Frame, visible: Frame) -> RegisteredView:
        sizes = {THERMAL: size_of(thermal), VISIBLE: size_of(visible)}
        sent, margins = self._cut
        given = self._given.thermal
        is_cut = given is None or given.image_size == sent  # else it is that of the picture alone
        for stream, frame, model in (
            (THERMAL, thermal, given and self._of_picture(given, thermal)),
            (VISIBLE, visible, self._given.visible),
        ):
            if model is not None:
                _check_belongs(model, stream, frame)
        assert self._given.homography is not None  # or load_registration() had refused
        picture_to_sent = np.eye(3)
        if is_cut:
            picture_to_sent[:2, 2] = margins.left, margins.top
        matrix = np.reshape(self._given.homography, (3, 3)) @ picture_to_sent

        def trace() -> Trace:
            try:
                thermal_to_visible = check_homography(matrix, sizes[THERMAL])
            except ConfigError as error:
                raise RegistrationError(str(error)) from error
            if config.reference == THERMAL:
                return homography_trace(thermal_to_visible)
            return homography_trace(np.asarray(np.linalg.inv(thermal_to_visible), np.float64))

        made_of = (sizes[THERMAL], sizes[VISIBLE], margins, config.border)
        return self._by_trace(made_of, sizes, config.reference, config.border, trace)

    def _by_trace(
        self, made_of: object, sizes: dict[str, Size], reference: str, border: str, trace: Callable[[], Trace]
    ) -> RegisteredView:
        """Return the view by one trace for all pairs; made anew where it is made of other things than before."""
        if self._planar is None or made_of != self._made_of:
            self._planar = registered_view(trace(), reference, sizes, is_cropped=border == CROP)
            self._made_of = made_of
        return self._planar

    def _by_depth(self, rig: _Rig, planar: RegisteredView, depth: Frame) -> View:
        """Return the view by the depth image of this moment, with the window of the planar one."""
        if self._geometry is None or rig != self._depth_made_of:
            visible_to_thermal = rig.thermal_to_visible.inverse
            if rig.reference == VISIBLE:
                self._geometry = DepthGeometry(rig.visible, rig.thermal, visible_to_thermal, rig.distance)
            else:
                self._geometry = DepthGeometry(rig.thermal, rig.visible, rig.thermal_to_visible, rig.distance)
                self._depth_view = DepthView(rig.visible, rig.thermal, visible_to_thermal)
            self._depth_made_of, self._depth = rig, None
        if depth is not self._depth:
            geometry = self._geometry
            self._depth = depth
            self.remark = _remark(depth.image, rig.distance)
            if rig.reference == VISIBLE:
                return planar.by(lambda size, window: geometry.warp(depth.image, size, window))
            assert self._depth_view is not None  # made with the geometry
            seen = self._depth_view.of(depth.image, rig.distance)
            return planar.by(lambda size, window: geometry.warp_of_seen(seen, size, window))
        return self._latest

    def _rig_of(self, config: RegistrationConfig, thermal: Frame, visible: Frame) -> _Rig:
        """Return lenses and pose for these images; those of the pair before while all they are made of is the same."""
        images = tuple((size_of(frame), frame.frame_id) for frame in (thermal, visible))
        made_of = config, self._changes, self._cut, images
        if self._rig is None or made_of != self._rig_made_of:
            self._rig = self._made_rig(config, thermal, visible)
            self._rig_made_of = made_of
        return self._rig

    def _made_rig(self, config: RegistrationConfig, thermal: Frame, visible: Frame) -> _Rig:
        lenses, turns = {}, {}
        for stream, frame, is_rectified in (
            (THERMAL, thermal, config.thermal_rectified),
            (VISIBLE, visible, config.visible_rectified),
        ):
            lenses[stream], turns[stream] = self._lens(stream, frame, is_rectified)
        pose = turns[THERMAL].inverse.then(self._pose(thermal, visible)).then(turns[VISIBLE])
        return _Rig(lenses[THERMAL], lenses[VISIBLE], pose, config.reference, config.border, config.distance)

    def _lens(self, stream: str, frame: Frame, is_rectified: bool) -> tuple[CameraModel, RigidTransform]:
        """Return the lens of an image, and what turns its camera's axes to those of the image."""
        given = self._given.thermal if stream == THERMAL else self._given.visible
        with self._lock:
            model = given or self._models.get(stream)
        if model is None:
            raise RegistrationError(
                f"no calibration of the {stream} camera; name a file in registration.calibration or "
                f"registration.{stream}_camera_info, or have its driver publish {stream}/camera_info"
            )
        if stream == THERMAL:
            model = self._of_picture(model, frame)
        try:
            check_lens(rectified_model(model) if is_rectified else model, f"calibration of the {stream} camera")
            _check_belongs(model, stream, frame, by_name=given is not None)
            sent = image_model(model)
            if not is_rectified:
                return sent, RigidTransform()
            return rectified_model(sent), turned(sent, stream)
        except ConfigError as error:
            raise RegistrationError(str(error)) from error

    def _of_picture(self, model: CameraModel, frame: Frame) -> CameraModel:
        """Return the thermal camera's calibration for the picture that is left of its image."""
        sent, margins = self._cut
        if margins == Margins() or model.image_size != sent:
            return model
        return model.cropped(margins.left, margins.top, *size_of(frame))

    def _pose(self, thermal: Frame, visible: Frame) -> RigidTransform:
        if self._given.thermal_to_visible is not None:
            return self._given.thermal_to_visible
        with self._lock:
            found = self._frames.between(thermal.frame_id, visible.frame_id)
        if found is None:
            raise RegistrationError(
                f"no transform from {thermal.frame_id!r} to {visible.frame_id!r}; expected it on /tf_static, or "
                "thermal_to_visible in the file of registration.calibration"
            )
        try:
            check_baseline(found, f"/tf_static, from {thermal.frame_id!r} to {visible.frame_id!r},")
        except ConfigError as error:
            raise RegistrationError(str(error)) from error
        return found


def _check_belongs(model: CameraModel, stream: str, frame: Frame, by_name: bool = True) -> None:
    """Raise :class:`RegistrationError` where a calibration is not that of an image."""
    if model.image_size != size_of(frame):
        raise RegistrationError(
            f"calibration of the {stream} camera is for {'x'.join(map(str, model.image_size))} pixels, but its image "
            f"has {_sized(frame)}; expected the same: calibrate the camera at the size it sends"
        )
    if by_name and model.frame_id and model.frame_id != frame.frame_id:
        raise RegistrationError(
            f"calibration of the {stream} camera is that of {model.frame_id!r}, but its image is of "
            f"{frame.frame_id!r}; expected the calibration of this camera"
        )


def _checked_depth(depth: Frame | None, visible: Frame, slop_s: float) -> Frame:
    """Return the depth image of a pair; :class:`RegistrationError` where it is not that of its visible image."""
    if depth is None:
        raise RegistrationError(
            "no depth image came in time; expected one of the visible camera's view on depth/image_raw, within "
            "registration.depth_timeout"
        )
    apart_s = abs(depth.stamp_ns - visible.stamp_ns) / 1e9
    if apart_s > slop_s:
        raise RegistrationError(
            f"the nearest depth image is {apart_s:.3f} s from the visible one; expected {slop_s:g} s at most "
            "(registration.depth_slop), and that it comes within registration.depth_timeout"
        )
    if depth.encoding not in ("16UC1", "mono16", "32FC1"):
        raise RegistrationError(f"depth image is {depth.encoding}; expected 16UC1 in mm or 32FC1 in m")
    if size_of(depth) != size_of(visible) or depth.frame_id != visible.frame_id:
        raise RegistrationError(
            f"depth image is {_sized(depth)} in frame {depth.frame_id!r}, the visible one {_sized(visible)} in "
            f"{visible.frame_id!r}; expected depth aligned to the visible image, as depth cameras' drivers offer it"
        )
    return depth


def _remark(depth: NDArray[Any], distance: float) -> str:
    """Return what is odd about the values of a depth image; empty where nothing is."""
    some = depth[::_SOME, ::_SOME].ravel()
    known = some[np.isfinite(some) & (some > 0)]
    if len(known) < _LEAST_KNOWN * len(some):
        return (
            f"depth image has a value in {len(known) / len(some):.1%} of its pixels; registered is what lies "
            f"{distance:g} m ahead (registration.distance)"
        )
    if depth.dtype == np.float32 and np.percentile(known, 10) > _FAR:
        return (
            f"nine tenths of the depth image's values are beyond {_FAR:g}; expected metres in 32FC1: send millimetres "
            "as 16UC1"
        )
    return ""


def _sized(frame: Frame) -> str:
    return "x".join(map(str, size_of(frame)))
