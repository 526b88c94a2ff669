"""Stamps of two clocks on one line of time, and images in order of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hkdnet_ros.sources.bags.common_time import REACH_NS, CommonTime, Stamped, in_order, least_delay

MS, S = 1_000_000, 1_000_000_000
EPOCH = 1_700_000_000 * S


def stamped(stamps, recorded, size=1):
    return [Stamped(stamp, at, size, stamp) for stamp, at in zip(stamps, recorded, strict=True)]


def times(images, note=lambda text: None):
    """Return the times of both streams' images, by stream."""
    common = CommonTime({stream: least_delay(own) for stream, own in images.items()}, note)
    stray = lambda: note("stray")  # noqa: E731
    return {stream: [time for time, _ in common.placed(stream, own, stray)] for stream, own in images.items()}


def test_stamps_of_one_clock_stay_as_they_are_however_late_the_recording():
    stamps = [EPOCH + index * 33 * MS for index in range(30)]
    thermal = stamped(stamps, [stamp + 5 * MS for stamp in stamps])
    visible = stamped([stamp + 7 * MS for stamp in stamps], [stamp + 600 * MS for stamp in stamps])
    found = times({"thermal": thermal, "visible": visible})
    assert found["thermal"] == stamps
    assert found["visible"] == [stamp + 7 * MS for stamp in stamps]


def test_stamps_of_two_epochs_are_put_side_by_side_and_the_offset_is_told():
    notes = []
    taken = [EPOCH + index * 33 * MS for index in range(30)]
    thermal = stamped(
        [stamp - EPOCH + 5 * S for stamp in taken], [stamp + (4 + index % 3) * MS for index, stamp in enumerate(taken)]
    )
    visible = stamped(taken, [stamp + (6 + index % 5) * MS for index, stamp in enumerate(taken)])
    found = times({"thermal": thermal, "visible": visible}, notes.append)
    for stream in found:
        assert all(abs(time - stamp) <= 10 * MS for time, stamp in zip(found[stream], taken, strict=True))
        steps = {later - earlier for earlier, later in zip(found[stream], found[stream][1:], strict=False)}
        assert steps == {33 * MS}  # the pace of the stamps, not that of the recorder
    (note,) = notes
    assert f"sync.thermal_offset: {(EPOCH - 5 * S - 2 * MS) / 1e9:.3f}" in note


def test_images_without_stamps_lie_where_they_were_recorded():
    notes = []
    recorded = [EPOCH + index * 40 * MS for index in range(5)]
    found = times({"thermal": stamped([0] * 5, recorded), "visible": stamped(recorded, recorded)}, notes.append)
    assert found["thermal"] == recorded
    assert notes == ["the thermal images bear no stamps that go on; the times of recording stand in for them"]


def test_unstamped_image_among_stamped_ones_lies_between_its_neighbours():
    taken = [EPOCH + index * 40 * MS for index in range(5)]
    images = stamped([5 * S, 0, 5 * S + 80 * MS, 5 * S + 120 * MS, 5 * S + 160 * MS], [at + 9 * MS for at in taken])
    found = times({"thermal": images, "visible": stamped([5 * S], [EPOCH])})["thermal"]
    assert found == [5 * S + index * 40 * MS for index in range(5)]


def test_clock_set_while_recording_goes_on_for_both_streams_alike():
    # Both cameras' clocks are set by half a century, one image of each in a row.
    notes = []
    recorded = [100 * S + index * 100 * MS for index in range(20)]
    set_at = [0] * 10 + [EPOCH] * 10
    thermal = stamped([at + leap for at, leap in zip(recorded, set_at, strict=True)], [at + 3 * MS for at in recorded])
    visible = stamped(
        [at + leap + 4 * MS for at, leap in zip(recorded, set_at, strict=True)], [at + 9 * MS for at in recorded]
    )
    found = times({"thermal": thermal, "visible": visible}, notes.append)
    assert [v - t for t, v in zip(found["thermal"], found["visible"], strict=True)] == [4 * MS] * 20
    assert found["thermal"] == recorded
    assert len(notes) == 1
    assert "the stamps of thermal leap by +1700000000.000 s" in notes[0]


@pytest.mark.parametrize("at", [0, 4, 8])
@pytest.mark.parametrize("stamp", [7 * S, EPOCH - 3 * S, EPOCH + 3600 * S])
def test_one_odd_stamp_is_left_out_and_moves_no_other(at, stamp):
    stamps = [EPOCH + index * 33 * MS for index in range(9)]
    recorded = [stamp + (index * 7 % 5) * MS for index, stamp in enumerate(stamps)]
    odd = [*stamps[:at], stamp, *stamps[at + 1 :]]
    notes = []
    common = CommonTime({"thermal": least_delay(stamped(odd, recorded)), "visible": 0}, notes.append)
    placed = common.placed("thermal", stamped(odd, recorded), lambda: notes.append("stray"))
    found = [time for time, _ in in_order(placed, lambda: notes.append("stray"))]
    assert set(found) >= set(stamps[:at] + stamps[at + 1 :])
    assert found == sorted(found)
    # The last may as well be the first of a new run, where it is put by the time of its recording.
    assert len(notes) == 1 or (at == 0 and stamp == EPOCH - 3 * S)


def test_clock_that_is_set_there_and_back_ends_as_it_began():
    stamps = [EPOCH + index * 100 * MS for index in range(30)]
    back = [*stamps[:10], *(stamp - 3 * S for stamp in stamps[10:20]), *stamps[20:]]
    assert times({"thermal": stamped(back, stamps), "visible": stamped(stamps, stamps)})["thermal"] == stamps


def test_stamps_that_stand_still_are_none():
    notes = []
    recorded = [EPOCH + index * 40 * MS for index in range(5)]
    found = times({"thermal": stamped([EPOCH] * 5, recorded), "visible": stamped(recorded, recorded)}, notes.append)
    assert found["thermal"] == recorded
    assert "no stamps that go on" in notes[0]


def test_pause_and_stall_are_no_leaps():
    # The camera rests for a minute; later the network holds images back for three seconds.
    stamps = [EPOCH, EPOCH + 60 * S, EPOCH + 60 * S + 33 * MS, EPOCH + 60 * S + 66 * MS]
    recorded = [EPOCH, EPOCH + 60 * S, EPOCH + 63 * S, EPOCH + 63 * S + 1]
    notes = []
    assert times({"thermal": stamped(stamps, recorded)}, notes.append)["thermal"] == stamps
    assert notes == []


@given(st.permutations(range(12)))
def test_any_order_within_two_seconds_is_put_right(order):
    images = stamped([EPOCH + index * REACH_NS // 12 for index in order], [0] * 12)
    found = [time for time, _ in in_order(((image.stamp_ns, image) for image in images), pytest.fail)]
    assert found == sorted(found)
    assert len(found) == 12


def test_order_over_a_long_stream_holds_two_seconds_of_it_and_no_more():
    held = 0
    most = 0

    def images():
        nonlocal held, most
        for index in range(1000):
            held += 1
            most = max(most, held)
            swapped = index ^ 7  # groups of eight images come the wrong way round
            yield EPOCH + swapped * 100 * MS, Stamped(0, 0, 1, swapped)

    found = []
    for _, payload in in_order(images(), pytest.fail):
        held -= 1
        found.append(payload)
    assert found == list(range(1000))
    assert most <= 30


def test_large_images_wait_only_as_far_as_memory_allows():
    held = most = 0

    def images():
        nonlocal held, most
        for index in range(100):
            held += 1
            most = max(most, held)
            yield index * MS, Stamped(0, 0, 30 << 20, index)

    for _ in in_order(images(), pytest.fail):
        held -= 1
    assert most == 5
