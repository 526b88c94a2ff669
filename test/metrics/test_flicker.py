from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.errors import ImageError
from hkdnet_ros.metrics.flicker import FLICKER_KEYS, FlickerMeter, still_pixels


def measure(*frames: np.ndarray | tuple[np.ndarray, ...]) -> dict[str, list[float]]:
    """Return each measure's values over the frames, each an image or (image, sources ...)."""
    meter = FlickerMeter()
    rows = [meter.add(*(frame if isinstance(frame, tuple) else (frame,))) for frame in frames]
    return {key: [row[key] for row in rows if key in row] for key in FLICKER_KEYS if key != "still"}


def flat(value: float) -> np.ndarray:
    return np.full((4, 5), value, np.float32)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 2, 12, 16), np.uint8)


def test_weighing_and_choosing_the_sources_is_explained_whole() -> None:
    sources = noise(5)
    weights = np.random.default_rng(1).random((12, 16))
    weighed = measure(*[(weights * t + (1 - weights) * v, t, v) for t, v in sources])
    chosen = measure(*[(np.maximum(t, v), t, v) for t, v in sources])
    assert min(weighed["change"]) > 10
    assert weighed["unexplained"] == pytest.approx([0] * 4, abs=1e-5)
    assert chosen["unexplained"] == [0] * 4


def test_change_beyond_the_sources_is_counted_in_gray_levels() -> None:
    # sources step by +2 and +6, the fused image by +9 (3 too far); then by 0 and -4, fused by +1 (1 against them)
    values = measure((flat(10), flat(10), flat(10)), (flat(19), flat(12), flat(16)), (flat(20), flat(12), flat(12)))
    assert values["change"] == [9, 1]
    assert values["unexplained"] == [3, 1]


def test_a_weight_that_jumps_is_flicker_of_the_fused_image_alone() -> None:
    values = measure(*[(flat(50 if index % 2 else 90), flat(50), flat(90)) for index in range(4)])
    assert values == {"flicker": [40, 40], "unexplained": [40] * 3, "brightness": [40] * 3, "change": [40] * 3}
    assert measure(flat(50), flat(50), flat(50))["flicker"] == [0]


def test_steady_motion_and_fades_do_not_flicker() -> None:
    ramp = np.tile(np.arange(0, 60, 3.0), (8, 1))
    moving = [np.roll(ramp, shift, axis=1)[:, 6:] for shift in range(5)]
    assert measure(*moving)["flicker"] == [0] * 3
    assert min(measure(*moving)["change"]) > 0
    assert measure(*[frame + 5 * index for index, frame in enumerate(moving)])["flicker"] == [0] * 3


def test_the_part_that_turns_back_is_counted() -> None:
    values = measure(*(flat(x) for x in (10, 14, 11, 20)))  # +4 -3 +9: 3 and 3 turn back
    assert values == {"flicker": [3, 3], "unexplained": [], "brightness": [4, 3, 9], "change": [4, 3, 9]}


def test_noise_flickers_but_keeps_its_brightness() -> None:
    values = measure(*np.random.default_rng(0).normal(100, 2, (5, 200, 200)))
    assert min(values["flicker"]) > 0.5
    assert max(values["brightness"]) < 0.1


def test_noise_is_still_and_what_moves_is_not() -> None:
    random = np.random.default_rng(0)
    before, after = (100 + random.normal(0, 3, (80, 120)) for _ in range(2))
    before[30:50, 20:30] += 60  # moves on by 5 pixels
    after[30:50, 25:35] += 60
    dark = np.full((80, 120), 50, np.uint8)
    still = still_pixels([dark, before], [dark, after])
    assert not still[30:50, 20:25].any()
    assert not still[30:50, 30:35].any()
    assert still[:, 60:].all()
    np.testing.assert_array_equal(still, still_pixels([before, dark], [after, dark]))


def test_flicker_of_still_pixels_is_measured_apart() -> None:
    still = np.zeros((4, 5), np.bool_)
    still[:, :2] = True
    frames = [flat(100) for _ in range(4)]
    frames[1][:, :2] += 6  # changes by +6 -6 0 where it is still
    frames[2][:, 2:] += 30  # and by 0 +30 -30 elsewhere
    meter = FlickerMeter()
    rows = [meter.add(frame, still=None if index == 0 else still) for index, frame in enumerate(frames)]
    assert [row.get("still") for row in rows] == [None, None, 6, 0]
    assert "still" not in meter.add(frames[3], still=~still)  # no pixel was still for two changes


def test_8_bit_images_do_not_wrap_around() -> None:
    assert measure(flat(200).astype(np.uint8), flat(10).astype(np.uint8))["change"] == [190]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ((flat(0), flat(0)[:3]), "gray images .* of one size"),
        ((np.zeros((4, 5, 3)),), "expected gray images"),
        ((flat(np.nan), flat(0)), "NaN"),
        ((flat(0).T, flat(0).T), r"size changes from \(4, 5\) to \(5, 4\)"),
    ],
)
def test_unfit_frames_are_refused_and_passed_over(frame: tuple[np.ndarray, ...], message: str) -> None:
    meter = FlickerMeter()
    meter.add(flat(1), flat(1))
    with pytest.raises(ImageError, match=message):
        meter.add(*frame)
    assert meter.add(flat(3), flat(2)) == {"brightness": 2, "change": 2, "unexplained": 1}
