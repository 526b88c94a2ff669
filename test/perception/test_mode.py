"""Modes: which stream is lost when, what is published then, and the way back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.perception.mode import FUSED, STOP, STOPPED, ModeConfig, ModeSelector
from hkdnet_ros.perception.shutter import FROZEN, LIVE

MS = 1_000_000
PERIODS = {THERMAL: 110, VISIBLE: 33}  # ms
BOTH = (THERMAL, VISIBLE)


class World:
    """Cameras that send at their rates, a timer every 50 ms, and the changes of the mode with their times in s."""

    def __init__(self, config: ModeConfig | None = None, **options: str) -> None:
        self.ms = 5000
        self.selector = ModeSelector(config or ModeConfig(), self.ms * MS, **options)
        self.causes: list[str] = []
        self.troubles: list[bool] = []

    def set_clock(self, ms: int) -> None:
        """Set the clock, which may go back."""
        self.ms = ms
        self.selector.clock_was_set(ms * MS)

    def run(
        self,
        seconds: float,
        streams: tuple[str, ...] = BOTH,
        reason: str = LIVE,
        visible_reason: str = LIVE,
    ) -> list[tuple[float, str]]:
        """Let time pass with images of ``streams`` only; return the changes, timed from the beginning of this run."""
        begin, changes = self.ms, []
        while self.ms < begin + seconds * 1000:
            self.ms += 1
            arrived = [stream for stream in streams if self.ms % PERIODS[stream] == 0]
            for stream in arrived:
                self.selector.arrived(stream, self.ms * MS)
                if stream == THERMAL:
                    self.selector.interrupted(THERMAL, reason, self.ms * MS)
                else:
                    self.selector.interrupted(VISIBLE, visible_reason, self.ms * MS)
            if arrived or self.ms % 50 == 0:
                change = self.selector.update(self.ms * MS)
                if change:
                    assert self.selector.mode == change.mode
                    changes.append(((self.ms - begin) / 1000, change.mode))
                    self.causes.append(change.cause)
                    self.troubles.append(change.is_trouble)
        return changes


def about(seconds: float) -> float:
    """Equal to a time that is off by no more than the slower camera sends two images in."""
    return pytest.approx(seconds, abs=2 * PERIODS[THERMAL] / 1000)  # type: ignore[no-any-return]


def test_two_live_cameras_are_fused_and_nothing_is_said() -> None:
    assert World().run(10) == []


# A stream is lost


def test_without_thermal_images_the_visible_ones_go_on_alone() -> None:
    world = World()
    world.run(5)
    assert world.run(10, (VISIBLE,)) == [(about(1.0), VISIBLE)]
    assert world.causes == ["no thermal image in time for 1.0 s"]


def test_without_visible_images_nothing_is_published_by_default() -> None:
    world = World()
    world.run(5)
    assert world.run(10, (THERMAL,)) == [(about(1.0), STOPPED)]
    assert world.causes[0].startswith("no visible image in time for 1.")


@pytest.mark.parametrize(
    ("policy", "survivor", "mode"),
    [
        ({"without_thermal": VISIBLE}, VISIBLE, VISIBLE),
        ({"without_thermal": STOP}, VISIBLE, STOPPED),
        ({"without_visible": THERMAL}, THERMAL, THERMAL),
        ({"without_visible": STOP}, THERMAL, STOPPED),
    ],
)
def test_each_loss_has_its_policy(policy: dict[str, str], survivor: str, mode: str) -> None:
    world = World(ModeConfig(**policy))  # type: ignore[arg-type]
    world.run(5)
    assert [name for _, name in world.run(5, (survivor,))] == [mode]


def test_stream_that_never_came_is_lost() -> None:
    assert World().run(5, (VISIBLE,)) == [(about(1.0), VISIBLE)]


def test_limit_is_the_configured_one_and_may_be_changed() -> None:
    world = World(ModeConfig(limit=0.3))
    world.run(5)
    assert world.run(1, (VISIBLE,)) == [(about(0.3), VISIBLE)]
    world.run(5)
    world.selector.config = ModeConfig(limit=2.0)
    assert world.run(5, (VISIBLE,)) == [(about(2.0), VISIBLE)]


def test_end_of_both_streams_stops_without_a_mode_between() -> None:
    world = World()
    world.run(5)
    assert world.run(10, ()) == [(about(1.0), STOPPED)]
    assert world.causes == ["neither camera has sent an image for 1.0 s"]


def test_before_the_first_image_of_all_nothing_is_wrong_yet() -> None:
    world = World()
    assert world.run(30, ()) == [(about(1.0), STOPPED)]
    assert world.run(5) == [(about(0.0), FUSED)]
    assert world.run(5, ()) == [(about(1.0), STOPPED)]
    assert world.causes == [
        "no camera has sent an image yet",
        "both cameras send live images again",
        "neither camera has sent an image for 1.0 s",
    ]
    assert world.troubles == [False, False, True]


def test_a_camera_that_is_alone_from_the_start_is_trouble() -> None:
    world = World()
    assert world.run(5, (VISIBLE,)) == [(about(1.0), VISIBLE)]
    assert world.troubles == [True]


def test_second_loss_stops() -> None:
    world = World()
    world.run(5)
    world.run(5, (VISIBLE,))
    assert world.run(5, ()) == [(about(1.0), STOPPED)]


def test_loss_of_the_other_stream_changes_over_at_once() -> None:
    world = World(ModeConfig(without_visible=THERMAL))
    world.run(5)
    world.run(5, (VISIBLE,))
    assert world.run(5, (THERMAL,)) == [(about(1.0), THERMAL)]


def test_images_that_come_too_late_for_a_pair_are_no_sign_of_life() -> None:
    selector = ModeSelector(ModeConfig(), 0)
    modes = []
    for ms in range(0, 5000, 100):
        selector.arrived(VISIBLE, ms * MS)
        selector.arrived(THERMAL, ms * MS, lag_ns=1500 * MS)
        change = selector.update(ms * MS)
        modes += [change.mode] if change else []
    assert modes == [VISIBLE]


# The thermal image is no live view


def test_frozen_thermal_image_is_borne_up_to_its_limit() -> None:
    world = World()
    world.run(5)
    assert world.run(2.8, reason=FROZEN) == []
    assert world.run(2.8) == []
    assert world.run(10, reason=FROZEN) == [(about(3.0), VISIBLE)]
    assert world.causes == ["thermal image is frozen for 3.0 s"]


def test_shutter_action_visible_leaves_the_thermal_image_out_at_once() -> None:
    world = World(ModeConfig(without_thermal=STOP), shutter_action=VISIBLE)
    world.run(5)
    assert world.run(2, reason=FROZEN) == [(about(0.0), VISIBLE)]
    assert world.run(5) == [(about(1.0), FUSED)]
    assert [mode for _, mode in world.run(5, reason=FROZEN)] == [VISIBLE, STOPPED]


def test_frozen_thermal_image_is_no_substitute_for_the_visible_one() -> None:
    world = World(ModeConfig(without_visible=THERMAL))
    world.run(5)
    assert [mode for _, mode in world.run(10, (THERMAL,), reason=FROZEN)] == [THERMAL, STOPPED]
    assert world.causes[-1].startswith("no visible image in time for 3.")
    assert "thermal image is frozen for 3." in world.causes[-1]


@pytest.mark.parametrize(("policy", "mode"), [(THERMAL, THERMAL), (STOP, STOPPED)])
def test_frozen_visible_image_is_lost_after_its_limit(policy: str, mode: str) -> None:
    world = World(ModeConfig(without_visible=policy))
    world.run(5)
    assert world.run(6, visible_reason=FROZEN) == [(about(3.0), mode)]
    assert world.causes[-1].startswith("visible image is frozen for 3.")
    assert [change for _, change in world.run(5)] == [FUSED]


# The way back


def test_lost_stream_that_is_back_is_fused_after_settling() -> None:
    world = World()
    world.run(5)
    world.run(5, (VISIBLE,))
    assert world.run(10) == [(about(1.0), FUSED)]
    assert world.causes[-1] == "both cameras send live images again"


def test_stream_that_comes_and_goes_does_not_make_the_mode_flap() -> None:
    world = World()
    world.run(5)
    changes = []
    for _ in range(10):
        changes += world.run(0.3)
        changes += world.run(1.5, (VISIBLE,))
    assert [mode for _, mode in changes] == [VISIBLE]


def test_after_a_stop_an_image_of_each_camera_is_enough() -> None:
    world = World()
    world.run(5)
    world.run(5, ())
    assert world.run(5) == [(about(0.1), FUSED)]


def test_after_a_stop_one_camera_has_the_limit_before_it_goes_on_alone() -> None:
    world = World()
    world.run(5)
    world.run(5, ())
    assert world.run(5, (VISIBLE,)) == [(about(1.0), VISIBLE)]


# What is true now


def test_the_cause_is_that_of_now_and_not_of_the_change() -> None:
    world = World()
    assert world.selector.cause(world.ms * MS) == ""
    world.run(5)
    world.run(3, ())
    assert world.selector.cause(world.ms * MS).startswith("neither camera has sent an image for 3.")
    world.run(0.5, (THERMAL,))
    assert world.selector.cause(world.ms * MS) == "no visible image yet, for less than mode.limit"
    world.run(2.5, (THERMAL,))  # still stopped, for another reason
    assert world.selector.mode == STOPPED
    assert world.selector.cause(world.ms * MS).startswith("no visible image in time for 2.")
    world.run(0.3)
    assert world.selector.cause(world.ms * MS) == "both cameras send live images again"
    world.run(3, (VISIBLE,))
    world.run(0.5)
    assert world.selector.mode == VISIBLE
    assert world.selector.cause(world.ms * MS) == "both cameras send again, for less than mode.return_time"


def test_images_of_no_use_are_no_sign_of_life_and_their_reason_is_part_of_the_cause() -> None:
    selector = ModeSelector(ModeConfig(), 0)
    for ms in range(0, 3000, 100):
        selector.arrived(VISIBLE, ms * MS)
        selector.refused(THERMAL, "bad thermal image", ms * MS)
        selector.update(ms * MS)
    assert selector.mode == VISIBLE
    assert selector.cause(2900 * MS) == "no thermal image in time for 2.9 s (bad thermal image)"
    for ms in range(3000, 6000, 100):
        selector.refused(THERMAL, "bad thermal image", ms * MS)
        selector.refused(VISIBLE, "zero stamp", ms * MS)
    selector.update(6000 * MS)
    sent = "neither camera has sent a usable image for 3.1 s (thermal: bad thermal image, visible: zero stamp)"
    assert (selector.mode, selector.cause(6000 * MS)) == (STOPPED, sent)
    for ms in range(6000, 9000, 100):
        selector.arrived(VISIBLE, ms * MS)
        selector.arrived(THERMAL, ms * MS, lag_ns=2300 * MS)
    assert selector.cause(9000 * MS).endswith("(2.3 s late)")
    selector.arrived(THERMAL, 9000 * MS)
    assert "bad" not in selector.cause(9000 * MS)


# Slow cameras


@pytest.mark.parametrize("period", [1.0, 1.5, 5.0])
@pytest.mark.parametrize("slow", [THERMAL, VISIBLE])
def test_a_camera_that_sends_once_in_seconds_is_fused_and_lost_by_its_own_rate(slow: str, period: float) -> None:
    selector = ModeSelector(ModeConfig(), 0)
    said, changes = [], []
    for ms in range(0, 120_000, 50):
        if ms % 100 == 0:
            selector.arrived(VISIBLE if slow == THERMAL else THERMAL, ms * MS)
        if ms % (period * 1000) == 0 and ms < 80_000:
            selector.arrived(slow, ms * MS)
        change = selector.update(ms * MS)
        changes += [(ms / 1000, change.mode)] if change else []
        said += [text for text in [selector.slow_camera()] if text]
    settled = [(at, mode) for at, mode in changes if at > 6 * period]
    last = period * (79_999 // (period * 1000))
    assert settled == [(pytest.approx(last + 2 * period, abs=0.2), VISIBLE if slow == THERMAL else STOPPED)]
    (text,) = said
    assert text == (
        f"a {slow} image comes every {period:.1f} s: the camera counts as lost after {2 * period:.1f} s without one, "
        "and not after mode.limit (1 s)"
    )


def test_a_slow_camera_goes_on_alone_where_the_fast_one_died() -> None:
    selector = ModeSelector(ModeConfig(without_visible=THERMAL), 0)
    modes = []
    for ms in range(0, 120_000, 50):
        if ms % 5000 == 0:
            selector.arrived(THERMAL, ms * MS)
        if ms % 100 == 0 and ms < 60_000:
            selector.arrived(VISIBLE, ms * MS)
        change = selector.update(ms * MS)
        modes += [(ms, change.mode)] if change else []
    assert [mode for ms, mode in modes if ms > 30_000] == [THERMAL]


def test_two_slow_cameras_are_no_silence() -> None:
    selector = ModeSelector(ModeConfig(), 0)
    changes = []
    for ms in range(0, 100_000, 50):
        if ms % 5000 == 0:
            selector.arrived(THERMAL, ms * MS)
            selector.arrived(VISIBLE, ms * MS)
        change = selector.update(ms * MS)
        changes += [ms / 1000] if change else []
    assert all(at < 25 for at in changes)
    assert selector.mode == FUSED


def test_a_camera_that_falters_is_no_slow_one() -> None:
    world = World()
    world.run(5)
    for _ in range(10):
        world.run(0.05, BOTH)
        world.run(1.9, (VISIBLE,))
    assert world.selector.mode == VISIBLE
    assert world.selector.slow_camera() == ""


# Clocks


def test_first_time_of_a_simulation_is_no_silence() -> None:
    selector = ModeSelector(ModeConfig(), 0)
    assert selector.update(0) is None
    selector.clock_was_set(1_700_000_000_000 * MS)  # /clock began
    assert selector.update(1_700_000_000_000 * MS) is None
    change = selector.update(1_700_000_002_000 * MS)
    assert change is not None
    assert change.mode == STOPPED
    assert change.cause == "no camera has sent an image yet"


def test_clock_that_goes_back_changes_nothing_and_limits_hold_from_there() -> None:
    world = World()
    world.run(20)
    world.set_clock(500)
    assert world.run(0.8, (VISIBLE,)) == []
    assert world.run(5) == []
    world.set_clock(500)
    assert world.run(5, (VISIBLE,)) == [(about(1.0), VISIBLE)]
    world.set_clock(500)
    assert world.run(5) == [(about(1.0), FUSED)]


streams = st.sampled_from([(), (THERMAL,), (VISIBLE,), BOTH])
policies = st.builds(
    ModeConfig, without_thermal=st.sampled_from([VISIBLE, STOP]), without_visible=st.sampled_from([THERMAL, STOP])
)


@given(policies, st.lists(st.tuples(st.floats(0.1, 3), streams, st.sampled_from([LIVE, FROZEN]), st.booleans())))
def test_whatever_happens_each_change_is_told_once_and_two_live_cameras_are_fused_again(
    config: ModeConfig, history: list[tuple[float, tuple[str, ...], str, bool]]
) -> None:
    world = World(config)
    modes = [FUSED]
    for seconds, sending, reason, goes_back in history[:8]:
        modes += [mode for _, mode in world.run(seconds, sending, reason)]
        if goes_back:
            world.set_clock(1000)
    modes += [mode for _, mode in world.run(3)]
    assert all(before != after for before, after in pairwise(modes))
    assert modes[-1] == world.selector.mode == FUSED
    assert len(world.causes) == len(modes) - 1
    assert all(cause and "\n" not in cause for cause in world.causes)


@pytest.mark.parametrize("wrong", [{"without_thermal": THERMAL}, {"without_visible": VISIBLE}, {"limit": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ModeConfig(**wrong)  # type: ignore[arg-type]
