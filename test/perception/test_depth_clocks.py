"""Depth where clocks jump: no pair loses a depth image that it has or gets that of another run, and nothing hangs."""

from __future__ import annotations

import numpy as np
import pytest
from core_rig import MS, NOW_NS
from test_session_registration import (
    depth_image,
    depths_used,
    drive,
    feed,
    receive_depth,
    thermal_image,
    visible_image,
)

ALL = ("thermal", "visible", "depth")
PERIOD_NS = 33 * MS
MAKE = {"thermal": thermal_image, "visible": visible_image, "depth": depth_image}


def drive_through_a_jump(core, jump_ns, who=ALL, delays_ms=(20, 60), every=1, is_clock_set=False, count=36):
    """Let all send, and the clocks of ``who`` jump in the middle; return (moment, moment of its depth) of each output.

    ``delays_ms`` are those of both cameras and of depth, of which every so many-th visible one has one.
    """
    random = np.random.default_rng(0)
    jumps_at_ns = NOW_NS + count // 2 * PERIOD_NS - 10 * MS
    delays_ns = dict(zip(ALL, (delays_ms[0] * MS, delays_ms[0] * MS, delays_ms[1] * MS), strict=True))
    events = [(NOW_NS + number * 100 * MS, "", 0) for number in range(count * PERIOD_NS // (100 * MS) + 8)]
    for number in range(count):
        for stream in ALL if number % every == 0 else ALL[:2]:
            moment_ns = NOW_NS + number * PERIOD_NS
            events.append((moment_ns + delays_ns[stream] + int(random.integers(0, 5 * MS)), stream, moment_ns))
    moments, used, take = {}, [], core.sink.fused

    def fused(output):
        depth = core.it._work.registration._depth
        used.append((moments[id(output.visible)], moments[id(depth)]))
        return take(output)

    core.sink.fused = fused
    frames = []  # kept, so that no other has its id
    for arrived_ns, stream, moment_ns in sorted(events):
        core.now_ns = arrived_ns + (jump_ns if is_clock_set and arrived_ns >= jumps_at_ns else 0)
        if not stream:
            core.it.tick(core.now_ns)
            continue
        frame = MAKE[stream](moment_ns + (jump_ns if stream in who and moment_ns >= jumps_at_ns else 0))
        frames.append(frame)
        moments[id(frame)] = moment_ns
        if stream == "depth":
            receive_depth(core, frame)
        else:
            core.receive(stream, frame)
    core.it.flush()
    return used


@pytest.mark.parametrize("is_clock_set", [False, True], ids=["bag", "simulation"])
@pytest.mark.parametrize("delays_ms", [(20, 60), (5, 95), (80, 5)], ids=["late", "later", "first"])
@pytest.mark.parametrize("jump_ms", [-140, -500, -900, -20_000])
def test_where_all_clocks_jump_back_each_pair_has_the_depth_image_of_its_moment(
    make_by_depth, jump_ms, delays_ms, is_clock_set
):
    core = make_by_depth()
    used = drive_through_a_jump(core, jump_ms * MS, delays_ms=delays_ms, is_clock_set=is_clock_set)
    assert all(moment == of_depth for moment, of_depth in used)
    assert len(used) == 36
    assert core.drops == {}


@pytest.mark.parametrize("delays_ms", [(20, 60), (80, 5)], ids=["late", "first"])
@pytest.mark.parametrize("jump_ms", [-90, -200, -330])
def test_slow_depth_whose_first_images_after_a_jump_look_late_counts(make_by_depth, jump_ms, delays_ms):
    core = make_by_depth()
    used = drive_through_a_jump(core, jump_ms * MS, delays_ms=delays_ms, every=2)
    assert core.drops.keys() <= {"late", "unpaired", "reset"}  # of the cameras, by a jump that nobody knows at once
    assert len(used) >= 32
    if jump_ms <= -200:
        assert max(abs(moment - of_depth) for moment, of_depth in used) == PERIOD_NS


@pytest.mark.parametrize("jump_ms", [150, 700, 20_000])
def test_where_all_clocks_leap_ahead_no_pair_is_dropped(make_by_depth, jump_ms):
    core = make_by_depth()
    used = drive_through_a_jump(core, jump_ms * MS, is_clock_set=jump_ms > 10_000)
    assert all(moment == of_depth for moment, of_depth in used)
    assert len(used) == 36
    assert core.drops == {}


@pytest.mark.parametrize("jump_ms", [-20, -500, -20_000, 500])
@pytest.mark.parametrize("who", [("thermal",), ("visible",), ("depth",)])
def test_where_one_clock_alone_jumps_only_pairs_without_a_depth_image_are_dropped(make_by_depth, who, jump_ms):
    """By their stamps: those that lie within the slop of one another are taken for one moment."""
    core = make_by_depth(**{"mode.limit": 60.0, "sync.queue_time": 30.0})
    used = drive_through_a_jump(core, jump_ms * MS, who)
    totals = core.it.totals()
    assert totals.published + core.drops.get("not registered", 0) == totals.pairs  # none waits for ever
    assert len(used) == totals.published >= 17
    if "depth" in who and jump_ms != -20:
        assert core.drops["not registered"] == (13 if jump_ms > 0 else 17)  # what no depth image is near to
        return
    assert "not registered" not in core.drops
    if who == ("thermal",):
        assert all(moment == of_depth for moment, of_depth in used)


def test_depth_is_judged_by_its_stamps_as_the_cameras_are(make_by_depth):
    core = make_by_depth()
    drive(core, 3, late_ns=0)
    for stamp_ns in (0, NOW_NS + 99 * MS, NOW_NS + 60 * MS, NOW_NS + 132 * MS):
        receive_depth(core, depth_image(stamp_ns))
    assert core.drops == {"zero stamp": 1, "duplicate": 1}
    assert core.it.health().stamp_oddities["depth"] == {"zero stamp": 1, "duplicate": 1, "late": 1}
    assert core.it.health().stamp_oddities["visible"] == {}


def test_depth_that_always_bears_one_stamp_is_said(make_by_depth):
    core = make_by_depth()
    for _ in range(30):
        receive_depth(core, depth_image(NOW_NS))
    assert core.drops == {"duplicate": 29}
    said = [line for line in core.logger.lines if "depth images bear the stamp of the one before" in line]
    assert len(said) == 1
    assert "sync." not in said[0]


def test_a_depth_image_out_of_order_registers_the_pair_that_comes_after_it(make_by_depth):
    core = make_by_depth(**{"registration.depth_slop": 0.01})
    used = depths_used(core)
    for milliseconds in (0, 200, 100):
        receive_depth(core, depth_image(NOW_NS + milliseconds * MS))
    for milliseconds in (0, 100, 200):
        feed(core, NOW_NS + milliseconds * MS)
    assert used == [NOW_NS + milliseconds * MS for milliseconds in (0, 100, 200)]
    assert core.drops == {}
