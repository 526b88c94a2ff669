"""Pairing of the two streams: what the stock synchronizer does wrong, the matching itself, faults of clocks.

The pairer stands behind the stream clock, as it always does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.perception import pairing, stream_clock
from hkdnet_ros.perception.pairing import Match, PairingConfig, StampPairer
from hkdnet_ros.perception.synchronizer import StreamSynchronizer

MS = 1_000_000
SECOND = 1_000_000_000
Event = tuple[str, int]


def ticks(rate: float, duration: float = 3.0, start: float = 1.0, phase: float = 0.0) -> list[int]:
    """Stamps of a camera at ``rate`` Hz, in ns."""
    return [round((start + phase + n / rate) * SECOND) for n in range(int(duration * rate))]


def in_order(thermal: Iterable[int], visible: Iterable[int]) -> list[Event]:
    """Both streams arriving in the order of their stamps."""
    return sorted([(THERMAL, t) for t in thermal] + [(VISIBLE, v) for v in visible], key=lambda event: event[1])


def feed(pairer: Pairer, events: Iterable[Event]) -> list[Match[int]]:
    """Send stamps as their own payloads, so that a match tells what was paired."""
    return [match for stream, stamp in events for match in pairer.add(stream, stamp, stamp)]


def stamps(matches: Iterable[Match[int]]) -> list[tuple[int, int]]:
    return [(match.thermal, match.visible) for match in matches]


class Pairer(StreamSynchronizer[int]):
    """Counts what goes in and comes out."""

    def __init__(self, config: PairingConfig | None = None) -> None:
        super().__init__(config)
        self.received = self.pairs = 0

    def add(self, stream: str, stamp_ns: int, payload: int) -> list[Match[int]]:
        self.received += 1
        matches = super().add(stream, stamp_ns, payload)
        self.pairs += len(matches)
        return matches

    def flush(self) -> list[Match[int]]:
        matches = super().flush()
        self.pairs += len(matches)
        return matches


def assert_all_accounted_for(pairer: Pairer) -> None:
    """End the streams; what came in must have been paired or dropped."""
    pairer.flush()
    assert pairer.received == 2 * pairer.pairs + sum(pairer.drops.values())


# Where message_filters.ApproximateTimeSynchronizer fails


def test_pairs_each_thermal_image_with_the_nearest_visible_one() -> None:
    thermal, visible = ticks(9, 10), ticks(30, 10)
    matches = feed(Pairer(PairingConfig(slop=0.1)), in_order(thermal, visible))
    assert len(matches) == len(thermal)
    for match in matches:
        assert match.visible == min(visible, key=lambda v: abs(v - match.thermal))
    mean_skew = sum(abs(match.skew_ns) for match in matches) / len(matches)
    assert mean_skew == pytest.approx(7.4 * MS, abs=0.05 * MS)


def test_slop_of_zero_pairs_identical_stamps() -> None:
    pairer = Pairer(PairingConfig(slop=0.0))
    events = in_order([10, 20, 30], [10, 21, 30])
    assert stamps(feed(pairer, events)) == [(10, 10), (30, 30)]
    assert pairer.drops == {pairing.UNPAIRED: 2}


@pytest.mark.parametrize(
    ("thermal", "visible"),
    [
        (ticks(9, 3.0), ticks(30, 4.0)),
        (ticks(9, 4.0), ticks(30, 3.0)),
        (ticks(9, 2.0, start=3.0), ticks(30, 4.0)),
        (ticks(9, 4.0), ticks(30, 2.0, start=3.0)),
    ],
    ids=["visible ends later", "thermal ends later", "thermal starts later", "visible starts later"],
)
def test_looping_bag_in_which_one_stream_is_longer_keeps_pairing(thermal: list[int], visible: list[int]) -> None:
    pairer = Pairer()
    found = feed(pairer, in_order(thermal, visible) * 3)
    assert stamps([*found, *pairer.flush()]) == closest_first(thermal, visible, 50 * MS) * 3
    unpaired = 3 * (len(thermal) + len(visible) - 2 * len(closest_first(thermal, visible, 50 * MS)))
    assert sum(pairer.drops.values()) == unpaired


def test_a_raising_callback_leaves_nothing_locked() -> None:
    pairer = Pairer()

    def receive(stream: str, stamp: int) -> None:
        for _ in pairer.add(stream, stamp, stamp):
            raise RuntimeError("callback failed")

    receive(THERMAL, 1 * SECOND)
    with pytest.raises(RuntimeError):
        receive(VISIBLE, 1 * SECOND)
    with pytest.raises(RuntimeError):
        receive(VISIBLE, 2 * SECOND) or receive(THERMAL, 2 * SECOND)


@pytest.mark.parametrize("offset", [-0.3, 0.3, 1.7e9])
@pytest.mark.parametrize("offset_stream_last", [False, True])
def test_offset_stream_pairs_in_either_order_of_arrival(offset: float, offset_stream_last: bool) -> None:
    pairer = Pairer(PairingConfig(slop=0.001, thermal_offset=offset))
    for n in range(20):
        visible = (2_000_000_000 + n) * SECOND
        thermal = visible - round(offset * SECOND)
        events = [(THERMAL, thermal), (VISIBLE, visible)]
        (match,) = feed(pairer, events[::-1] if offset_stream_last else events)
        assert (match.thermal, match.visible, match.skew_ns) == (thermal, visible, 0)


# The matching


def closest_first(thermal: Sequence[int], visible: Sequence[int], slop: int) -> list[tuple[int, int]]:
    """The definition: the nearest two are a pair, then both sides of it likewise; of equal ones the earliest."""
    if not thermal or not visible:
        return []
    distance, t, v = min((abs(t - v), t, v) for t in thermal for v in visible)
    if distance > slop:
        return []
    before = closest_first([x for x in thermal if x < t], [x for x in visible if x < v], slop)
    after = closest_first([x for x in thermal if x > t], [x for x in visible if x > v], slop)
    return [*before, (t, v), *after]


def mutually_nearest(thermal: Sequence[int], visible: Sequence[int], slop: int) -> set[tuple[int, int]]:
    """Pairs in which each is the other's one nearest."""

    def nearest(stamp: int, others: Sequence[int]) -> int | None:
        ranked = sorted(others, key=lambda other: abs(other - stamp))
        tie = len(ranked) > 1 and abs(ranked[0] - stamp) == abs(ranked[1] - stamp)
        return ranked[0] if ranked and not tie and abs(ranked[0] - stamp) <= slop else None

    return {(t, v) for t in thermal for v in visible if nearest(t, visible) == v and nearest(v, thermal) == t}


@st.composite
def any_streams(draw: st.DrawFn) -> tuple[list[int], list[int], list[Event]]:
    """Two streams of any rising stamps, and an order of arrival that lets either lag behind at will."""
    thermal = sorted(draw(st.sets(st.integers(1, 150), max_size=25)))
    visible = sorted(draw(st.sets(st.integers(1, 150), max_size=25)))
    turns = draw(st.permutations([THERMAL] * len(thermal) + [VISIBLE] * len(visible)))
    queues = {THERMAL: iter(thermal), VISIBLE: iter(visible)}
    return thermal, visible, [(stream, next(queues[stream])) for stream in turns]


@st.composite
def camera_streams(draw: st.DrawFn) -> tuple[list[int], list[int], list[Event]]:
    """Two cameras at steady rates with a little jitter and lost images, each with its own transport delay."""
    streams = []
    for _ in range(2):
        period = draw(st.integers(20, 120)) * MS
        count = draw(st.integers(5, 40))
        jitter = draw(st.lists(st.integers(-period // 50, period // 50), min_size=count, max_size=count))
        kept = draw(st.lists(st.booleans() | st.just(True), min_size=count, max_size=count))
        phase = SECOND + draw(st.integers(0, period))
        streams.append([phase + n * period + jitter[n] for n in range(count) if kept[n] or n < 5])
    delay = draw(st.integers(-150, 150)) * MS
    events = sorted(
        [(THERMAL, t) for t in streams[0]] + [(VISIBLE, v) for v in streams[1]],
        key=lambda event: event[1] + (delay if event[0] == THERMAL else 0),
    )
    return streams[0], streams[1], events


@given(any_streams(), st.integers(0, 60))
def test_matches_are_closest_first_whatever_the_order_of_arrival(
    streams: tuple[list[int], list[int], list[Event]], slop: int
) -> None:
    thermal, visible, events = streams
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "_ENOUGH_INTERVALS", 1000)  # no estimate: exact for stamps that follow no rate
        pairer = Pairer(PairingConfig(slop=slop / SECOND, queue_size=100))
        matches = stamps([*feed(pairer, events), *pairer.flush()])
    assert matches == closest_first(thermal, visible, slop)
    assert mutually_nearest(thermal, visible, slop) <= set(matches)
    assert_all_accounted_for(pairer)


@given(camera_streams(), st.integers(1, 100))
def test_estimated_intervals_do_not_change_what_steady_cameras_pair(
    streams: tuple[list[int], list[int], list[Event]], slop_ms: int
) -> None:
    thermal, visible, events = streams
    pairer = Pairer(PairingConfig(slop=slop_ms / 1000, queue_size=100))
    matches = stamps([*feed(pairer, events), *pairer.flush()])
    assert matches == closest_first(thermal, visible, slop_ms * MS)


@given(
    st.lists(st.tuples(st.sampled_from([THERMAL, VISIBLE]), st.integers(0, 60)), max_size=200),
    st.integers(0, 10),
    st.integers(1, 5),
)
def test_any_sequence_of_stamps_is_survived_and_accounted_for(events: list[Event], slop: int, queue_size: int) -> None:
    pairer = Pairer(PairingConfig(slop=slop / SECOND, queue_size=queue_size))
    used: list[tuple[str, int]] = []
    for position, (stream, stamp) in enumerate(events):
        for match in pairer.add(stream, stamp, position):
            used += [(THERMAL, match.thermal), (VISIBLE, match.visible)]
            assert abs(match.skew_ns) <= slop
            assert match.skew_ns == events[match.thermal][1] - events[match.visible][1]
    paired = pairer.pairs
    assert_all_accounted_for(pairer)
    assert len(used) == 2 * paired
    assert len(used) == len(set(used))
    for stream in (THERMAL, VISIBLE):
        positions = [position for name, position in used if name == stream]
        assert positions == sorted(positions)


# Delay


def test_identical_stamps_pair_at_once_from_the_first() -> None:
    pairer = Pairer()
    for stamp in ticks(9):
        assert pairer.add(VISIBLE, stamp, 0) == []
        assert len(pairer.add(THERMAL, stamp, 0)) == 1


@pytest.mark.parametrize("phase_ms", [-16, -10, -3, 3, 10, 16])
def test_thermal_image_waits_for_a_nearer_visible_one_and_never_for_the_next_thermal(phase_ms: int) -> None:
    pairer = Pairer()
    for stream, arrived in in_order(ticks(10, phase=phase_ms / 1000), ticks(30)):
        for match in pairer.add(stream, arrived, arrived):
            if match.thermal > 1.4 * SECOND:
                later = max(match.thermal, match.visible)
                assert arrived == later or (stream == VISIBLE and arrived - later <= 34 * MS)


def test_equal_rates_pair_at_once_unless_half_a_period_apart() -> None:
    for phase_ms in (-14, -5, 5, 14):
        pairer = Pairer()
        for stream, arrived in in_order(ticks(30), ticks(30, phase=phase_ms / 1000)):
            for match in pairer.add(stream, arrived, arrived):
                assert arrived == max(match.thermal, match.visible) or arrived < 1.2 * SECOND
        assert pairer.pairs == 90


def test_a_pair_whose_earlier_stream_died_goes_out_when_the_queue_is_full() -> None:
    pairer = Pairer(PairingConfig(queue_size=3))
    visible = ticks(30, 1.0)
    matches = [feed(pairer, [(THERMAL, visible[0] - 10 * MS)])] + [feed(pairer, [(VISIBLE, v)]) for v in visible]
    assert [len(found) for found in matches[:6]] == [0, 0, 0, 0, 1, 0]
    assert pairer.flush() == []
    assert pairer.drops == {pairing.OVERFLOW: len(visible) - 1 - 3, pairing.UNPAIRED: 3}


# Streams that come late


def late(thermal: Sequence[int], visible: Sequence[int], delays: dict[str, float]) -> list[Event]:
    """Both streams in the order of arrival, each later than stamped by its delay in s."""
    return sorted(in_order(thermal, visible), key=lambda event: event[1] + delays[event[0]] * SECOND)


@pytest.mark.parametrize("late_stream", [THERMAL, VISIBLE])
@pytest.mark.parametrize("delay", [0.1, 0.6, 0.95])
def test_streams_of_60_and_30_hz_of_which_one_comes_late_pair_all_by_default(late_stream: str, delay: float) -> None:
    thermal, visible = ticks(60, 7.4), ticks(30, 7.4)
    pairer = Pairer()
    matches = feed(pairer, late(thermal, visible, {THERMAL: 0, VISIBLE: 0} | {late_stream: delay}))
    assert stamps([*matches, *pairer.flush()]) == [(stamp, stamp) for stamp in visible]
    assert_all_accounted_for(pairer)


@pytest.mark.parametrize(("queue_time", "count"), [(0.55, 17), (0.65, 90)])  # 17: those that wait when the stream ends
def test_images_wait_for_a_partner_for_the_time_of_the_queue(queue_time: float, count: int) -> None:
    pairer = Pairer(PairingConfig(slop=0.01, queue_time=queue_time))
    events = late(ticks(30), ticks(30), {THERMAL: 0.0, VISIBLE: 0.6})
    assert len(feed(pairer, events)) == count
    assert (pairer.drops[pairing.OVERFLOW] > 0) == (count < 90)


def test_images_wait_as_long_as_their_memory_lasts() -> None:
    drops: list[tuple[str, int, str]] = []
    pairer: StampPairer[int] = StampPairer(PairingConfig(queue_memory=20), lambda *drop: drops.append(drop))
    for stamp in ticks(30, 0.5):
        pairer.add(VISIBLE, stamp, stamp, nbytes=6_000_000)
    assert drops == [(VISIBLE, stamp, pairing.OVERFLOW) for stamp in ticks(30, 0.5)[:-3]]
    pairer.add(VISIBLE, 2 * SECOND, 0, nbytes=60_000_000)  # a single one always waits
    assert [match.skew_ns for match in pairer.add(THERMAL, 2 * SECOND, 0)] == [0]


@pytest.mark.parametrize("period", [1.0, 5.0])
def test_cameras_that_send_less_than_one_image_in_the_time_of_the_queue_pair_all_the_same(period: float) -> None:
    pairer = Pairer(PairingConfig(slop=0.1))
    thermal = ticks(1 / period, 10 * period)
    visible = [stamp + 80 * MS for stamp in thermal]
    matches = feed(pairer, in_order(thermal, visible))
    assert stamps([*matches, *pairer.flush()]) == list(zip(thermal, visible, strict=True))


# Faults of the streams


def test_dead_stream_drops_the_oldest_of_the_other_and_pairs_again_when_it_returns() -> None:
    pairer = Pairer(PairingConfig(queue_size=5))
    visible = ticks(30, 4.0)
    thermal = [t for t in ticks(10, 4.0) if not 2 * SECOND < t < 4 * SECOND]
    matches = feed(pairer, in_order(thermal, visible))
    assert len(matches) == len(thermal)
    assert pairer.drops[pairing.OVERFLOW] > 40
    assert_all_accounted_for(pairer)


def test_stamp_of_zero_and_duplicates_are_counted() -> None:
    pairer = Pairer()
    feed(pairer, [(THERMAL, 0), (THERMAL, 5), (THERMAL, 5), (VISIBLE, 0), (VISIBLE, 5), (VISIBLE, 5)])
    assert pairer.drops == {stream_clock.ZERO_STAMP: 2, stream_clock.DUPLICATE: 2}
    assert pairer.pairs == 1


def test_message_out_of_order_is_counted_as_late_and_the_rest_pairs() -> None:
    visible = ticks(30)
    swapped = visible.copy()
    swapped[10], swapped[11] = swapped[11], swapped[10]
    pairer = Pairer()
    matches = []
    for arrived, stamp in zip(swapped, visible, strict=True):
        matches += feed(pairer, [(VISIBLE, arrived), (THERMAL, stamp)])
    assert stamps(matches) == [(stamp, stamp) for stamp in visible if stamp != visible[10]]
    assert pairer.drops == {stream_clock.LATE: 1, pairing.UNPAIRED: 1}


@pytest.mark.parametrize("first", [THERMAL, VISIBLE])
def test_old_run_never_pairs_with_the_new_one_where_one_stream_has_yet_to_loop(first: str) -> None:
    second = VISIBLE if first == THERMAL else THERMAL
    bag = ticks(30, duration=0.5)
    pairer = Pairer(PairingConfig(slop=0.2))
    runs: dict[int, str] = {}

    def send(stream: str, run: int, position: int) -> list[tuple[str, str]]:
        matches = pairer.add(stream, bag[position], len(runs))
        runs[len(runs)] = f"{run}.{position}"
        return [(runs.get(m.thermal, f"{run}.{position}"), runs.get(m.visible, f"{run}.{position}")) for m in matches]

    found = []
    for position in range(15):
        found += send(first, 0, position)
        if position < 11:
            found += send(second, 0, position)
    for position in range(8):  # the first stream loops while the second still has four images of the old run to send
        found += send(first, 1, position)
        found += send(second, 0, 11 + position) if position < 4 else send(second, 1, position - 4)
    for position in range(8, 15):
        found += send(first, 1, position)
        found += send(second, 1, position - 4)
    assert found == [(f"0.{n}",) * 2 for n in range(11)] + [(f"1.{n}",) * 2 for n in range(11)]
    assert pairer.drops == {pairing.RESET: 8}
    assert_all_accounted_for(pairer)


def test_pair_that_waits_when_a_clock_jumps_back_is_not_lost() -> None:
    pairer = Pairer()
    assert feed(pairer, [(THERMAL, 10 * SECOND), (VISIBLE, 10 * SECOND + 5 * MS)]) == []
    assert stamps(feed(pairer, [(THERMAL, 2 * SECOND)])) == [(10 * SECOND, 10 * SECOND + 5 * MS)]
    assert stamps(feed(pairer, [(VISIBLE, 2 * SECOND)])) == [(2 * SECOND, 2 * SECOND)]
    assert pairer.drops == {}


def test_stream_that_never_follows_a_jump_is_not_blocked() -> None:
    """One camera's clock steps back by less than the slop and the other's does not."""
    pairer = Pairer(PairingConfig(slop=0.1, queue_size=5))
    feed(pairer, in_order(ticks(30, 1.0), ticks(30, 1.0)))
    after = feed(pairer, in_order(ticks(30, 2.0, start=1.9), ticks(30, 2.0, start=2.0)))
    assert len(after) >= 60 - 2 * 5
    assert_all_accounted_for(pairer)


def test_one_stamp_far_in_the_future_does_not_block() -> None:
    events = in_order(ticks(30), ticks(30))
    events.insert(60, (THERMAL, 1000 * SECOND))
    pairer = Pairer()
    assert len(feed(pairer, events)) >= 90 - 11
    assert_all_accounted_for(pairer)


@pytest.mark.parametrize("length", [2, 3, 4, 5, 9])
def test_short_loops_keep_pairing(length: int) -> None:
    pairer = Pairer()
    counts = [len(feed(pairer, in_order(ticks(10, length / 10), ticks(10, length / 10)))) for _ in range(4)]
    assert counts == [length] * 4


def test_reset_forgets_what_waits_and_the_clocks() -> None:
    pairer: StampPairer[int] = StampPairer()
    for stream, stamp in ((THERMAL, 9), (VISIBLE, 9), (THERMAL, 10)):
        pairer.add(stream, stamp * SECOND, stamp)
    pairer.reset()
    assert pairer.add(VISIBLE, 10 * SECOND, 0) == []
    assert len(pairer.add(THERMAL, 10 * SECOND + 1, 0)) == 0  # an equally near one may come, for all that is known
    assert len(pairer.add(THERMAL, 11 * SECOND, 0)) == 0
    assert len(pairer.add(VISIBLE, 12 * SECOND, 0)) == 1
    assert pairer.drops == {pairing.RESET: 1, pairing.UNPAIRED: 1}


def test_each_drop_is_told_with_its_stream_stamp_and_reason() -> None:
    told: list[tuple[str, int, str]] = []
    pairer: StampPairer[int] = StampPairer(
        PairingConfig(slop=0.01, queue_size=2, visible_offset=0.5), lambda *drop: told.append(drop)
    )
    for stamp in (1 * SECOND, 2 * SECOND, 3 * SECOND):
        pairer.add(VISIBLE, stamp, 0)
    pairer.add(THERMAL, 4 * SECOND, 0)
    assert told == [
        (VISIBLE, 1 * SECOND, pairing.OVERFLOW), (VISIBLE, 2 * SECOND, pairing.UNPAIRED),
        (VISIBLE, 3 * SECOND, pairing.UNPAIRED),
    ]  # fmt: skip
    pairer.reset()
    assert told[3:] == [(THERMAL, 4 * SECOND, pairing.RESET)]
    assert pairer.drops == {pairing.OVERFLOW: 1, pairing.UNPAIRED: 2, pairing.RESET: 1}


def test_threads_share_a_pairer() -> None:
    pairer = Pairer(PairingConfig(slop=0.0, queue_size=1000))
    found: list[Match[int]] = []

    def send(stream: str) -> None:
        for stamp in range(1, 501):
            found.extend(pairer.add(stream, stamp, stamp))

    threads = [threading.Thread(target=send, args=(stream,)) for stream in (THERMAL, VISIBLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stamps(found)) == [(n, n) for n in range(1, 501)]


@pytest.mark.parametrize("wrong", [{"slop": -0.1}, {"slop": float("nan")}, {"queue_size": 0}, {"thermal_offset": 1e12}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PairingConfig(**wrong)  # type: ignore[arg-type]


def test_another_offset_holds_for_what_waits_as_well() -> None:
    pairer: StampPairer[int] = StampPairer(PairingConfig(slop=0.01))
    assert pairer.add(THERMAL, SECOND, 0) == []
    pairer.reconfigure(PairingConfig(slop=0.01, thermal_offset=0.5))
    assert [match.skew_ns for match in pairer.add(VISIBLE, SECOND + 500 * MS, 0)] == [0]
