"""The one judge of stamps: what can be used, what cannot, and where a stream or a clock begins anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.perception.stream_clock import DUPLICATE, FUTURE, LATE, ZERO_STAMP, StreamClock, Verdict

S, MS = 10**9, 10**6
BEGIN_NS = 1000 * S
GOOD, NEW_RUN = Verdict(), Verdict(begins_anew=True)


def judged(stamps: list[int], clock: StreamClock | None = None) -> list[Verdict]:
    clock = clock or StreamClock(BEGIN_NS)
    return [clock.judge(THERMAL, stamp) for stamp in stamps]


def test_stamps_in_order_are_good() -> None:
    assert judged([1, 2, 50, BEGIN_NS]) == [GOOD] * 4


def test_a_stamp_that_was_not_set_or_comes_again_is_of_no_use() -> None:
    assert judged([0, -5, 7, 7, 7, 8]) == [
        Verdict(ZERO_STAMP), Verdict(ZERO_STAMP), GOOD, Verdict(DUPLICATE), Verdict(DUPLICATE), GOOD,
    ]  # fmt: skip


def test_an_image_out_of_order_is_late_and_the_stream_goes_on() -> None:
    assert judged([10, 20, 40, 30, 50]) == [GOOD, GOOD, GOOD, Verdict(LATE), GOOD]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 100])
def test_a_loop_begins_anew_with_its_first_image(length: int) -> None:
    run = [BEGIN_NS + index * 33 * MS for index in range(length)]
    expected = [GOOD] + [GOOD] * (length - 1)
    again = [NEW_RUN if length > 1 else Verdict(DUPLICATE)] + [GOOD] * (length - 1)
    assert judged(run + run + run) == expected + again + again


def test_a_clock_set_back_by_less_than_the_last_images_is_found_by_the_fifth() -> None:
    stamps = [100, 200, 300, 400, *range(310, 390, 10)]
    assert judged(stamps) == [GOOD] * 4 + [Verdict(LATE)] * 4 + [NEW_RUN] + [GOOD] * 3


def test_a_jump_to_the_stamp_of_the_last_image_is_no_repetition_of_it() -> None:
    assert judged([100, 200, 300, 200, 300, 300, 400]) == [
        GOOD, GOOD, GOOD, Verdict(LATE), Verdict(LATE), Verdict(DUPLICATE), GOOD,
    ]  # fmt: skip


def test_a_stream_that_is_behind_another_of_its_clock_has_no_late_images() -> None:
    clock = StreamClock(BEGIN_NS)
    judged([100, 200, 300], clock)
    assert clock.judge(THERMAL, 250, is_behind=True) == NEW_RUN
    assert clock.judge(THERMAL, 280) == GOOD
    clock.begin_anew(THERMAL)
    assert clock.judge(THERMAL, 270) == GOOD


def test_one_stamp_far_ahead_costs_four_images() -> None:
    stamps = [100, 200, 300, 999_999, *range(400, 1100, 100)]
    assert judged(stamps) == [GOOD] * 4 + [Verdict(LATE)] * 4 + [NEW_RUN] + [GOOD] * 2


def test_the_streams_are_judged_apart() -> None:
    clock = StreamClock(BEGIN_NS)
    assert clock.judge(THERMAL, 500) == GOOD
    assert clock.judge(VISIBLE, 400) == GOOD
    assert clock.judge(THERMAL, 400) == NEW_RUN


def test_what_is_odd_is_counted_by_stream() -> None:
    clock = StreamClock(BEGIN_NS)
    judged([0, BEGIN_NS, BEGIN_NS, BEGIN_NS + MS, BEGIN_NS + 3 * MS, BEGIN_NS + 2 * MS, BEGIN_NS + S], clock)
    assert clock.oddities(THERMAL) == {ZERO_STAMP: 1, DUPLICATE: 1, LATE: 1, FUTURE: 1}
    assert clock.oddities(VISIBLE) == {}


def test_a_clock_that_is_known_to_be_ahead_sends_no_stamps_of_the_future() -> None:
    clock = StreamClock(BEGIN_NS)
    clock.judge(THERMAL, BEGIN_NS + 3600 * S, offset_ns=-3600 * S)
    clock.judge(VISIBLE, BEGIN_NS, offset_ns=S)
    assert clock.oddities(THERMAL) == {}
    assert clock.oddities(VISIBLE) == {FUTURE: 1}


def test_a_clock_that_was_not_known_begins_with_its_first_time() -> None:
    clock = StreamClock()
    clock.judge(THERMAL, BEGIN_NS)
    assert clock.oddities(THERMAL) == {}
    assert [clock.advance(now_ns) for now_ns in (S, S, 2 * S)] == [True, False, False]


@pytest.mark.parametrize(
    ("times", "set_at"),
    [([0.1, 0.2, 5, 9], []), ([0.1, 0.05, 0.2], [1]), ([0.1, 12, 13], [1]), ([10, 20, 30.5], [2])],
)
def test_a_clock_that_goes_back_or_leaps_ahead_was_set(times: list[float], set_at: list[int]) -> None:
    clock = StreamClock(BEGIN_NS)
    assert [index for index, at in enumerate(times) if clock.advance(BEGIN_NS + round(at * S))] == set_at


@given(st.lists(st.integers(-2, 40), max_size=200))
def test_good_stamps_rise_until_the_stream_begins_anew(stamps: list[int]) -> None:
    last = None
    for stamp, verdict in zip(stamps, judged(stamps), strict=True):
        if verdict.reason:
            assert not verdict.begins_anew
            continue
        assert stamp > 0
        if last is not None:
            assert (stamp > last) != verdict.begins_anew
        last = stamp
