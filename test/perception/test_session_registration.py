"""Registration within the core: what is missing is a counted drop, and what comes has the reference's calibration."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from core_rig import NOW_NS, S
from lenses import formula

from hkdnet_ros.errors import ImageError
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.incoming import Incoming
from hkdnet_ros.perception.sink import Wants

THERMAL = CameraModel(32, 24, "thermal", (30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0), (0.0,) * 5)
VISIBLE = CameraModel(
    128, 96, "visible", (60.0, 0.0, 64.5, 0.0, 60.0, 47.5, 0.0, 0.0, 1.0), (-0.1, 0.02, 0.0, 0.0, 0.0)
)
BESIDE = RigidTransform(translation=(0.1, 0.0, 0.0))


def thermal_image(stamp_ns, kelvin=300.0):
    return Frame(np.full((24, 32), round(kelvin * 100), np.uint16), stamp_ns, "thermal", "mono16")


def visible_image(stamp_ns):
    return Frame(np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8), stamp_ns, "visible", "bgr8")


def feed(core, stamp_ns):
    core.pair(stamp_ns, thermal_image(stamp_ns), visible_image(stamp_ns))
    core.it.flush()


def calibrate(core):
    core.it.receive_calibration("thermal", THERMAL, 0)
    core.it.receive_calibration("visible", VISIBLE, 0)


def receive_depth(core, frame=None, *, error=None):
    def decode():
        if error:
            raise error
        return frame

    core.it.receive_depth(Incoming("depth", NOW_NS, NOW_NS, "visible", decode=decode))


def test_pairs_are_dropped_and_counted_until_all_is_known(make_core):
    core = make_core(**{"registration.mode": "rectify"})
    feed(core, NOW_NS)
    calibrate(core)
    feed(core, NOW_NS + S)
    assert core.drops == {"not registered": 2}
    lines = [line for line in core.logger.lines if "not registered" in line]
    assert "no calibration of the thermal camera" in lines[0]
    assert "no transform from 'thermal' to 'visible'" in core.it.health().not_registered
    core.it.receive_transform("visible", "thermal", BESIDE)
    feed(core, NOW_NS + 2 * S)
    assert len(core.fused) == 1
    assert core.fused[0].image.shape == (96, 128, 3)
    assert core.it.health().not_registered == ""
    assert core.drops == {"not registered": 2}


@pytest.mark.parametrize(("added", "is_said"), [(0.0, True), (0.078, False)])
def test_a_calibration_whose_offset_is_not_added_is_said(make_core, tmp_path, added, is_said):
    path = tmp_path / "pair.yaml"
    path.write_text("format: hkdnet_ros calibration 1\nthermal_offset: 0.08\n")
    core = make_core(**{"registration.mode": "rectify", "registration.calibration": str(path),
                        "sync.thermal_offset": added})  # fmt: skip
    assert any("set sync.thermal_offset to 0.080" in line for line in core.logger.lines) == is_said


def test_a_calibration_of_another_size_comes_to_a_counted_drop_and_the_right_one_ends_it(make_core):
    core = make_core(**{"registration.mode": "rectify"})
    core.it.receive_transform("visible", "thermal", BESIDE)
    calibrate(core)
    core.it.receive_calibration("thermal", dataclasses.replace(THERMAL, width=640, height=480), 0)
    feed(core, NOW_NS)
    assert core.drops == {"not registered": 1}
    calibrate(core)
    feed(core, NOW_NS + S)
    assert len(core.fused) == 1


def test_malformed_depth_is_counted_and_the_next_is_used(make_core, tmp_path):
    core = make_core(**{"registration.mode": "depth"})
    calibrate(core)
    core.it.receive_transform("visible", "thermal", BESIDE)
    receive_depth(core, error=ImageError("the data are truncated; expected more"))
    feed(core, NOW_NS)
    assert core.drops == {"bad depth image": 1, "not registered": 1}
    receive_depth(core, Frame(np.full((96, 128), 2.0, np.float32), NOW_NS, "visible", "32FC1"))
    feed(core, NOW_NS + S // 50)
    assert len(core.fused) == 1


@pytest.mark.parametrize(("reference", "border"), [("visible", "reference"), ("visible", "crop"), ("thermal", "keep")])
def test_the_output_has_the_calibration_of_its_view(make_core, reference, border):
    """A point is projected by the output's calibration to where its camera sees it."""
    core = make_core(
        **{"registration.mode": "rectify", "registration.reference": reference, "registration.border": border}
    )
    calibrate(core)
    core.it.receive_transform("visible", "thermal", BESIDE)
    feed(core, NOW_NS)
    output = core.sink.outputs[0]
    model, camera = output.camera_model, {"visible": VISIBLE, "thermal": THERMAL}[reference]
    height, width = output.fused.image.shape[:2]
    assert (model.width, model.height, model.frame_id) == (width, height, reference)
    assert output.fused.frame_id == reference
    left, top, columns, rows = output.fused.window or (0, 0, camera.width, camera.height)
    assert (border == "crop") == (output.fused.window is not None)
    point = np.array([[0.2, -0.1, 3.0]])
    expected = (formula(point, camera) + 0.5 - (left, top)) * (width / columns, height / rows) - 0.5
    np.testing.assert_allclose(formula(point, model), expected, atol=1e-6)


def test_temperature_and_validity_come_while_they_are_wanted(make_core):
    core = make_core(**{"registration.mode": "rectify", "temperature.source": "lepton"})
    calibrate(core)
    core.it.receive_transform("visible", "thermal", BESIDE)
    feed(core, NOW_NS)
    core.sink.now_wants = Wants(validity=True, temperature=True)
    feed(core, NOW_NS + S)
    without, with_both = core.fused
    assert without.temperature is without.validity is None
    np.testing.assert_array_equal(np.isnan(with_both.temperature), with_both.validity == 0)
    assert np.nanmedian(with_both.temperature) == pytest.approx(300.0, abs=0.01)


def test_a_held_thermal_image_measures_nothing_now(make_core):
    core = make_core(**{"registration.mode": "rectify", "temperature.source": "lepton", "shutter.action": "hold"})
    calibrate(core)
    core.it.receive_transform("visible", "thermal", BESIDE)
    core.sink.now_wants = Wants(temperature=True)
    feed(core, NOW_NS)
    core.it.receive_shutter(True)
    core.now_ns += S // 10
    feed(core, NOW_NS + S // 10)
    assert [fused.mode for fused in core.fused] == ["fused", "held"]
    assert np.isfinite(core.fused[0].temperature).any()
    assert np.isnan(core.fused[1].temperature).all()
