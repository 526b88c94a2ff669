"""Which depth image a pair gets: by brute force over all that will ever come, and never later than allowed."""

from __future__ import annotations

import numpy as np
import pytest
from core_rig import MS, S

from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.depth_matching import DepthMatcher
from hkdnet_ros.perception.pairing import PairingConfig
from hkdnet_ros.perception.registration_config import RegistrationConfig
from hkdnet_ros.perception.stream_clock import LATE, Verdict

LATE_IMAGE, NEW_RUN = Verdict(LATE), Verdict(begins_anew=True)


def matcher(timeout=0.1, **queue):
    return DepthMatcher(RegistrationConfig(depth_timeout=timeout), PairingConfig(**queue))


def depth(stamp_ns, pixels=4):
    return Frame(np.ones((pixels, pixels), np.uint16), stamp_ns, "visible", "16UC1")


def stamps(found):
    return [(item, frame and frame.stamp_ns) for item, frame in found]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("late_ns", [-40 * MS, 5 * MS, 130 * MS])
def test_each_pair_gets_the_depth_image_that_is_nearest_of_all_however_they_arrive(seed, late_ns):
    """Jittering stamps, lost images, other rates and delays: what comes out is what all stamps together say."""
    random = np.random.default_rng(seed)
    pairs = [int(S + 33 * MS * n + random.integers(0, 8 * MS)) for n in range(60)]
    depths = [int(S + (20 + 17 * seed) * MS * n + random.integers(0, 4 * MS)) for n in range(-3, 100)]
    depths = [stamp_ns for stamp_ns in depths if random.random() < 0.8 and stamp_ns < pairs[-1] + 300 * MS]
    it, found = matcher(timeout=5.0, queue_time=5.0), []
    events = [(stamp_ns, "pair", stamp_ns) for stamp_ns in pairs]
    events += [(stamp_ns + late_ns + int(random.integers(0, MS)), "depth", stamp_ns) for stamp_ns in depths]
    for now_ns, kind, stamp_ns in sorted(events):
        if kind == "pair":
            it.add(stamp_ns, stamp_ns, now_ns)
        else:
            it.add_depth(depth(stamp_ns), now_ns)
        found += it.due(now_ns)
    found += it.flush()
    best = [(pair, min(depths, key=lambda stamp_ns: abs(stamp_ns - pair))) for pair in pairs]
    assert [abs(b - a) for a, b in stamps(found)] == [abs(b - a) for a, b in best]
    assert [pair for pair, _ in stamps(found)] == pairs


def test_a_pair_waits_no_longer_than_the_timeout_and_takes_what_is_there():
    it = matcher(timeout=0.1)
    it.add("first", S, 5 * S)
    assert it.due(5 * S + 99 * MS) == []
    assert it.due(5 * S + 100 * MS) == [("first", None)]
    it.add_depth(depth(S), 0)
    it.add("second", S + 33 * MS, 6 * S)
    assert it.due(6 * S) == []
    assert stamps(it.due(6 * S + 100 * MS)) == [("second", S)]


@pytest.mark.parametrize("after_ns", [0, 5 * MS])
def test_a_pair_goes_at_once_where_its_depth_image_came_before(after_ns):
    it = matcher()
    it.add_depth(depth(S + after_ns), 0)
    it.add("pair", S, 0)
    assert stamps(it.due(0)) == [("pair", S + after_ns)]


def test_the_usual_interval_says_that_nothing_nearer_is_to_come():
    it = matcher()
    for number in range(5):
        it.add_depth(depth(S + number * 33 * MS), 0)
    last_ns = S + 4 * 33 * MS
    it.add("near", last_ns + 10 * MS, 0)
    assert stamps(it.due(0)) == [("near", last_ns)]
    it.add("nearer to the next", last_ns + 20 * MS, 0)
    assert it.due(0) == []


def test_one_depth_image_serves_several_pairs_and_pairs_stay_in_order():
    it = matcher()
    it.add("a", S - 10 * MS, 0)
    it.add("b", S + 10 * MS, 0)
    it.add("c", S + 90 * MS, 0)
    it.add_depth(depth(S), 0)
    assert stamps(it.due(0)) == [("a", S)]
    it.add_depth(depth(S + 100 * MS), 0)
    assert stamps(it.due(0)) == [("b", S), ("c", S + 100 * MS)]


def test_an_image_out_of_order_is_as_good_as_another():
    it = matcher()
    for milliseconds in (0, 66):
        it.add_depth(depth(S + milliseconds * MS), 0)
    it.add_depth(depth(S + 33 * MS), 0, LATE_IMAGE)
    it.add("pair", S + 30 * MS, 0)
    assert stamps(it.due(0)) == [("pair", S + 33 * MS)]


def test_depth_of_before_a_jump_does_not_count_however_near_its_stamp():
    """The visible stream jumps first, and depth of the run before still comes for the pairs that wait for it."""
    it = matcher()
    it.add("old", 2 * S, 0)
    assert not it.begin_anew(10 * MS)
    it.add("new", 2 * S - 140 * MS, 20 * MS, run=1)
    for milliseconds in (-140, -107, -74, -41, 0):
        it.add_depth(depth(2 * S + milliseconds * MS), 30 * MS)
    assert stamps(it.due(30 * MS)) == [("old", 2 * S)]
    assert it.is_behind
    new = depth(2 * S - 138 * MS)
    it.add_depth(new, 40 * MS, NEW_RUN)
    assert not it.is_behind
    assert it.due(40 * MS) == [("new", new)]


def test_depth_may_jump_before_the_visible_stream_does():
    it = matcher()
    for number in range(5):
        it.add_depth(depth(2 * S + number * 33 * MS), 0)
    new = depth(2 * S)
    it.add_depth(new, 10 * MS, NEW_RUN)
    it.add("old", 2 * S + 33 * MS, 20 * MS)
    assert stamps(it.due(20 * MS)) == [("old", 2 * S + 33 * MS)]
    it.begin_anew(30 * MS)
    it.add("new", 2 * S, 30 * MS, run=1)
    assert it.due(30 * MS) == [("new", new)]


def test_late_depth_images_before_a_jump_were_the_first_after_it():
    """Nobody knows a small jump by the first image after it."""
    it = matcher()
    it.add_depth(depth(2 * S), 0)
    it.add_depth(depth(2 * S + 100 * MS), 0)
    first, second = depth(2 * S), depth(2 * S + 50 * MS)
    for late in (first, second):
        it.add_depth(late, 10 * MS, LATE_IMAGE)
    assert it.begin_anew(20 * MS)
    it.add("a", 2 * S, 20 * MS, run=1)
    it.add("b", 2 * S + 49 * MS, 20 * MS, run=1)
    assert it.due(20 * MS) == [("a", first), ("b", second)]


@pytest.mark.parametrize("jumped_ns", [-500 * MS, -50 * S])
def test_where_the_visible_clock_alone_jumps_to_that_of_depth_pairs_wait_once(jumped_ns):
    it = matcher(timeout=0.1)
    it.begin_anew(0)
    for milliseconds in range(0, 300, 33):
        now_ns, stamp_ns = milliseconds * MS, 100 * S + jumped_ns + milliseconds * MS
        it.add(milliseconds, stamp_ns, now_ns, run=1)
        it.add_depth(depth(stamp_ns), now_ns)
        found = stamps(it.due(now_ns))
        if milliseconds > 100:
            assert found[-1] == (milliseconds, stamp_ns)
    assert not it.is_behind


def test_where_the_clock_of_depth_alone_jumps_to_the_visible_one_pairs_follow_it():
    it = matcher()
    it.add_depth(depth(3 * S), 0)
    it.add_depth(depth(2 * S), 0, NEW_RUN)
    it.add("pair", 2 * S + MS, 0)
    assert it.due(0) == []
    it.add_depth(depth(2 * S + 33 * MS), 0)
    assert stamps(it.due(0)) == [("pair", 2 * S)]


def test_pairs_wait_as_long_again_where_the_receivers_clock_was_set():
    it = matcher(timeout=0.1)
    it.add("pair", S, 50 * S)
    it.clock_was_set(S)
    assert it.due(S + 99 * MS) == []
    assert it.due(S + 100 * MS) == [("pair", None)]


def test_a_leap_ahead_takes_no_depth_from_the_pairs_before_it():
    it = matcher()
    for stamp_ns in (S, 9 * S):
        it.add_depth(depth(stamp_ns), 0)
    for stamp_ns in (S, 9 * S):
        it.add(stamp_ns, stamp_ns, 0)
    assert stamps(it.due(0)) == [(S, S), (9 * S, 9 * S)]
    for stamp_ns in (10 * S, 20 * S):
        it.add(stamp_ns, stamp_ns, 0)
    assert it.due(0) == []


def test_memory_is_bounded_as_that_of_images_that_wait():
    it = matcher(timeout=10.0, queue_time=0.5, queue_memory=1)
    for number in range(100):
        it.add_depth(depth(S + number * 10 * MS, pixels=256), 0)  # 0.13 MB
    it.add("late", S, 0)
    assert stamps(it.due(0)) == [("late", S + 930 * MS)]
    it = matcher(timeout=10.0, queue_time=0.5)
    for number in range(100):
        it.add(number, S + number * 10 * MS, number * 10 * MS)
    assert len(it.due(990 * MS)) == 49  # those that are older than the newest by more than the queue lets wait
