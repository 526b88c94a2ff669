"""Objects followed from image to image: through movement and gaps, and apart from each other."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.evaluation.boxes import Objects
from hkdnet_ros.evaluation.tracking import Tracker

STEP_NS = 100_000_000


def objects(*rows):
    """Objects from rows of left, top, right, bottom, and perhaps score and class."""
    table = np.array([(*row, *(0.9, 0)[len(row) - 4 :]) for row in rows], np.float32).reshape(-1, 6)
    return Objects(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def box(x):
    return x, 10.0, x + 20.0, 50.0


def followed(images, sure=0.5, step_ns=STEP_NS):
    """The tracks over a list of Objects, in the order in which they end."""
    tracker = Tracker(sure)
    ended = [track for place, found in enumerate(images) for track in tracker.add(10**9 + place * step_ns, found)]
    return [*ended, *tracker.finish()]


def test_an_object_that_walks_is_one_track():
    (track,) = followed([objects(box(5.0 * place)) for place in range(10)])
    assert (track.seen, track.gaps, track.first.image, track.last.image) == (10, 0, 0, 9)
    assert track.length_s == pytest.approx(0.9)


def test_a_gap_is_bridged_at_the_objects_own_speed():
    speed = 8.0  # after a gap of four images the box has nothing in common with the last
    images = [objects() if 6 <= place < 10 else objects(box(speed * place)) for place in range(16)]
    (track,) = followed(images)
    assert (track.seen, track.gaps, track.last.image) == (12, 1, 15)


def test_after_half_a_second_a_track_has_ended():
    images = [objects() if 4 <= place < 9 else objects(box(0.0)) for place in range(13)]
    assert [(track.seen, track.gaps) for track in followed(images)] == [(4, 0), (4, 0)]


def test_two_that_stand_side_by_side_and_two_classes_are_kept_apart():
    images = [objects(box(0.0), box(15.0), (*box(2.0), 0.8, 7)) for _ in range(5)]
    assert [(track.seen, track.kind) for track in followed(images)] == [(5, 0), (5, 0), (5, 7)]


def test_what_is_seen_twice_or_never_surely_is_no_track():
    assert followed([objects(box(0.0))] * 2) == []
    assert followed([objects((*box(0.0), 0.4))] * 9) == []
    sure_once = [objects((*box(0.0), 0.6 if place == 4 else 0.4)) for place in range(9)]
    assert [track.seen for track in followed(sure_once)] == [9]


def test_time_that_goes_back_ends_all_tracks():
    tracker = Tracker(0.5)
    for time in (5, 6, 7):
        assert tracker.add(time * STEP_NS, objects(box(0.0))) == []
    assert [track.seen for track in tracker.add(7 * STEP_NS, objects(box(0.0)))] == [3]
    assert [track.seen for track in tracker.alive] == [1]
