"""Faults on streams: exactly what was asked for, the same each time."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.sources.faults import Fault, FaultInjector, parse_faults

MS = 1_000_000
IMAGE = np.zeros((2, 2), np.uint8)


def events(count=100, period_ms=10):
    """Both streams at one rate, thermal first."""
    for index in range(count):
        for stream in ("thermal", "visible"):
            yield stream, Frame(IMAGE, index * period_ms * MS, stream, "mono8")


def by_stream(arrivals):
    streams = defaultdict(list)
    for arrival in arrivals:
        streams[arrival.stream].append(arrival)
    return streams


def test_without_faults_every_frame_arrives_when_it_was_taken():
    injector = FaultInjector()
    arrivals = list(injector.arrivals(events(20)))
    assert [(a.stream, a.frame.stamp_ns) for a in arrivals] == [(s, f.stamp_ns) for s, f in events(20)]
    assert all(a.due_ns == a.taken_ns == a.frame.stamp_ns for a in arrivals)
    assert all(a.frame.image is IMAGE for a in arrivals)
    assert not injector.lost


def test_delay_changes_the_arrival_and_not_the_stamp():
    arrivals = list(FaultInjector({"thermal": Fault(delay=0.035)}).arrivals(events(10)))
    assert len(arrivals) == 20
    assert [a.due_ns for a in arrivals] == sorted(a.due_ns for a in arrivals)
    streams = by_stream(arrivals)
    assert all(a.due_ns == a.frame.stamp_ns + 35 * MS for a in streams["thermal"])
    assert all(a.due_ns == a.frame.stamp_ns for a in streams["visible"])
    assert [a.stream for a in arrivals[:5]] == ["visible", "visible", "visible", "visible", "thermal"]


def test_offset_changes_the_stamp_and_not_the_arrival():
    streams = by_stream(FaultInjector({"visible": Fault(offset=-0.02)}).arrivals(events(10)))
    assert all(a.frame.stamp_ns == a.taken_ns - 20 * MS for a in streams["visible"])
    assert all(a.due_ns == a.taken_ns for a in streams["visible"])
    assert all(a.frame.stamp_ns == a.taken_ns for a in streams["thermal"])


def test_jitter_moves_stamps_both_ways_within_its_bound():
    streams = by_stream(FaultInjector({"visible": Fault(jitter=0.004)}, seed=1).arrivals(events(400)))
    errors = np.array([a.frame.stamp_ns - a.taken_ns for a in streams["visible"]]) / MS
    assert np.abs(errors).max() <= 4.0
    assert errors.max() > 3.5
    assert errors.min() < -3.5
    assert abs(errors.mean()) < 0.5
    assert errors.std() == pytest.approx(4 / np.sqrt(3), rel=0.15)  # uniform
    assert all(a.due_ns == a.taken_ns for a in streams["visible"])
    assert all(a.frame.stamp_ns == a.taken_ns for a in streams["thermal"])


def test_drop_loses_about_its_share_and_counts_it():
    injector = FaultInjector({"thermal": Fault(drop=0.3)}, seed=2)
    streams = by_stream(injector.arrivals(events(1000)))
    lost = 1000 - len(streams["thermal"])
    assert 240 < lost < 360
    assert injector.lost == {("thermal", "drop"): lost}
    assert len(streams["visible"]) == 1000


@pytest.mark.parametrize(("share", "left"), [(0.0, 50), (1.0, 0)])
def test_drop_of_nothing_and_of_all(share, left):
    streams = by_stream(FaultInjector({"visible": Fault(drop=share)}).arrivals(events(50)))
    assert len(streams["visible"]) == left


def test_stop_ends_one_stream_and_the_other_goes_on():
    injector = FaultInjector({"thermal": Fault(stop=0.2)})
    streams = by_stream(injector.arrivals(events(100)))
    assert [a.taken_ns for a in streams["thermal"]] == [index * 10 * MS for index in range(20)]
    assert len(streams["visible"]) == 100
    assert injector.lost == {("thermal", "stop"): 80}


def test_an_endless_source_ends_when_both_streams_have_stopped():
    injector = FaultInjector({"thermal": Fault(stop=0.1, delay=1.0), "visible": Fault(stop=0.2)})
    streams = by_stream(injector.arrivals((stream, frame) for stream, frame in events(10**9)))
    assert (len(streams["thermal"]), len(streams["visible"])) == (10, 20)


def test_the_same_seed_gives_the_same_faults_and_another_others():
    faults = {"thermal": Fault(drop=0.5, jitter=0.02), "visible": Fault(drop=0.5)}

    def run(seed):
        return [(a.due_ns, a.stream, a.frame.stamp_ns) for a in FaultInjector(faults, seed).arrivals(events(60))]

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_one_streams_faults_do_not_change_the_others():
    both = by_stream(FaultInjector({"thermal": Fault(drop=0.5), "visible": Fault(jitter=0.5)}).arrivals(events(50)))
    alone = by_stream(FaultInjector({"thermal": Fault(drop=0.5)}).arrivals(events(50)))
    assert [a.taken_ns for a in both["thermal"]] == [a.taken_ns for a in alone["thermal"]]


def test_a_delayed_stream_holds_no_more_frames_than_the_delay_is_long():
    read = itertools.count()
    source = ((next(read), event)[1] for event in events(1000))
    arrivals = FaultInjector({"thermal": Fault(delay=0.05)}).arrivals(source)
    for _ in range(20):
        next(arrivals)
    assert next(read) < 20 + 2 * 6 + 2


fault = st.builds(
    Fault,
    delay=st.floats(0, 0.5),
    offset=st.floats(-1, 1),
    jitter=st.floats(0, 1),
    drop=st.floats(0, 1),
    stop=st.floats(0, 2),
)


@settings(max_examples=50, deadline=None)
@given(fault, fault, st.integers(0, 100), st.integers(0, 60))
def test_every_frame_arrives_in_due_order_or_is_counted(thermal, visible, seed, count):
    injector = FaultInjector({"thermal": thermal, "visible": visible}, seed)
    arrivals = list(injector.arrivals(events(count, period_ms=20)))
    assert [a.due_ns for a in arrivals] == sorted(a.due_ns for a in arrivals)
    taken = [a.taken_ns for a in by_stream(arrivals)["thermal"]]
    assert taken == sorted(set(taken))
    unread = sum(frame.stamp_ns >= max(thermal.stop, visible.stop) * 1e9 for _, frame in events(count, period_ms=20))
    assert len(arrivals) + sum(injector.lost.values()) + unread == 2 * count


def test_faults_are_read_as_written():
    assert parse_faults(["thermal:delay=0.3", "visible:drop=0.5,jitter=0.03", "thermal:stop=5"]) == {
        "thermal": Fault(delay=0.3, stop=5.0),
        "visible": Fault(drop=0.5, jitter=0.03),
    }
    assert parse_faults([]) == {}


@pytest.mark.parametrize(
    ("word", "fact"),
    [
        ("", "thermal|visible"),
        ("thermal", "thermal|visible"),
        ("rgb:drop=0.1", "rgb:drop"),
        ("thermal:", "NAME=NUMBER"),
        ("thermal:lag=3", "lag=3"),
        ("thermal:delay", "delay"),
        ("thermal:delay=soon", "soon"),
        ("thermal:delay=-1", "delay is -1"),
        ("thermal:delay=nan", "delay is nan"),
        ("thermal:delay=inf", "delay is inf"),
        ("thermal:drop=1.5", "drop is 1.5"),
        ("thermal:drop=0.1,drop=0.2", "twice"),
    ],
)
def test_faults_that_are_none_are_one_clear_line(word, fact):
    with pytest.raises(ConfigError) as caught:
        parse_faults([word])
    assert fact in str(caught.value)
    assert "\n" not in str(caught.value)
