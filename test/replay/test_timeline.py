"""Recording time on a clock: stamps keep their distances, a slow player moves pairs as a whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hkdnet_ros.images.frames import Frame
from hkdnet_ros.replay.timeline import Timeline
from hkdnet_ros.sources.faults import Arrival

IMAGE = np.zeros((1, 1), np.uint8)
MS = 1_000_000
START = 1_700_000_000_000_000_000


def arrival(taken_ms, stream="thermal", delay_ms=0, stamp_ms=None):
    stamp = taken_ms if stamp_ms is None else stamp_ms
    return Arrival((taken_ms + delay_ms) * MS, taken_ms * MS, stream, Frame(IMAGE, stamp * MS, "f", "mono8"))


def test_frames_are_due_and_stamped_after_the_start():
    timeline = Timeline(START, 1.0)
    late = arrival(100, delay_ms=30, stamp_ms=97)
    assert timeline.due_ns(late) == START + 130 * MS
    assert timeline.stamp_ns(late) == START + 97 * MS


def test_rate_divides_all_times():
    timeline = Timeline(START, 2.0)
    assert timeline.due_ns(arrival(100, delay_ms=30)) == START + 65 * MS
    assert timeline.stamp_ns(arrival(100)) == START + 50 * MS


def test_catching_up_moves_both_frames_of_the_pair_and_all_that_follow():
    timeline = Timeline(START, 1.0)
    timeline.published(arrival(0))
    timeline.published(arrival(0, "visible"))
    timeline.catch_up(arrival(33), START + 83 * MS)
    assert timeline.moved_ns == 50 * MS
    for stream in ("thermal", "visible"):
        assert timeline.stamp_ns(arrival(33, stream)) == START + 83 * MS
    assert timeline.due_ns(arrival(66)) == START + 116 * MS
    assert timeline.stamp_ns(arrival(0)) == START  # a delayed frame of before keeps its stamp


def test_the_second_frame_of_a_pair_that_is_late_keeps_its_stamp():
    timeline = Timeline(START, 1.0)
    timeline.published(arrival(33))
    timeline.catch_up(arrival(33, "visible"), START + 83 * MS)
    assert timeline.stamp_ns(arrival(33, "visible")) == START + 33 * MS
    assert timeline.stamp_ns(arrival(66)) == START + 116 * MS


def test_delayed_frames_of_before_a_stall_do_not_move_the_rest_again():
    timeline = Timeline(START, 1.0)
    for taken in (0, 33, 66, 100):
        timeline.published(arrival(taken))
    timeline.catch_up(arrival(133), START + 333 * MS)
    assert timeline.moved_ns == 200 * MS
    for taken in (33, 66, 100):
        timeline.catch_up(arrival(taken, "visible", delay_ms=100), START + 333 * MS)
    assert timeline.moved_ns == 200 * MS


def test_a_clock_that_was_set_back_is_followed():
    timeline = Timeline(START, 1.0)
    timeline.published(arrival(0))
    timeline.catch_up(arrival(33), START - 5_000 * MS)
    assert timeline.due_ns(arrival(33)) == START - 5_000 * MS
    assert timeline.due_ns(arrival(66)) == START - 4_967 * MS


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=60))
def test_pairs_stay_pairs_however_the_player_stumbles(stalls):
    timeline = Timeline(START, 1.0)
    now = START
    stamps = {"thermal": [], "visible": []}
    for index, (stall, at_thermal) in enumerate(stalls):
        for stream in ("thermal", "visible"):
            frame = arrival(33 * index, stream)
            now = max(now, timeline.due_ns(frame)) + (stall * MS if at_thermal == (stream == "thermal") else 0)
            if now - timeline.due_ns(frame) > 20 * MS:
                timeline.catch_up(frame, now)
            stamps[stream].append(timeline.stamp_ns(frame))
            timeline.published(frame)
    assert stamps["thermal"] == stamps["visible"]
    assert (np.diff(stamps["thermal"]) >= 33 * MS).all()
