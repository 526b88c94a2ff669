"""What stamps say about clocks."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.perception.pairing import PairingConfig
from hkdnet_ros.perception.timing import StampWatch

S, MS = 10**9, 10**6
BEGIN_NS = 1000 * S


def test_the_lag_is_the_age_against_the_other_streams_last_stamp_offsets_applied() -> None:
    watch = StampWatch(PairingConfig(thermal_offset=0.25), BEGIN_NS)
    assert watch.arrived(VISIBLE, BEGIN_NS, BEGIN_NS) == 0
    assert watch.arrived(THERMAL, BEGIN_NS - 300 * MS, BEGIN_NS) == 50 * MS
    assert watch.arrived(VISIBLE, BEGIN_NS + S, BEGIN_NS + S) < 0


def test_where_nothing_pairs_the_offset_that_mends_it_is_said_every_ten_seconds() -> None:
    watch = StampWatch(PairingConfig(), BEGIN_NS)
    said = []
    for index in range(250):
        now_ns = BEGIN_NS + index * 100 * MS
        for stream, stamp_ns in ((VISIBLE, now_ns), (THERMAL, now_ns - 5 * S)):
            watch.received(stream)
            watch.arrived(stream, stamp_ns, now_ns)
        said.append(watch.warning(now_ns))
    first, second = filter(None, said)
    assert "101 thermal and 101 visible images" in first
    assert "-4.900 s" in first or "-5.000 s" in first
    offset = float(second.split("sync.thermal_offset to ")[1].split(";")[0])
    assert offset == pytest.approx(5.0, abs=0.1)


def test_pairs_a_silent_stream_and_a_clock_set_back_are_told_apart() -> None:
    watch = StampWatch(PairingConfig(), BEGIN_NS)
    watch.paired(3 * MS, BEGIN_NS + 9 * S)
    assert watch.warning(BEGIN_NS + 11 * S) == ""
    watch.received(VISIBLE)
    assert "0 thermal and 1 visible images came; check that the thermal camera publishes" in watch.warning(
        BEGIN_NS + 19 * S
    )
    watch.clock_was_set(BEGIN_NS)
    assert watch.warning(BEGIN_NS + 9 * S) == ""
    assert watch.warning(BEGIN_NS + 10 * S)


def test_the_histogram_counts_pairs_by_signed_skew() -> None:
    watch = StampWatch(PairingConfig(), BEGIN_NS)
    for skew_ms in (-300, -1, 0, 1, 7, 300):
        watch.paired(skew_ms * MS, BEGIN_NS)
    assert watch.skew_histogram() == {"below -100 ms": 1, "-2 to 2 ms": 3, "5 to 10 ms": 1, "above 100 ms": 1}


def test_the_first_time_of_a_simulation_is_no_time_without_pairs() -> None:
    watch = StampWatch(PairingConfig(), 0)
    assert watch.warning(0) == ""
    watch.clock_was_set(BEGIN_NS)
    assert watch.warning(BEGIN_NS) == ""
    assert watch.warning(BEGIN_NS + 11 * S).startswith("nothing paired for 11 s")


def test_a_drift_between_the_cameras_clocks_is_seen_through_jitter_but_not_at_once() -> None:
    watch = StampWatch(PairingConfig(), BEGIN_NS)
    random = np.random.default_rng(0)
    for index in range(60 * 30):
        taken_ns = BEGIN_NS + index * 33 * MS
        now_ns = taken_ns + round(random.exponential(10) * MS)
        watch.arrived(VISIBLE, taken_ns, now_ns)
        watch.arrived(THERMAL, taken_ns + index * 33 * 200, now_ns)  # 200 us per s fast
        if index == 300:
            assert watch.drift_ppm() is None
    assert watch.drift_ppm() == pytest.approx(200, abs=30)


def test_the_drift_is_watched_anew_after_a_jump() -> None:
    watch = StampWatch(PairingConfig(), BEGIN_NS)
    for index in range(40):
        for stream in (THERMAL, VISIBLE):
            watch.arrived(stream, BEGIN_NS + index * S, BEGIN_NS + index * S)
    assert watch.drift_ppm() == pytest.approx(0, abs=1e-6)
    watch.begin_anew(THERMAL)
    assert watch.drift_ppm() is None
