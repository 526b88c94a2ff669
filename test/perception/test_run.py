"""A recording through the core: the same in every run, with silences decided as on a robot."""

from __future__ import annotations

import dataclasses

import numpy as np
from core_rig import MS, NOW_NS, KeepingSink, S, bgr, calibration, noisy
from rigging import FakeEngine, Logger

from hkdnet_ros.node.schema import build
from hkdnet_ros.perception.incoming import Calibration, Incoming, ShutterFlag
from hkdnet_ros.perception.run import run
from hkdnet_ros.perception.session import Session
from hkdnet_ros.perception.worker import EVERY


def arrivals(times, streams=("thermal", "visible"), delay_ns=20 * MS):
    """Yield images of ``streams`` taken at ``times`` in s."""
    for seconds in times:
        for stream in streams:
            frame = (noisy if stream == "thermal" else bgr)(NOW_NS + round(seconds * S))
            yield Incoming(stream, frame.stamp_ns, frame.stamp_ns + delay_ns, frame.frame_id, lambda frame=frame: frame)


def outcome(recording):
    sink, logger = KeepingSink(), Logger()
    session = Session(build({}), FakeEngine(), sink, logger, policy=EVERY)
    run(session, recording)
    session.flush()
    return sink, session, logger


def test_every_run_gives_the_same():
    times = np.random.default_rng(0).uniform(0, 20, 150)
    times.sort()
    (first, first_session, _), (again, session, _) = (outcome(arrivals(times)) for _ in range(2))
    assert first_session.totals() == session.totals()
    assert first.drops == again.drops
    assert len(first.outputs) > 100
    for one, other in zip(first.outputs, again.outputs, strict=True):
        assert one.fused.stamp_ns == other.fused.stamp_ns
        np.testing.assert_array_equal(one.fused.image, other.fused.image)
    assert [figures.age_ns for figures in first.given_figures] == [figures.age_ns for figures in again.given_figures]


def test_a_silence_is_noticed_when_it_would_have_been():
    sink, _, logger = outcome([*arrivals(np.arange(0, 2, 0.1)), *arrivals(np.arange(3600, 3602, 0.1))])
    assert [change.mode for change in sink.changes] == ["stopped", "fused"]
    assert sink.changes[0].cause == "neither camera has sent an image for 1.1 s"
    assert len(sink.outputs) == 40
    assert len([line for line in logger.lines if line.startswith("nothing paired for 10 s")]) == 1


def test_after_a_silence_of_any_length_it_takes_an_image_of_each_to_fuse_again():
    before = list(arrivals(np.arange(0, 2, 0.1)))
    for begin in (9, 60):
        alone, both = arrivals(np.arange(begin, begin + 0.5, 0.1), ["visible"]), arrivals([begin + 0.5, begin + 0.6])
        sink, _, _ = outcome([*before, *alone, *both])
        assert [change.mode for change in sink.changes] == ["stopped", "fused"]
        assert sink.times[-1] == NOW_NS + round((begin + 0.5) * S) + 20 * MS


def test_a_recording_may_begin_with_one_stream_at_any_time():
    for begin_ns in (MS, S, 2 * S, NOW_NS):
        recording = [*arrivals([0, 0.04, 0.08], ["thermal"]), *arrivals(np.arange(0.12, 1, 0.1))]
        back_ns = recording[0].arrived_ns - begin_ns
        sink, _, _ = outcome(dataclasses.replace(it, arrived_ns=it.arrived_ns - back_ns) for it in recording)
        assert sink.changes == []
        assert len(sink.outputs) == 9


def test_a_silence_is_noticed_whatever_the_limit():
    sink = KeepingSink()
    config = build({"mode.limit": 20.0})
    session = Session(config, FakeEngine(), sink, Logger(), policy=EVERY)
    run(session, [*arrivals(np.arange(0, 2, 0.1)), *arrivals(np.arange(60, 62, 0.1))])
    assert [change.mode for change in sink.changes] == ["stopped", "fused"]


def test_age_is_that_of_the_recording():
    sink, session, _ = outcome(arrivals(np.arange(0, 2, 0.1)))
    assert {figures.age_ns for figures in sink.given_figures} == {20 * MS}
    assert session.health().latencies["age"] == (0.02, 0.02)


def test_what_the_cameras_say_beside_images_is_heard_in_its_turn():
    images = list(arrivals(np.arange(0, 2, 0.1)))
    closed = ShutterFlag(True, images[10].arrived_ns)
    opened = ShutterFlag(False, images[20].arrived_ns)
    known = Calibration("visible", calibration(30, 20), 0, images[30].arrived_ns)
    sink, _, _ = outcome([*images[:11], closed, *images[11:21], opened, *images[21:31], known, *images[31:]])
    held = [output.fused.mode == "held" for output in sink.outputs]
    assert any(held[5:10])
    assert not any(held[:5])
    assert not held[-1]
    models = [output.camera_model for output in sink.outputs]
    assert models[0] is None
    assert models[-1].width == sink.outputs[-1].fused.image.shape[1]
