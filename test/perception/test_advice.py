"""What is said where the streams do not pair: late, out of phase, by another clock, or not there at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.perception.pairing import PairingConfig
from hkdnet_ros.perception.timing import StampWatch

S, MS = 10**9, 10**6
BEGIN_NS = 1000 * S


class Camera:
    """Sends at ``rate``; a stamp differs from the time of exposure by ``clock`` s, and arrives ``delay`` s after it."""

    def __init__(
        self,
        rate: float = 30.0,
        *,
        clock: Callable[[float], float] | float = 0.0,
        delay: Callable[[int], float] | float = 0.02,
        phase: float = 0.0,
        until: float = 1e9,
        nbytes: int = 0,
    ) -> None:
        self.clock, self.delay, self.nbytes = clock, delay, nbytes
        self.taken = [phase + n / rate for n in range(int(200 * rate)) if phase + n / rate < until]

    def images(self, seconds: float) -> list[tuple[float, float]]:
        """Stamps and times of arrival in s, of what arrives in ``seconds``."""
        images, before = [], 0.0
        for index, taken in enumerate(self.taken):
            offset = self.clock(taken) if callable(self.clock) else self.clock
            delay = self.delay(index) if callable(self.delay) else self.delay
            before = max(before, taken + delay)  # in order
            if before < seconds:
                images.append((taken + offset, before))
        return images


def watched(
    thermal: Camera, visible: Camera, config: PairingConfig | None = None, seconds: float = 11, limit: float = 1.0
) -> tuple[list[str], list[str]]:
    """Let both send; return what was said where nothing paired, and what else."""
    watch = StampWatch(config or PairingConfig(), BEGIN_NS)
    arrivals = [
        (arrived, stream, stamp, camera.nbytes)
        for stream, camera in ((THERMAL, thermal), (VISIBLE, visible))
        for stamp, arrived in camera.images(seconds)
    ]
    ticks = [(index / 10, "", 0.0, 0) for index in range(round(seconds * 10))]
    warnings, remarks = [], []
    for at, stream, stamp, nbytes in sorted(arrivals + ticks):
        now_ns = BEGIN_NS + round(at * S)
        if stream:
            watch.received(stream)
            watch.arrived(stream, BEGIN_NS + round(stamp * S), now_ns, nbytes)
            continue
        remarks += watch.remarks(now_ns)
        if text := watch.warning(now_ns, limit):
            warnings.append(text)
            assert watch.trouble() == text
            assert "\n" not in text
    return warnings, remarks


def advice(*args: object, **kwargs: object) -> str:
    warnings, _ = watched(*args, **kwargs)  # type: ignore[arg-type]
    assert len(warnings) == 1
    return warnings[0]


def remarks(*args: object, **kwargs: object) -> list[str]:
    return watched(*args, **kwargs)[1]  # type: ignore[arg-type]


def jittery(most: float) -> Callable[[int], float]:
    """A way that is congested: delays anywhere from a third of ``most`` s up."""
    delays = np.random.default_rng(0).uniform(0.3, 1, 10_000) * most
    return lambda index: float(delays[index % len(delays)])


# Late


@pytest.mark.parametrize("late", [THERMAL, VISIBLE])
def test_right_stamps_that_come_late_are_never_advised_an_offset(late: str) -> None:
    cameras = {THERMAL: Camera(60), VISIBLE: Camera(30)}
    cameras[late] = Camera(60 if late == THERMAL else 30, delay=0.62)
    text = advice(cameras[THERMAL], cameras[VISIBLE], PairingConfig(queue_size=10))
    assert f"(thermal minus visible): {late} images come late; raise sync.queue_size to" in text
    assert "offset" not in text
    short = advice(cameras[THERMAL], cameras[VISIBLE], PairingConfig(queue_time=0.5))
    assert f"{late} images come late; raise sync.queue_time to 0.66" in short
    lost = advice(cameras[THERMAL], cameras[VISIBLE], limit=0.3)
    assert "raise mode.limit to 0.66" in lost


def test_a_queue_that_is_too_short_by_memory_is_told_by_its_name() -> None:
    text = advice(Camera(30, delay=0.9), Camera(30, nbytes=25_000_000))
    assert ": thermal images come late; raise sync.queue_memory to " in text
    assert int(text.rsplit(" ", 1)[1]) > 25 * 0.9 * 30


def test_a_way_whose_delay_varies_by_seconds_is_late_and_no_clock() -> None:
    text = advice(Camera(9, delay=jittery(4.0)), Camera(30), limit=1.0)
    assert ": thermal images come late; raise sync.queue_time and mode.limit to" in text
    assert "docs/large_images.md" in text


# Clocks


@pytest.mark.parametrize("wrong", [THERMAL, VISIBLE])
@pytest.mark.parametrize("clock", [-5.0, -2.0, 3.0, 0.5, 1800.0])
def test_a_clock_that_is_off_is_mended_by_the_offset_of_its_own_camera(wrong: str, clock: float) -> None:
    cameras = {THERMAL: Camera(9), VISIBLE: Camera(30)}
    cameras[wrong] = Camera(9 if wrong == THERMAL else 30, clock=clock)
    config = PairingConfig(queue_time=0.2)
    text = advice(cameras[THERMAL], cameras[VISIBLE], config)
    assert f"clock {'is ahead' if clock > 0 else 'that is behind'}" in text
    assert ("if its images really come that late" in text) == (clock < 0)  # which nothing can tell from it
    offset = float(text.split(f"set sync.{wrong}_offset to ")[1].split(";")[0])
    assert offset == pytest.approx(-clock, abs=0.002)
    mended = PairingConfig(queue_time=0.2, **{f"{wrong}_offset": offset})  # type: ignore[arg-type]
    assert "clock" not in advice(cameras[THERMAL], cameras[VISIBLE], mended)
    assert remarks(cameras[THERMAL], cameras[VISIBLE], mended) == []


def test_an_offset_that_is_set_already_is_counted_in() -> None:
    text = advice(Camera(9, clock=-5.0), Camera(30), PairingConfig(thermal_offset=2.0))
    assert float(text.split("set sync.thermal_offset to ")[1].split(";")[0]) == pytest.approx(5.0, abs=0.002)


def test_a_clock_that_is_set_in_between_is_told_from_what_came_since() -> None:
    cameras = Camera(9, clock=lambda taken: 4.0 if taken > 12 else 0.0), Camera(30)
    watch = StampWatch(PairingConfig(), BEGIN_NS)
    said = []
    for stamp, arrived, stream in sorted(
        [(s, a, THERMAL) for s, a in cameras[0].images(24)] + [(s, a, VISIBLE) for s, a in cameras[1].images(24)],
        key=lambda image: image[1],
    ):
        now_ns = BEGIN_NS + round(arrived * S)
        watch.received(stream)
        watch.arrived(stream, BEGIN_NS + round(stamp * S), now_ns)
        if arrived < 12:
            watch.paired(0, now_ns)
        said.append(watch.warning(now_ns, 1.0))
    (text,) = filter(None, said)
    assert "the thermal camera's clock is ahead; set sync.thermal_offset to -4.0" in text


@pytest.mark.parametrize("wrong", [THERMAL, VISIBLE])
def test_a_clock_that_counts_from_its_boot_is_not_mended_by_an_offset(wrong: str) -> None:
    boot = Camera(9, clock=-1.7e6)
    cameras = (boot, Camera(30)) if wrong == THERMAL else (Camera(30), boot)
    text = advice(*cameras)
    assert text.endswith(f"set sync.{wrong}_stamps to arrival")


def test_where_neither_agrees_with_this_machine_the_stamps_are_compared_alone() -> None:
    """A bag of last year, played without its clock."""
    year = 3.15e7
    assert remarks(Camera(9, clock=-year), Camera(30, clock=-year)) == []
    text = advice(Camera(9, clock=-year - 5), Camera(30, clock=-year))
    assert "set sync.thermal_offset to 5.0" in text


def test_clocks_that_drift_are_to_be_synchronised_before_and_after_pairs_end() -> None:
    drifting = Camera(9, clock=lambda taken: -3.0 - 5e-4 * taken)
    (first, *_, last), _ = watched(drifting, Camera(30), seconds=62)
    assert "set sync.thermal_offset to 3.0" in first
    assert "-500 us/s" in last
    assert last.endswith("synchronise the cameras' clocks (PTP, NTP)")
    (remark,) = remarks(Camera(9, clock=lambda taken: -3e-4 * taken), Camera(30), seconds=80)
    assert remark.startswith("the thermal clock runs -300 us/s against the visible one")


@pytest.mark.parametrize("at", [20, 40, 60])
def test_a_clock_that_was_set_or_a_way_that_became_slower_is_no_drift(at: float) -> None:
    assert remarks(Camera(9, clock=lambda taken: -0.2 if taken > at else 0.0), Camera(30), seconds=90) == []
    noisy = jittery(0.1)
    assert remarks(Camera(9, delay=noisy), Camera(30, delay=lambda index: noisy(index + 5000)), seconds=90) == []


# Phase


@pytest.mark.parametrize("phase", [0.03, -0.03])
def test_cameras_of_one_rate_that_are_out_of_phase_need_a_wider_slop(phase: float) -> None:
    text = advice(Camera(9, phase=max(phase, 0)), Camera(9, phase=max(-phase, 0)), PairingConfig(slop=0.02))
    assert "take their images 0.030 s apart at the least; raise sync.slop to 0.033" in text
    assert "offset" not in text


def test_slow_cameras_have_time_and_are_out_of_phase_too() -> None:
    warnings, _ = watched(Camera(0.2, phase=1.0), Camera(0.2), PairingConfig(slop=0.1), seconds=60)
    assert warnings
    assert all("raise sync.slop to 1.1" in text for text in warnings[1:])


def test_a_slop_that_the_phase_of_9_and_30_hz_exceeds_now_and_then_is_said_once() -> None:
    (text,) = remarks(Camera(9, phase=0.001), Camera(30), PairingConfig(slop=0.005), seconds=60)
    assert "find no partner within sync.slop" in text
    assert float(text.split("raise sync.slop to ")[1]) == pytest.approx(0.0133, abs=0.001)
    assert remarks(Camera(9), Camera(30), PairingConfig(slop=0.02), seconds=30) == []


def test_exact_has_a_remedy() -> None:
    text = advice(Camera(30, phase=0.02), Camera(30), PairingConfig(policy="exact"))
    assert text.endswith("exact pairs equal ones alone; set sync.policy to nearest")


# Silent, and of no use


def test_a_camera_that_sends_nothing_or_died_has_no_skew() -> None:
    silent = advice(Camera(9), Camera(30, until=0))
    assert "90 thermal and 0 visible images came; check that the visible camera publishes" in silent
    watch_warnings, _ = watched(Camera(9), Camera(30, until=4), PairingConfig(slop=0.0), seconds=32)
    for text in watch_warnings:
        assert "offset" not in text
        assert "check that the visible camera publishes" in text
    assert "the last visible one 6 s ago" in watch_warnings[0]


def test_both_silent_is_one_line() -> None:
    assert advice(Camera(until=0), Camera(until=0)).endswith("check that both cameras publish, and the topics' names")


def test_who_knows_why_a_camera_is_silent_is_asked() -> None:
    watch = StampWatch(PairingConfig(), BEGIN_NS, lambda stream: f"nobody publishes {stream}")
    watch.received(THERMAL)
    assert watch.warning(BEGIN_NS + 10 * S).endswith("came; nobody publishes visible")
    assert watch.warning(BEGIN_NS + 20 * S).endswith("came; nobody publishes thermal; nobody publishes visible")


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [("bad visible image", "the log says what is wrong"), ("zero stamp", "set sync.visible_stamps to arrival")],
)
def test_images_of_no_use_are_named_with_their_reason(reason: str, remedy: str) -> None:
    watch = StampWatch(PairingConfig(), BEGIN_NS)
    for index in range(100):
        now_ns = BEGIN_NS + index * 100 * MS
        for stream in (THERMAL, VISIBLE):
            watch.received(stream)
        watch.arrived(THERMAL, now_ns, now_ns)
        watch.refused(VISIBLE, reason)
    text = watch.warning(BEGIN_NS + 10 * S)
    assert f"no visible image could be used: 100 {reason}; " in text
    assert remedy in text
    assert "skew" not in text


# Lateness and offsets while images pair


def test_late_small_images_beside_large_ones_name_the_page_once() -> None:
    (text,) = remarks(Camera(9, delay=jittery(2.3), nbytes=40_000), Camera(30, nbytes=6_200_000), seconds=60)
    assert text.startswith("thermal images arrive up to 2.2")
    assert text.endswith("beside visible images of 6.2 MB; docs/large_images.md says what delays images and what helps")


def test_lateness_that_comes_and_goes_is_not_said_each_time() -> None:
    thermal = Camera(9, delay=lambda index: 0.8 if index // 90 % 2 else 0.02)
    assert len(remarks(thermal, Camera(30), seconds=90)) == 1


def test_both_late_are_said_both_and_a_short_delay_is_not() -> None:
    texts = remarks(Camera(9, delay=0.6), Camera(30, delay=0.6))
    assert [text.split()[0] for text in texts] == [THERMAL, VISIBLE]
    assert all("steadily: on a slow way, for which see docs/large_images.md, or by a clock" in text for text in texts)
    assert remarks(Camera(9, delay=0.15), Camera(30, delay=0.2)) == []


@pytest.mark.parametrize(("offset", "fact"), [(-0.58, "0.60 s older at arrival"), (0.58, "0.56 s of the future")])
@pytest.mark.parametrize("stream", [THERMAL, VISIBLE])
def test_an_offset_that_makes_right_stamps_wrong_is_warned_of(stream: str, offset: float, fact: str) -> None:
    """What the advice of before led to: thermal in time, visible 0.6 s late, and all green."""
    config = PairingConfig(**{f"{stream}_offset": offset})  # type: ignore[arg-type]
    late = Camera(30, delay=0.6)
    texts = remarks(*((Camera(60), late) if stream == THERMAL else (late, Camera(60))), config)
    (text,) = [text for text in texts if "_offset" in text]
    assert text.startswith(f"sync.{stream}_offset of {offset:.3f} makes {stream} images {fact}")


def test_an_offset_that_mends_a_clock_or_the_time_of_an_arrival_is_none_to_warn_of() -> None:
    assert remarks(Camera(9, clock=-0.58), Camera(30), PairingConfig(thermal_offset=0.58)) == []
    assert remarks(Camera(9, clock=0.58), Camera(30), PairingConfig(thermal_offset=-0.58)) == []
    by_arrival = PairingConfig(thermal_offset=-0.25, thermal_stamps="arrival")
    assert remarks(Camera(9, delay=0.0), Camera(30), by_arrival) == []


@pytest.mark.parametrize("stream", [THERMAL, VISIBLE])
def test_a_clock_that_is_ahead_by_so_little_that_images_pair_is_warned_of(stream: str) -> None:
    fast, right = Camera(30, clock=0.5), Camera(30)
    (text,) = remarks(*((fast, right) if stream == THERMAL else (right, fast)))
    assert text.startswith(f"{stream} stamps are up to 0.48 s of the future")
    assert text.endswith(f"set sync.{stream}_offset to -0.500")
    assert remarks(Camera(30, clock=0.5), Camera(30, clock=0.5)) == []  # this machine's is behind


def test_an_offset_that_both_cameras_have_moves_no_pair() -> None:
    assert remarks(Camera(9), Camera(30), PairingConfig(thermal_offset=-0.25, visible_offset=-0.2)) == []


def test_a_wrong_offset_is_a_trouble_until_it_is_mended() -> None:
    watch = StampWatch(PairingConfig(thermal_offset=-0.58), BEGIN_NS)
    for index in range(120):
        now_ns = BEGIN_NS + index * 50 * MS
        watch.arrived(THERMAL, now_ns, now_ns)
        watch.paired(0, now_ns)
        watch.remarks(now_ns)
    assert "sync.thermal_offset of -0.580" in watch.trouble()
    watch.reconfigure(PairingConfig())
    assert watch.trouble() == ""
