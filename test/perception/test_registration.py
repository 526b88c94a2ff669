"""Both images in one view: error in pixels by mode and distance, borders, temperatures, and all that can be missing.

The simulator's two cameras are the truth: lenses, pose, depth, and what each would feel from the other's place.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from lenses import formula

from hkdnet_ros.errors import ConfigError, RegistrationError
from hkdnet_ros.geometry.calibration import PairCalibration
from hkdnet_ros.geometry.calibration_files import save_calibration
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.frames import THERMAL, VISIBLE, Frame
from hkdnet_ros.images.resampling import resample
from hkdnet_ros.perception.crop import Margins
from hkdnet_ros.perception.registration import Registration
from hkdnet_ros.perception.registration_config import RegistrationConfig, load_registration
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.two_cameras import TwoCameraSimulator, usual_rig

RIG = usual_rig((320, 256), (640, 400))
QUIET = SceneConfig(people=0, cars=0, netd=0.0, fixed_pattern=0.0, drift=0.0)


@pytest.fixture(scope="module")
def simulator():
    return TwoCameraSimulator(QUIET, RIG)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibration") / "rig.yaml"
    save_calibration(path, RIG.calibration)
    return str(path)


def thermal_frame(image=None, frame_id="thermal_camera", size=(320, 256)):
    return Frame(np.zeros(size[::-1], np.uint16) if image is None else image, 1_000, frame_id, "mono16")


def visible_frame(stamp_ns=1_000, frame_id="visible_camera", size=(640, 400)):
    return Frame(np.zeros((*size[::-1], 3), np.uint8), stamp_ns, frame_id, "bgr8")


def view_of(config, thermal=None, visible=None, depth=None):
    return Registration(config).view(thermal or thermal_frame(), visible or visible_frame(), depth)


def dots(model, pixels):
    """Return an image (H, W) float32 with a soft dot at each pixel (N, 2), a few px wide."""
    x, y = np.meshgrid(np.arange(model.width), np.arange(model.height))
    image = np.zeros((model.height, model.width), np.float32)
    for px, py in pixels:
        image = np.maximum(image, np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 2.0**2)))
    return image.astype(np.float32)


def centre_of(image, near, reach=9):
    """Return the centre of gravity (x, y) of what is bright around a pixel."""
    left, top = (max(0, round(float(side)) - reach) for side in near)
    part = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(np.float64)
    y, x = np.mgrid[: part.shape[0], : part.shape[1]]
    return np.array([left + (part * x).sum() / part.sum(), top + (part * y).sum() / part.sum()])


def points_at(depth):
    """Return points (N, 3) in the visible camera's axes, in a plane across them, that both cameras see."""
    x, y = np.meshgrid([-0.25, 0.0, 0.25], [-0.2, 0.0, 0.2])
    return np.stack([x.ravel() * depth, y.ravel() * depth, np.full(9, float(depth))], axis=-1)


def dot_errors(view, depth):
    """Return how far (px of the visible image) dots that both see at ``depth`` come to lie from where they are."""
    points = points_at(depth)
    in_thermal = formula(RIG.thermal_to_visible.inverse.apply(points), RIG.thermal)
    in_visible = formula(points, RIG.visible)
    brought = view.thermal(dots(RIG.thermal, in_thermal), (640, 400))
    return [
        float(np.linalg.norm(centre_of(brought, place, reach=22) - place)) for place in in_visible
    ]  # fmt: skip


def test_none_leaves_both_images_to_resampling():
    view = view_of(RegistrationConfig())
    image = np.random.default_rng(0).random((256, 320), np.float32)
    np.testing.assert_array_equal(view.thermal(image, (640, 400)), resample(image, 640, 400))
    assert not view.is_registered
    assert view.validity((640, 400)) is None


@pytest.mark.parametrize("depth", [2.0, 5.0, 10.0, 50.0])
def test_rectify_is_right_at_its_distance_and_depth_at_every_one(file, depth):
    """Parallax of 0.12 m in 381 px: 23 px at 2 m, 9 at 5, 4.6 at 10, 0.9 at 50."""
    at_depth = dot_errors(view_of(RegistrationConfig(mode="rectify", calibration=file, distance=depth)), depth)
    assert max(at_depth) < 0.3
    at_ten = dot_errors(view_of(RegistrationConfig(mode="rectify", calibration=file, distance=10.0)), depth)
    parallax = RIG.visible.k[0] * 0.122 * abs(1 / depth - 1 / 10.0)
    assert np.median(at_ten) == pytest.approx(parallax, rel=0.25, abs=0.3)
    image = Frame(np.full((400, 640), depth, np.float32), 1_000, "visible_camera", "32FC1")
    by_depth = view_of(RegistrationConfig(mode="depth", calibration=file), depth=image)
    assert max(dot_errors(by_depth, depth)) < 0.3


def test_homography_registers_its_plane_but_not_the_lenses(tmp_path):
    """Fitted to dots at 10 m, it leaves what distortion bends: more than rectify, less than a picture that is off."""
    points = points_at(10.0)
    in_thermal = formula(RIG.thermal_to_visible.inverse.apply(points), RIG.thermal)
    thermal_to_visible, _ = cv2.findHomography(in_thermal, formula(points, RIG.visible))
    view = view_of(RegistrationConfig(mode="homography", homography=tuple(thermal_to_visible.ravel())))
    errors = dot_errors(view, 10.0)
    assert 0.1 < max(errors) < 2.5
    calibration = PairCalibration(RIG.thermal, RIG.visible, homography=tuple(thermal_to_visible.ravel()))
    save_calibration(tmp_path / "plane.yaml", calibration)
    of_file = view_of(RegistrationConfig(mode="homography", calibration=str(tmp_path / "plane.yaml")))
    assert dot_errors(of_file, 10.0) == pytest.approx(errors)


@pytest.mark.parametrize("depth", [5.0, 50.0])
def test_with_the_thermal_view_kept_the_visible_image_comes_to_it(file, depth):
    config = RegistrationConfig(mode="rectify", reference="thermal", calibration=file, distance=depth)
    view = view_of(config)
    assert view.reference == THERMAL
    points = RIG.thermal_to_visible.apply(np.array([[0.0, 0.0, depth], [0.2 * depth, -0.1 * depth, depth]]))
    brought = view.visible(dots(RIG.visible, formula(points, RIG.visible)), (320, 256))
    in_thermal = formula(RIG.thermal_to_visible.inverse.apply(points), RIG.thermal)
    assert max(np.linalg.norm(centre_of(brought, place) - place) for place in in_thermal) < 0.3
    thermal = np.random.default_rng(0).random((256, 320), np.float32)
    assert view.thermal(thermal, (320, 256)).base is thermal or view.thermal(thermal, (320, 256)) is thermal


@pytest.mark.parametrize("depth", [3.0, 20.0])
def test_depth_of_the_visible_camera_registers_to_the_thermal_view_too(file, depth):
    config = RegistrationConfig(mode="depth", reference="thermal", calibration=file, distance=7.0)
    view = view_of(config, depth=Frame(np.full((400, 640), depth, np.float32), 1_000, "visible_camera", "32FC1"))
    points = RIG.thermal_to_visible.apply(np.array([[0.0, 0.0, depth], [0.2 * depth, -0.1 * depth, depth]]))
    points[:, :2] *= depth / points[:, 2:]  # into the plane that has the depth
    points[:, 2] = depth
    brought = view.visible(dots(RIG.visible, formula(points, RIG.visible)), (320, 256))
    in_thermal = formula(RIG.thermal_to_visible.inverse.apply(points), RIG.thermal)
    assert max(np.linalg.norm(centre_of(brought, place) - place) for place in in_thermal) < 0.4


def test_in_the_thermal_view_what_is_hidden_from_the_visible_camera_is_not_valid(file):
    metres = np.full((400, 640), 10.0, np.float32)
    metres[:, 300:340] = 2.0
    config = RegistrationConfig(mode="depth", reference="thermal", calibration=file)
    view = view_of(config, depth=Frame(metres, 1_000, "visible_camera", "32FC1"))
    hidden = view.validity((320, 256))[100:156, 20:300] == 0
    # The wall that is just left of the post for the thermal camera lies behind the post for the visible one.
    assert 8 < hidden.sum(axis=1).mean() < 26
    post = formula(RIG.thermal_to_visible.inverse.apply(np.array([[0.0, 0.0, 2.0]])), RIG.thermal)[0, 0] - 20
    assert np.flatnonzero(hidden.mean(axis=0) > 0.5).mean() < post


def test_what_is_brought_over_by_true_depth_is_what_is_felt_from_there(simulator, file):
    """The whole scene at once: by depth nearly all agrees, by a plane what is far from it does not, by none nothing."""
    truth, felt = simulator.registered(0, VISIBLE), simulator.registered(0, THERMAL).temperature
    depth = Frame(truth.depth, 1_000, "visible_camera", "32FC1")
    errors = {}
    for mode in ("none", "rectify", "depth"):
        config = RegistrationConfig(mode=mode, calibration=file, distance=30.0)
        view = view_of(config, depth=depth)
        validity = view.validity((640, 400))
        seen = np.full((400, 640), 255, np.uint8) if validity is None else validity
        seen = (cv2.erode(seen, np.ones((7, 7), np.uint8)) > 0) & (truth.depth < 100)
        found = view.thermal(felt, (640, 400), cv2.INTER_LINEAR)
        errors[mode] = float(np.abs(found - truth.temperature)[seen].mean())
    assert errors["depth"] < 0.75 * errors["rectify"] < 0.5 * errors["none"]


def test_what_is_brought_to_the_thermal_view_by_true_depth_is_what_is_seen_from_there(simulator, file):
    seen, truth = simulator.registered(0, VISIBLE), simulator.registered(0, THERMAL).colour
    depth = Frame(seen.depth, 1_000, "visible_camera", "32FC1")
    errors = {}
    for mode in ("rectify", "depth"):
        config = RegistrationConfig(mode=mode, reference="thermal", calibration=file, distance=30.0)
        view = view_of(config, depth=depth)
        validity = view.validity((320, 256))
        valid = np.full((256, 320), True) if validity is None else validity > 0
        found = cv2.absdiff(view.visible(seen.colour, (320, 256)), truth)
        errors[mode] = float(found[valid].mean())
    assert valid.mean() > 0.98  # all but what something hides from the visible camera
    assert errors["depth"] < 0.7 * errors["rectify"]


def test_in_the_thermal_view_a_thing_that_only_the_visible_camera_sees_hides_what_is_behind_it(file):
    """The visible camera's own depth image says so, even where the thermal camera does not see that thing."""
    metres = np.full((400, 640), 10.0, np.float32)
    metres[:, 440:] = 0.9  # its parallax puts it outside the thermal image, and it hides the wall at that one's edge
    config = RegistrationConfig(mode="depth", reference="thermal", calibration=file)
    hidden = view_of(config, depth=Frame(metres, 1_000, "visible_camera", "32FC1")).validity((320, 256)) == 0
    assert hidden[100:150, 292:].all()
    assert not hidden[100:150, 20:285].any()


def test_what_another_thing_hides_from_the_thermal_camera_is_not_valid(file):
    """A post before a wall: beside its edge lies wall that only the visible camera sees."""
    metres = np.full((400, 640), 10.0, np.float32)
    metres[:, 300:340] = 2.0
    depth = Frame((metres * 1000).astype(np.uint16), 1_000, "visible_camera", "16UC1")
    validity = view_of(RegistrationConfig(mode="depth", calibration=file), depth=depth).validity((640, 400))
    planar = view_of(RegistrationConfig(mode="rectify", calibration=file)).validity((640, 400))
    hidden = (validity == 0)[150:250, 200:450]
    assert planar[150:250, 200:450].all()
    parallax = RIG.visible.k[0] * 0.12 * (1 / 2 - 1 / 10)  # 18 px
    assert hidden.sum(axis=1).mean() == pytest.approx(parallax, abs=2)
    # The thermal camera stands to the left, so that it does not see what is just right of the post.
    assert RIG.thermal_to_visible.translation[0] < 0
    assert hidden[:, 141:155].all()


def test_depth_that_is_missing_in_places_is_taken_as_the_distance(file):
    nothing = np.zeros((400, 640), np.uint16)
    depth = Frame(nothing, 1_000, "visible_camera", "16UC1")
    by_depth = view_of(RegistrationConfig(mode="depth", calibration=file, distance=7.0), depth=depth)
    assert max(dot_errors(by_depth, 7.0)) < 0.3
    for missing in (np.nan, np.inf, -1.0):
        depth = Frame(np.full((400, 640), missing, np.float32), 1_000, "visible_camera", "32FC1")
        view = view_of(RegistrationConfig(mode="depth", calibration=file, distance=7.0), depth=depth)
        assert max(dot_errors(view, 7.0)) < 0.3


def test_crop_shows_the_largest_part_that_both_see(file):
    whole = view_of(RegistrationConfig(mode="rectify", calibration=file))
    cropped = view_of(RegistrationConfig(mode="rectify", calibration=file, border="crop"))
    left, top, width, height = cropped.window
    assert cropped.size == (width, height)
    assert whole.window is None
    assert cropped.validity((width, height)) is None
    validity = whole.validity((640, 400))
    assert (validity[top : top + height, left : left + width] == 255).all()
    assert width * height > 0.85 * np.count_nonzero(validity)
    image = np.random.default_rng(0).random((256, 320), np.float32)
    expected = whole.thermal(image, (640, 400))[top : top + height, left : left + width]
    np.testing.assert_allclose(cropped.thermal(image, (width, height)), expected, atol=1e-5)
    visible = np.random.default_rng(0).integers(0, 255, (400, 640, 3)).astype(np.uint8)
    np.testing.assert_array_equal(
        cropped.visible(visible, (width, height)), visible[top : top + height, left : left + width]
    )


def test_tables_are_made_once_and_anew_when_something_changes(file):
    registration = Registration(RegistrationConfig(mode="rectify", calibration=file))
    first = registration.view(thermal_frame(), visible_frame())
    table = first.warp((320, 200))
    assert registration.view(thermal_frame(), visible_frame()) is first
    assert first.warp((320, 200)) is table
    registration.reconfigure(RegistrationConfig(mode="rectify", calibration=file, distance=3.0))
    second = registration.view(thermal_frame(), visible_frame())
    assert second is not first
    assert max(dot_errors(second, 3.0)) < 0.3


def test_a_new_calibration_on_a_topic_is_followed():
    registration = Registration(RegistrationConfig(mode="rectify", distance=5.0))
    for stream, model in ((THERMAL, RIG.thermal), (VISIBLE, RIG.visible)):
        registration.update_model(stream, model)
    registration.update_transform("visible_camera", "thermal_camera", RIG.thermal_to_visible)
    first = registration.view(thermal_frame(), visible_frame())
    assert max(dot_errors(first, 5.0)) < 0.3
    registration.update_model(THERMAL, RIG.thermal)  # the same again, as drivers send it with each image
    assert registration.view(thermal_frame(), visible_frame()) is first
    zoomed = dataclasses.replace(RIG.thermal, k=(400.0, *RIG.thermal.k[1:4], 400.0, *RIG.thermal.k[5:]))
    registration.update_model(THERMAL, zoomed)
    assert registration.view(thermal_frame(), visible_frame()) is not first


def test_transforms_by_a_frame_that_both_are_mounted_on():
    registration = Registration(RegistrationConfig(mode="rectify", distance=5.0))
    for stream, model in ((THERMAL, RIG.thermal), (VISIBLE, RIG.visible)):
        registration.update_model(stream, model)
    mast = RigidTransform.from_quaternion((0.5, -0.5, 0.5, -0.5), (0.3, 0.1, 1.2))
    registration.update_transform("mast", "visible_camera", mast)
    registration.update_transform("mast", "thermal_camera", RIG.thermal_to_visible.then(mast))
    assert max(dot_errors(registration.view(thermal_frame(), visible_frame()), 5.0)) < 0.3


def test_rectified_images_go_by_the_projection_matrix():
    """The same rig with its lenses taken out: the points of a turned, undistorted visible camera."""
    turn, _ = cv2.Rodrigues(np.radians([2.0, -3.0, 1.0]))
    rectified = dataclasses.replace(RIG.visible, r=tuple(turn.ravel()), k=(0.0,) * 9)  # as some drivers send it
    registration = Registration(RegistrationConfig(mode="rectify", distance=5.0, visible_rectified=True))
    registration.update_model(THERMAL, RIG.thermal)
    registration.update_model(VISIBLE, rectified)
    registration.update_transform("visible_camera", "thermal_camera", RIG.thermal_to_visible)
    view = registration.view(thermal_frame(), visible_frame())
    in_rectified = np.array([[0.3, -0.2, 5.0], [-0.5, 0.4, 5.0]])  # axes of the rectified image
    in_thermal = formula(RIG.thermal_to_visible.inverse.apply(in_rectified @ turn), RIG.thermal)
    p = np.reshape(RIG.visible.p, (3, 4))
    places = (in_rectified @ p[:, :3].T)[:, :2] / 5.0
    brought = view.thermal(dots(RIG.thermal, in_thermal), (640, 400))
    assert max(np.linalg.norm(centre_of(brought, place) - place) for place in places) < 0.3


IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def test_the_identity_gives_identical_pixels():
    visible = visible_frame(size=(320, 256))
    view = view_of(RegistrationConfig(mode="homography", homography=IDENTITY), visible=visible)
    image = np.random.default_rng(0).random((256, 320), np.float32)
    assert view.thermal(image, (320, 256)) is image
    np.testing.assert_array_equal(view.thermal(image, (160, 128)), resample(image, 160, 128))


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        ({"mode": "homography"}, "neither registration.homography nor the file"),
        ({"mode": "homography", "homography": (1.0, 2.0, 0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 1.0)}, "singular"),
        ({"mode": "homography", "homography": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)}, "behind the camera"),
        ({"mode": "rectify", "calibration": "/nowhere.yaml"}, "/nowhere.yaml: cannot be read"),
        ({"mode": "rectify", "thermal_camera_info": "/nowhere.yaml"}, "/nowhere.yaml: cannot be read"),
        ({"mode": "affine"}, "choose one of none, homography, rectify, depth"),
        ({"mode": "rectify", "distance": 0.0}, "distance is 0.0"),
    ],
)
def test_settings_that_cannot_register_are_refused_before_any_image(settings, fact):
    with pytest.raises(ConfigError, match=fact):
        load_registration(RegistrationConfig(**settings))


def test_files_are_not_read_in_mode_none():
    assert load_registration(RegistrationConfig(calibration="/nowhere.yaml")) == PairCalibration()


def test_an_uncalibrated_camera_in_a_file_is_refused(tmp_path):
    save_calibration(
        tmp_path / "half.yaml", PairCalibration(dataclasses.replace(RIG.thermal, k=(0.0,) * 9, p=(0.0,) * 12))
    )
    with pytest.raises(ConfigError, match="thermal camera of registration is not calibrated"):
        load_registration(RegistrationConfig(mode="rectify", calibration=str(tmp_path / "half.yaml")))


def test_a_rectification_that_is_no_rotation_is_refused_before_any_image(tmp_path):
    mirrored = dataclasses.replace(RIG.visible, r=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    save_calibration(tmp_path / "pair.yaml", PairCalibration(RIG.thermal, mirrored, RIG.thermal_to_visible))
    config = RegistrationConfig(mode="rectify", calibration=str(tmp_path / "pair.yaml"), visible_rectified=True)
    with pytest.raises(ConfigError, match=r"rectification matrix R of the visible camera: rotation .* is none"):
        load_registration(config)


def test_transforms_in_millimetres_are_refused_with_the_baseline():
    config = RegistrationConfig(mode="rectify")
    registration = Registration(config)
    for stream, model in (("thermal", RIG.thermal), ("visible", RIG.visible)):
        registration.update_model(stream, model)
    pose = dataclasses.replace(RIG.thermal_to_visible, translation=(-120.0, 20.0, 10.0))
    registration.update_transform("visible_camera", "thermal_camera", pose)
    with pytest.raises(RegistrationError, match=r"/tf_static.* puts the cameras 122.1 m apart; expected 5 m at most"):
        registration.view(thermal_frame(), visible_frame())


def test_what_does_not_belong_to_the_images_is_refused_with_the_fact(file):
    config = RegistrationConfig(mode="rectify", calibration=file)
    for thermal, visible, fact in (
        (thermal_frame(size=(160, 128)), None, "thermal camera is for 320x256 pixels, but its image has 160x128"),
        (None, visible_frame(size=(640, 480)), "visible camera is for 640x400 pixels, but its image has 640x480"),
        (thermal_frame(frame_id="other"), None, "is that of 'thermal_camera', but its image is of 'other'"),
    ):
        with pytest.raises(RegistrationError, match=fact):
            view_of(config, thermal, visible)


def test_what_is_missing_is_said():
    config = RegistrationConfig(mode="rectify")
    with pytest.raises(RegistrationError, match="no calibration of the thermal camera; name a file"):
        view_of(config)
    registration = Registration(config)
    registration.update_model(THERMAL, RIG.thermal)
    registration.update_model(VISIBLE, RIG.visible)
    with pytest.raises(RegistrationError, match="no transform from 'thermal_camera' to 'visible_camera'"):
        registration.view(thermal_frame(), visible_frame())
    registration.update_model(VISIBLE, dataclasses.replace(RIG.visible, k=(0.0,) * 9))
    with pytest.raises(RegistrationError, match="calibration of the visible camera is not calibrated"):
        registration.view(thermal_frame(), visible_frame())
    registration.update_model(VISIBLE, dataclasses.replace(RIG.visible, distortion_model="thin_lens"))
    with pytest.raises(RegistrationError, match="distortion model 'thin_lens'"):
        registration.view(thermal_frame(), visible_frame())


def test_cameras_that_do_not_look_the_same_way_are_refused():
    registration = Registration(RegistrationConfig(mode="rectify"))
    for stream, model in ((THERMAL, RIG.thermal), (VISIBLE, RIG.visible)):
        registration.update_model(stream, model)
    backwards = RigidTransform((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    registration.update_transform("visible_camera", "thermal_camera", backwards)
    with pytest.raises(RegistrationError, match=r"see 0.0% of the visible image in common"):
        registration.view(thermal_frame(), visible_frame())
    away = (1.0, 0.0, 5000.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    with pytest.raises(RegistrationError, match=r"see 0.0% of the visible image"):
        view_of(RegistrationConfig(mode="homography", homography=away))


def test_a_crop_too_small_for_a_network_is_refused():
    corner = (1.0, 0.0, 630.0, 0.0, 1.0, 150.0, 0.0, 0.0, 1.0)
    with pytest.raises(RegistrationError, match="expected 16x16 at least"):
        view_of(RegistrationConfig(mode="homography", homography=corner, border="crop"))


@pytest.mark.parametrize(
    ("depth", "fact"),
    [
        (None, "no depth image came"),
        (Frame(np.ones((400, 640), np.float32), 90_000_000, "visible_camera", "32FC1"), "is 0.090 s from the visible"),
        (Frame(np.ones((480, 640), np.float32), 1_000, "visible_camera", "32FC1"), "depth image is 640x480 in frame"),
        (Frame(np.ones((400, 640), np.float32), 1_000, "depth_camera", "32FC1"), "in frame 'depth_camera'"),
        (
            Frame(np.ones((400, 640), np.uint8), 1_000, "visible_camera", "mono8"),
            "depth image is mono8; expected 16UC1",
        ),
    ],
)
def test_depth_that_is_not_of_this_image_is_refused_with_the_fact(file, depth, fact):
    registration = Registration(RegistrationConfig(mode="depth", calibration=file))
    with pytest.raises(RegistrationError, match=fact):
        registration.view(thermal_frame(), visible_frame(), depth)
    right = Frame(np.full((400, 640), 5, np.float32), 1_000, "visible_camera", "32FC1")
    assert max(dot_errors(registration.view(thermal_frame(), visible_frame(), right), 5.0)) < 0.3


def test_each_pair_is_registered_by_the_depth_image_that_it_is_given(file):
    registration = Registration(RegistrationConfig(mode="depth", calibration=file))
    for metres in (5.0, 50.0, 5.0):
        depth = Frame(np.full((400, 640), metres, np.float32), 1_000, "visible_camera", "32FC1")
        view = registration.view(thermal_frame(), visible_frame(), depth)
        assert max(dot_errors(view, metres)) < 0.3
        assert registration.view(thermal_frame(), visible_frame(2_000), depth) is view  # nothing is computed twice


def test_calibrations_follow_what_is_cut_off_the_thermal_image(file):
    """A camera sends 2 rows above the picture and 1 column beside it; its calibration is of all that it sends."""
    depth, cut = 5.0, Margins(top=2, left=1)
    picture = thermal_frame(size=(319, 254))
    config = RegistrationConfig(mode="rectify", calibration=file, distance=depth)
    points = points_at(10.0)
    in_thermal = formula(RIG.thermal_to_visible.inverse.apply(points), RIG.thermal)
    plane, _ = cv2.findHomography(in_thermal, formula(points, RIG.visible))
    by_plane = RegistrationConfig(mode="homography", homography=tuple(plane.ravel()))
    for settings, at in ((config, depth), (by_plane, 10.0)):
        registration = Registration(settings)
        registration.cut((320, 256), cut)
        view = registration.view(picture, visible_frame())
        seen = formula(RIG.thermal_to_visible.inverse.apply(points_at(at)), RIG.thermal)
        brought = view.thermal(dots(RIG.thermal, seen)[2:, 1:], (640, 400))
        places = formula(points_at(at), RIG.visible)
        assert max(np.linalg.norm(centre_of(brought, place, reach=22) - place) for place in places) < 0.8


def test_a_calibration_that_counts_for_nothing_is_said(file):
    unused = Registration(RegistrationConfig(calibration=file, homography=(1, 0, 0, 0, 1, 0, 0, 0, 1))).unused
    assert "registration.calibration, registration.homography not used" in unused
    assert Registration(RegistrationConfig(mode="rectify", calibration=file)).unused == ""
    assert Registration(RegistrationConfig()).unused == ""


def test_parallax_is_said_where_lenses_and_pose_are_known(file):
    said = Registration(RegistrationConfig(mode="rectify", calibration=file, distance=10.0)).parallax
    focal, baseline = RIG.visible.k[0], np.linalg.norm(RIG.thermal_to_visible.translation)
    assert f"{focal * baseline * (1 / 2 - 1 / 10):.1f} px at 2 m" in said
    assert "0.0 px at 10 m" in said
    assert f"{focal * baseline * (1 / 10 - 1 / 50):.1f} px at 50 m of the visible image" in said
    assert Registration(RegistrationConfig(mode="rectify")).parallax == ""
    assert Registration(RegistrationConfig()).parallax == ""
