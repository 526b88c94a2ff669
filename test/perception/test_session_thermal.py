"""The core with what thermal cameras really send: telemetry, NaN, renderings, bad pixels, very small images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from core_rig import NOW_NS, S, bgr, calibration, noisy

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.palette import curve

MS = S // 1000


def street(stamp_ns, height=120, width=160):
    """Counts of a street with a person in it, and noise."""
    noise = np.random.default_rng(stamp_ns % 1000003).normal(0, 3, (height, width))
    image = 7500 + 500 * np.linspace(0, 1, height)[:, None] + noise
    image[height // 3 : 2 * height // 3, width // 2 : width // 2 + width // 16] += 600
    return image.astype(np.uint16)


def lepton(stamp_ns, image=None, at_top=False):
    """160x122, as a Lepton 3 sends it with telemetry: two rows of counters that run on."""
    telemetry = np.zeros((2, 160), np.uint16)
    telemetry[0, :4] = 14, stamp_ns // MS & 0xFFFF, stamp_ns // MS >> 16 & 0xFFFF, stamp_ns // (100 * MS) & 0xFFFF
    parts = [street(stamp_ns) if image is None else image, telemetry]
    return Frame(np.concatenate(parts[::-1] if at_top else parts), stamp_ns, "thermal", "mono16")


@pytest.mark.parametrize("at_top", [False, True])
def test_telemetry_is_neither_fused_nor_lifts_the_picture_to_a_veil(make_core, at_top):
    core, plain = make_core(), make_core()
    core.pair(NOW_NS, thermal=lepton(NOW_NS, at_top=at_top), visible=bgr(NOW_NS, 240, 320))
    plain.pair(NOW_NS, thermal=Frame(street(NOW_NS), NOW_NS, "thermal", "mono16"), visible=bgr(NOW_NS, 240, 320))
    np.testing.assert_array_equal(core.fused[0].thermal, plain.fused[0].thermal)
    np.testing.assert_array_equal(core.fused[0].image, plain.fused[0].image)
    assert sum("no picture" in line for line in core.logger.lines) == 1


def test_a_frozen_image_is_found_though_its_counter_runs_on(make_core):
    core = make_core(**{"mode.return_time": 0.3})
    core.stream(5, make_thermal=lepton)
    still = street(core.now_ns)
    core.stream(2, make_thermal=lambda stamp_ns: lepton(stamp_ns, still))
    core.stream(2, make_thermal=lepton)
    assert core.modes == ["fused", "held", "fused"]


@pytest.mark.parametrize("at_top", [False, True])
@pytest.mark.parametrize("height", [120, 122])
def test_the_calibration_follows_the_crop_whether_it_is_of_the_whole_image_or_of_the_picture(make_core, at_top, height):
    core = make_core(**{"mode.without_visible": "thermal"})
    core.stream(3, visible=False, make_thermal=lambda stamp_ns: lepton(stamp_ns, at_top=at_top))
    core.it.receive_calibration("thermal", calibration(160, height), NOW_NS)
    core.stream(1, visible=False, make_thermal=lambda stamp_ns: lepton(stamp_ns, at_top=at_top))
    model = core.sink.outputs[-1].camera_model
    assert (model.width, model.height) == (320, 240)
    top = 2 if at_top and height == 122 else 0
    assert model.k[5] == pytest.approx(2 * (9.5 - top) + 0.5)
    assert model.k[2] == pytest.approx(2 * 14.5 + 0.5)


def nothing(stamp_ns):
    return Frame(np.full((20, 30), np.nan, np.float32), stamp_ns, "thermal", "32FC1")


def tiny(stamp_ns):
    return Frame(np.ascontiguousarray(noisy(stamp_ns).image[:8, :8]), stamp_ns, "thermal", "mono8")


@pytest.mark.parametrize("make_thermal", [nothing, tiny])
def test_what_cannot_be_conditioned_is_no_live_camera_and_the_mode_falls_to_visible_and_back(make_core, make_thermal):
    core = make_core()
    core.stream(2)
    core.stream(3, make_thermal=make_thermal)
    core.stream(3)
    assert core.modes == ["fused", "visible", "fused"]
    assert core.drops["bad thermal image"] == 30


def test_a_camera_that_never_sent_what_can_be_conditioned_leaves_the_visible_one_alone(make_core):
    core = make_core()
    core.stream(3, make_thermal=nothing)
    assert core.modes == ["visible"]


def test_images_smaller_than_16x16_are_fused_where_grid_enlarges_them(make_core):
    core = make_core(grid=[32, 24])
    core.stream(2, make_thermal=tiny)
    assert core.modes == ["fused"]
    assert core.fused[-1].image.shape == (48, 64, 3)
    assert core.fused[-1].thermal.shape == (8, 8)
    assert not core.drops


def test_the_heat_of_a_stream_in_jet_is_fused_and_black_hot_is_turned_round(make_core):
    levels = (street(NOW_NS) - 7000) // 8
    image = curve("jet")[levels.astype(np.uint8)]
    for polarity, sign in (("white_hot", 1), ("black_hot", -1)):
        core = make_core(**{"thermal.polarity": polarity})
        core.pair(NOW_NS, thermal=Frame(image, NOW_NS, "thermal", "bgr8"))
        shown = core.fused[0].thermal
        assert np.corrcoef(shown.ravel(), levels.ravel())[0, 1] * sign > 0.99
        assert 0 <= shown.min() <= shown.max() <= 1


def test_black_hot_turns_counts_and_gray_levels_round(make_core):
    for image, encoding in ((street(NOW_NS), "mono16"), (((street(NOW_NS) - 7000) // 8).astype(np.uint8), "mono8")):
        shown = []
        for polarity in ("white_hot", "black_hot"):
            core = make_core(**{"thermal.polarity": polarity})
            core.pair(NOW_NS, thermal=Frame(image, NOW_NS, "thermal", encoding))
            shown.append(core.fused[0].thermal)
        np.testing.assert_allclose(shown[1], 1 - shown[0], atol=1e-6)


BAD = [(30, 40), (90, 100)]


def sensor(stamp_ns, is_closed=False):
    """A camera at rest with two pixels that are off by 500 counts."""
    image = street(stamp_ns) if not is_closed else (7600 + street(stamp_ns) % 7).astype(np.uint16)
    for pixel in BAD:
        image[pixel] += 500
    return Frame(image, stamp_ns, "thermal", "mono16")


def test_a_camera_at_rest_shows_its_bad_pixels_when_it_says_that_its_shutter_is_closed(make_core):
    core = make_core(**{"thermal.mend_pixels": 8.0})
    core.stream(2, make_thermal=sensor)
    before = core.fused[-1].thermal
    core.it.receive_shutter(True)
    core.stream(1, make_thermal=lambda stamp_ns: sensor(stamp_ns, is_closed=True))
    core.it.receive_shutter(False)
    core.stream(2, make_thermal=sensor)
    after = core.fused[-1].thermal
    for y, x in BAD:
        around = np.delete(after[y - 1 : y + 2, x - 1 : x + 2].ravel(), 4)
        assert before[y, x] > around.max() + 0.2
        assert abs(after[y, x] - np.median(around)) < 0.05


def test_a_file_of_bad_pixels_of_another_size_is_one_line_and_the_visible_image_goes_on(make_core, tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((24, 32), np.uint8))
    core = make_core(**{"thermal.bad_pixels": str(tmp_path / "mask.png")})
    core.stream(3)
    assert core.modes == ["visible"]
    assert sum("bad_pixels is a file of 32x24 pixels, but the thermal image has 30x20" in x for x in core.logger.lines)


def test_a_file_of_bad_pixels_that_is_not_there_is_refused_before_anything_starts(make_core, tmp_path):
    with pytest.raises(ConfigError, match=r"bad_pixels: .*gone\.png: cannot be read"):
        make_core(**{"thermal.bad_pixels": str(tmp_path / "gone.png")})


def floats(stamp_ns):
    return Frame(np.ones((20, 30), np.float32), stamp_ns, "visible", "32FC1")


def small(stamp_ns):
    return bgr(stamp_ns, 8, 8)


@pytest.mark.parametrize("make_visible", [floats, small])
def test_visible_images_that_cannot_be_fused_are_no_live_camera_either(make_core, make_visible):
    core = make_core(**{"mode.without_visible": "thermal"})
    core.stream(2)
    core.stream(3, make_visible=make_visible)
    core.stream(3)
    assert core.modes == ["fused", "thermal", "fused"]
