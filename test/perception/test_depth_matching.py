"""Which depth image a pair gets: by brute force over all that will ever come, and never later than allowed."""

from __future__ import annotations

import numpy as np
import pytest
from core_rig import MS, S

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.depth_matching import DepthMatcher
from hkdnet_ros.perception.incoming import Incoming
from hkdnet_ros.perception.pairing import PairingConfig
from hkdnet_ros.perception.registration_config import RegistrationConfig


def matcher(timeout=0.1, **queue):
    return DepthMatcher(RegistrationConfig(depth_timeout=timeout), PairingConfig(**queue))


def depth(stamp_ns, pixels=4):
    frame = Frame(np.ones((pixels, pixels), np.uint16), stamp_ns, "visible", "16UC1")
    return Incoming("depth", stamp_ns, stamp_ns, "visible", decode=lambda: frame)


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
            it.add_depth(depth(stamp_ns))
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
    it.add_depth(depth(S))
    it.add("second", S + 33 * MS, 6 * S)
    assert it.due(6 * S) == []
    assert stamps(it.due(6 * S + 100 * MS)) == [("second", S)]


@pytest.mark.parametrize("after_ns", [0, 5 * MS])
def test_a_pair_goes_at_once_where_its_depth_image_came_before(after_ns):
    it = matcher()
    it.add_depth(depth(S + after_ns))
    it.add("pair", S, 0)
    assert stamps(it.due(0)) == [("pair", S + after_ns)]


def test_the_usual_interval_says_that_nothing_nearer_is_to_come():
    it = matcher()
    for number in range(5):
        it.add_depth(depth(S + number * 33 * MS))
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
    it.add_depth(depth(S))
    assert stamps(it.due(0)) == [("a", S)]
    it.add_depth(depth(S + 100 * MS))
    assert stamps(it.due(0)) == [("b", S), ("c", S + 100 * MS)]


def test_duplicates_and_images_out_of_order_change_nothing():
    it = matcher()
    for milliseconds in (0, 66, 33, 33, 0):
        it.add_depth(depth(S + milliseconds * MS))
    it.add("pair", S + 30 * MS, 0)
    assert stamps(it.due(0)) == [("pair", S + 33 * MS)]


def test_after_a_jump_back_depth_of_before_does_not_count():
    it = matcher()
    it.add_depth(depth(100 * S))
    it.add("new run", S, 0)
    assert it.due(0) == []  # the one there is another run's
    it.add_depth(depth(S))
    assert stamps(it.due(0)) == [("new run", S)]


def test_memory_is_bounded_as_that_of_images_that_wait():
    it = matcher(timeout=10.0, queue_time=0.5, queue_memory=1)
    for number in range(100):
        it.add_depth(depth(S + number * 10 * MS, pixels=256))  # 0.13 MB
    it.add("late", S, 0)
    assert stamps(it.due(0)) == [("late", S + 930 * MS)]
    it = matcher(timeout=10.0, queue_time=0.5)
    for number in range(100):
        it.add(number, S + number * 10 * MS, 0)
    assert len(it.due(0)) == 49  # those that are older than the newest by more than the queue lets wait


def test_a_depth_image_without_a_stamp_is_refused():
    with pytest.raises(ImageError, match="stamp is 0 ns; expected that of the visible image"):
        matcher().add_depth(depth(0))
