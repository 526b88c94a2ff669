"""The proof of one core: the same arrivals through the node over DDS and through the core offline give the same."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from core_rig import KeepingSink
from rigging import Rig, kept_log, wait_for

from hkdnet_ros.images.frames import THERMAL, VISIBLE
from hkdnet_ros.images.messages import decode_message, stamp_to_ns
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.node.schema import build
from hkdnet_ros.perception.fusion_work import Task
from hkdnet_ros.perception.run import run
from hkdnet_ros.perception.session import Session
from hkdnet_ros.perception.worker import EVERY, LatestWorker

PERIOD_S = 0.1
S, MS = 10**9, 10**6
PARAMETERS = {"mode.return_time": 0.3, "mode.limit": 0.5, "thermal.time_constant": 1.0, "shutter.noise": 0.0}


def scene(index: int, stream: str) -> np.ndarray:
    random = np.random.default_rng([index, stream == THERMAL])
    y, x = np.mgrid[:24, :32]
    if stream == THERMAL:
        warm = 3000 * ((x - index % 32) ** 2 + (y - 12) ** 2 < 20)
        return (8000 + 40 * y + warm + random.normal(0, 5, x.shape)).astype(np.uint16)
    return np.clip(np.dstack([4 * x, 6 * y, 2 * x + 3 * y]) + random.normal(0, 4, (24, 32, 3)), 0, 255).astype(np.uint8)


def image(stream: str, index: int, stamp_ns: int):
    return encode_image(scene(index, stream), "mono16" if stream == THERMAL else "bgr8", stamp_ns, stream)


def a_bad_day() -> list[list[tuple[str, object]]]:
    """Return what two cameras send, step by step: well, badly stamped, malformed, one silent, the recording again."""

    begin_ns = time.time_ns() - 3600 * S

    def stamp_of(index: int) -> int:
        return begin_ns + round(index * PERIOD_S * S)

    def both(index: int) -> list[tuple[str, object]]:
        stamp_ns = stamp_of(index)
        skew_ns = 4 * MS if 5 <= index < 9 else 0  # equal stamps pair at once, also while the rates are not known yet
        return [(THERMAL, image(THERMAL, index, stamp_ns)), (VISIBLE, image(VISIBLE, index, stamp_ns + skew_ns))]

    day = [both(index) for index in range(8)]
    day.append([(THERMAL, image(THERMAL, 8, 0)), (VISIBLE, image(VISIBLE, 7, begin_ns + 704 * MS))])  # zero, repeated
    day.append([(THERMAL, image(THERMAL, 6, begin_ns + 650 * MS)), *both(9)])  # late
    malformed = image(VISIBLE, 10, begin_ns + S)
    malformed.step = 7
    day.append([(VISIBLE, malformed), *both(10)])
    day += [both(index) for index in range(11, 14)]
    day += [both(index)[1:] for index in range(14, 24)]  # thermal silent for 1 s
    day += [both(index) for index in range(24, 34)]
    day += [[(THERMAL, image(THERMAL, 33, stamp_of(index))), both(index)[1]] for index in range(34, 41)]  # frozen
    day += [both(index) for index in range(41, 46)]
    day += [[] for _ in range(8)]  # both silent for .8 s
    day += [both(index) for index in range(54, 58)]
    day += [both(index) for index in range(10)]  # the loop
    return day


def test_the_same_arrivals_give_the_same_over_dds_and_offline(make_node, spun, logger, monkeypatch):
    arrivals = []
    receive, put = Session.receive, LatestWorker.put
    tasks = []

    def recorded(session, incoming):
        receive(session, incoming)
        arrivals.append(incoming)

    def counted(worker, task):
        if isinstance(task, Task):  # not a look at how thermal lies
            tasks.append(task)
        return put(worker, task)

    def is_done():
        return len(arrivals) == sent and node._session.totals().published == len(tasks)

    monkeypatch.setattr(LatestWorker, "put", counted)

    engine = load_engine(EngineConfig(threads=1))
    node = make_node(lambda config: engine, **{name.replace(".", "__"): value for name, value in PARAMETERS.items()})
    log = kept_log(node, monkeypatch)
    rig = Rig(spun)
    rig.wait_for_node()
    monkeypatch.setattr(Session, "receive", recorded)
    sent = 0
    for step in a_bad_day():
        begun = time.monotonic()
        for stream, message in step:
            getattr(rig, stream).publish(message)
            sent += 1
            wait_for(is_done, what="the end of the work on it, so that nothing is superseded")
        time.sleep(max(0.0, begun + PERIOD_S - time.monotonic()))
    changes = [text for line in log if (text := line.partition(": ")[2]).startswith("mode ")]  # before the silence
    wait_for(lambda: len(rig.statuses) == len(rig.images) == node._session.totals().published, what="the last image")
    live = node._session.totals()
    monkeypatch.undo()

    sink = KeepingSink()
    core = Session(build(PARAMETERS), engine, sink, logger, policy=EVERY)
    run(core, arrivals)

    assert core.totals() == live
    assert set(live.drops) >= {"zero stamp", "duplicate", "late", "bad visible image"}
    assert [output.fused.mode for output in sink.outputs] == [status.mode for status in rig.statuses]
    assert {"fused", "visible", "held"} == {output.fused.mode for output in sink.outputs}
    # A silence is noticed by the timer, so that the cause of stopping may differ by a tenth of a second.
    assert [line.partition(":")[0] for line in changes] == [f"mode {change.mode}" for change in sink.changes]
    assert [change.mode for change in sink.changes] == ["visible", "fused", "stopped", "fused"]
    assert [change.cause for change in sink.changes[:2]] == [line.partition(": ")[2] for line in changes[:2]]
    skews = [status.skew.sec * S + status.skew.nanosec for status in rig.statuses]
    assert [output.skew_ns for output in sink.outputs] == skews
    for output, message in zip(sink.outputs, rig.images, strict=True):
        assert (output.fused.stamp_ns, output.fused.frame_id) == (
            stamp_to_ns(message.header.stamp), message.header.frame_id,
        )  # fmt: skip
        np.testing.assert_array_equal(output.fused.image, decode_message(message).image)
