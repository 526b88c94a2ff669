"""Which lines of a flood go to the log."""

from __future__ import annotations

from rigging import Logger

from hkdnet_ros.perception.log import OnceLog, Throttle


def test_the_throttle_passes_the_first_of_each_kind_and_then_one_per_period():
    now = [100.0]
    throttle = Throttle(5.0, clock=lambda: now[0])
    passed = []
    for now[0] in (100.0, 101.0, 104.9, 105.0, 109.0, 110.0):
        passed.append((throttle.passes("a"), throttle.passes("b") if now[0] > 104 else None))
    assert [a for a, _ in passed] == [True, False, False, True, False, True]
    assert [b for _, b in passed] == [None, None, True, False, False, True]


def test_a_line_is_passed_on_once_with_its_severity():
    logger = Logger()
    log = OnceLog(logger)
    for _ in range(3):
        log.info("a")
        log.warning("b")
        log.error("c")
    assert logger.lines == ["a", "b", "c"]
