"""Our pairing as a filter beside message_filters' own: one contract, and where they differ."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from std_msgs.msg import Header

from hkdnet_ros.errors import ConfigError, MissingDependencyError
from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.node.image_messages import ns_to_stamp
from hkdnet_ros.node.time_synchronizer import NearestTimeSynchronizer, StockPairer
from hkdnet_ros.perception.pairing import OVERFLOW, RESET, UNPAIRED, PairingConfig

MS, S = 10**6, 10**9


class Source:
    """A filter to connect to, as message_filters.SimpleFilter."""

    def __init__(self):
        self.callbacks = []

    def registerCallback(self, callback, *args):  # noqa: N802
        self.callbacks.append((callback, args))
        return len(self.callbacks) - 1

    def signalMessage(self, *message):  # noqa: N802
        for callback, args in self.callbacks:
            callback(*message, *args)


def message(stamp_ns):
    return SimpleNamespace(header=Header(stamp=ns_to_stamp(stamp_ns)), stamp_ns=stamp_ns)


def ticks(rate, duration=5):
    return [S + round(n / rate * S) for n in range(int(duration * rate))]


def paired(make, thermal, visible, order=None):
    """Feed a synchronizer made by ``make(filters)``; return the pairs as stamps."""
    sources = [Source(), Source()]
    pairs = []
    make(sources).registerCallback(lambda first, second: pairs.append((first.stamp_ns, second.stamp_ns)))
    events = order or sorted([(t, 0) for t in thermal] + [(v, 1) for v in visible])
    for stamp_ns, index in events:
        sources[index].signalMessage(message(stamp_ns))
    return pairs


def nearest(filters, slop=0.1):
    return NearestTimeSynchronizer(filters, 10, slop)


def stock(filters, slop=0.1):
    library = pytest.importorskip("message_filters", reason="needs ROS 2's message_filters")
    return library.ApproximateTimeSynchronizer(filters, 10, slop)


@pytest.mark.parametrize("make", [nearest, stock])
def test_streams_of_one_rate_with_a_small_shift_pair_one_to_one(make):
    thermal = ticks(10)
    visible = [stamp + 3 * MS for stamp in thermal]
    pairs = paired(make, thermal, visible)
    assert len(pairs) >= len(thermal) - 1
    assert all(second - first == 3 * MS for first, second in pairs)


@pytest.mark.parametrize(("make", "skew_ms"), [(nearest, 7.4), (stock, 21.9)])
def test_ours_pairs_the_nearest_and_the_stock_one_the_first(make, skew_ms):
    pairs = paired(make, ticks(9, 10), ticks(30, 10))
    mean = sum(abs(second - first) for first, second in pairs) / len(pairs)
    assert mean == pytest.approx(skew_ms * MS, rel=0.1)


@pytest.mark.parametrize(("make", "count"), [(nearest, 10), (stock, 0)])
def test_a_slop_of_zero_pairs_equal_stamps_in_ours_only(make, count):
    stamps = ticks(10, 1)
    assert len(paired(lambda filters: make(filters, slop=0), stamps, stamps)) == count


@pytest.mark.parametrize(("make", "is_left"), [(nearest, True), (stock, False)])
def test_after_a_recording_loops_in_which_one_stream_ends_later_ours_alone_pairs_again(make, is_left):
    """The stock one keeps the later images of the longer stream as its newest, and drops all that come as too old."""
    thermal, visible = ticks(10, 2), ticks(10, 6)
    first_run = sorted([(t, 0) for t in thermal] + [(v, 1) for v in visible])
    second_run = sorted([(t + 1 * MS, 0) for t in thermal] + [(v + 1 * MS, 1) for v in thermal])
    pairs = paired(make, None, None, order=first_run + second_run)
    again = [pair for pair in pairs if pair in [(stamp + 1 * MS, stamp + 1 * MS) for stamp in thermal]]
    assert (len(again) >= len(thermal) - 2) == is_left
    assert is_left or not again


def test_a_callback_gets_its_extra_arguments_and_one_that_raises_leaves_the_next_pair_alone():
    sources = [Source(), Source()]
    synchronizer = nearest(sources)
    calls = []

    def fail_first(first, second, name):
        calls.append((first.stamp_ns, name))
        if len(calls) == 1:
            raise ValueError("a defect of the callback")

    assert synchronizer.registerCallback(fail_first, "extra") == 0
    sources[0].signalMessage(message(S))
    with pytest.raises(ValueError, match="a defect"):
        sources[1].signalMessage(message(S))
    for source in sources:
        source.signalMessage(message(2 * S))
    assert calls == [(S, "extra"), (2 * S, "extra")]


def test_it_can_be_the_input_of_another_filter():
    sources, pairs = [Source(), Source()], []
    downstream = Source()
    nearest(sources).registerCallback(downstream.signalMessage)
    downstream.registerCallback(lambda first, second: pairs.append((first.stamp_ns, second.stamp_ns)))
    for source in sources:
        source.signalMessage(message(S))
    assert pairs == [(S, S)]


def test_what_cannot_be_paired_by_stamp_is_refused():
    with pytest.raises(ConfigError, match="3 filters given"):
        NearestTimeSynchronizer([Source()] * 3, 10, 0.1)
    with pytest.raises(ConfigError, match="allow_headerless"):
        NearestTimeSynchronizer([Source()] * 2, 10, 0.1, allow_headerless=True)


@pytest.mark.parametrize(
    ("policy", "skew_ms", "count"), [("approximate", 5, 3), ("approximate", 0, 3), ("exact", 0, 3), ("exact", 5, 0)]
)
def test_the_stock_policies_pair_behind_our_interface_with_offsets(policy, skew_ms, count):
    pytest.importorskip("message_filters", reason="needs ROS 2's message_filters")
    pairer = StockPairer(PairingConfig(policy=policy, slop=0.05, thermal_offset=0.5))
    matches = []
    for stamp_ns in ticks(10, 0.3):
        matches += pairer.add(THERMAL, stamp_ns - S // 2 + skew_ms * MS, stamp_ns)
        matches += pairer.add(VISIBLE, stamp_ns, stamp_ns)
    assert [match.skew_ns for match in matches] == [skew_ms * MS] * count
    assert all(match.thermal == match.visible for match in matches)
    assert pairer.add(THERMAL, 0, None, begins_anew=True) == pairer.flush() == []


def stock_pairer(**config):
    pytest.importorskip("message_filters", reason="needs ROS 2's message_filters")
    drops = []
    return StockPairer(PairingConfig(**config), lambda *drop: drops.append(drop)), drops


@pytest.mark.parametrize("policy", ["approximate", "exact"])
@pytest.mark.parametrize("queue_size", [3, 1000])
def test_what_the_stock_policies_drop_is_told_image_by_image(policy, queue_size):
    pairer, drops = stock_pairer(policy=policy, slop=0.01, queue_size=queue_size)
    thermal, visible = ticks(9, 5), ticks(30, 5)
    events = sorted([(stamp, THERMAL) for stamp in thermal] + [(stamp, VISIBLE) for stamp in visible])
    matches = [match for stamp, stream in events for match in pairer.add(stream, stamp, stamp)]
    assert matches
    assert {reason for _, _, reason in drops} == {OVERFLOW}
    matches += pairer.flush()
    assert len(drops) == len(set(drops)) == len(events) - 2 * len(matches)
    assert {reason for _, _, reason in drops} == {OVERFLOW, UNPAIRED}
    told = {(stream, stamp) for stream, stamp, _ in drops}
    assert not told & {(THERMAL, match.thermal) for match in matches}
    assert not told & {(VISIBLE, match.visible) for match in matches}


def test_the_stock_policies_drop_what_no_message_can_be_and_what_waits_at_a_jump():
    pairer, drops = stock_pairer(policy="exact", thermal_offset=-2.0)
    pairer.add(THERMAL, S, None)
    pairer.add(VISIBLE, 5 * S, None)
    pairer.add(VISIBLE, 3 * S, None, begins_anew=True)
    assert drops == [(THERMAL, S, UNPAIRED), (VISIBLE, 5 * S, RESET)]
    pairer.reconfigure(PairingConfig(policy="exact"))
    assert drops[2:] == [(VISIBLE, 3 * S, RESET)]


def test_the_stock_policies_keep_the_limits_of_the_queues():
    pairer, drops = stock_pairer(policy="exact", queue_time=1.0, queue_memory=10)
    for stamp in ticks(10, 3):
        pairer.add(VISIBLE, stamp, None, nbytes=1000)
    assert [stamp for _, stamp, _ in drops] == ticks(10, 3)[:-11]
    pairer.add(VISIBLE, 4 * S, None, nbytes=9_995_000)
    assert len(drops) == 30 - 5


def test_without_message_filters_the_stock_policies_say_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "message_filters", None)
    with pytest.raises(MissingDependencyError, match=r"sync\.policy exact needs message_filters"):
        StockPairer(PairingConfig(policy="exact"))
