"""What /diagnostics says: levels, messages and figures."""

from __future__ import annotations

import dataclasses

from hkdnet_ros.node.health import (
    ERROR,
    OK,
    WARN,
    DiagnosticsConfig,
    device_report,
    qos_report,
    reports,
)
from hkdnet_ros.perception.health import CalibrationHealth, Health
from hkdnet_ros.perception.misalignment import Misalignment, Shift

WELL = Health(
    mode="fused",
    cause="",
    thermal_interruption="",
    is_wanted=True,
    rates={"thermal": 9.0, "visible": 30.0, "fused": 8.9},
    received={"thermal": 90, "visible": 300},
    pairs=89,
    published=88,
    drops={"superseded": 1},
    latencies={"network": (0.05, 0.08), "age": (0.08, 0.12)},
    since_output=0.1,
    skews={"-2 to 2 ms": 89},
    stamp_oddities={"thermal": {"zero stamp": 1}, "visible": {}},
    drift_ppm=12.4,
)


def report(name, config=DiagnosticsConfig(), **changes):  # noqa: B008
    (found,) = [it for it in reports(dataclasses.replace(WELL, **changes), config) if it.name == name]
    return found


def test_a_node_that_is_well_reports_ok_with_its_figures():
    assert {it.name: it.level for it in reports(WELL, DiagnosticsConfig())} == {
        "rates": OK, "pairing": OK, "latency": OK, "mode": OK, "camera_info": OK,
        "registration": OK,
    }  # fmt: skip
    assert report("rates").message == "thermal 9.0 Hz, visible 30.0 Hz, fused 8.9 Hz"
    values = report("pairing").values
    assert (values["pairs"], values["dropped: superseded"], values["skew -2 to 2 ms"]) == (89, 1, 89)
    assert values["thermal images with zero stamp"] == 1
    assert values["thermal clock against visible (us/s)"] == "+12"
    assert report("latency").values["network p50, p95 (ms)"] == "50.0, 80.0"


def test_a_rate_below_the_least_and_its_tolerance_is_a_warning_and_none_at_all_an_error():
    config = DiagnosticsConfig(thermal_rate=10, tolerance=0.1)
    assert report("rates", config).level == OK
    slow = report("rates", config, rates={"thermal": 8.9})
    assert (slow.level, slow.message) == (WARN, "thermal 8.9 Hz, expected 10")
    assert report("rates", config, rates={}).level == ERROR


def test_an_output_that_nobody_subscribes_to_needs_no_rate():
    config = DiagnosticsConfig(fused_rate=5)
    assert report("rates", config, rates={}).level == ERROR
    assert report("rates", config, rates={}, is_wanted=False).level == OK


def test_cameras_that_send_but_never_pair_are_a_warning():
    assert report("pairing", pairs=0).level == WARN
    assert report("pairing", pairs=0, rates={"thermal": 9.0}).level == OK  # the mode says what is missing


def test_an_output_older_than_wanted_is_a_warning():
    assert report("latency", DiagnosticsConfig(max_age=0.2)).level == OK
    late = report("latency", DiagnosticsConfig(max_age=0.1))
    assert late.level == WARN
    assert late.message.endswith("120 ms (p95), expected 100 ms at most")
    assert report("latency", latencies={}).message == "nothing published yet"


def test_the_mode_comes_with_its_cause():
    assert report("mode", mode="visible", cause="no thermal image").message == "visible: no thermal image"
    assert report("mode", mode="visible").level == WARN
    assert report("mode", mode="stopped").level == ERROR
    held = report("mode", thermal_interruption="frozen")
    assert (held.level, held.message) == (WARN, "fused, thermal image is frozen")


def test_device_and_quality_of_service():
    fields = {"model": "realtime_x2", "scale": 2, "precision": "fp32", "backend": "torch", "resident": 300_000_000}
    well = device_report(**fields, device="cuda", memory=(2_000_000_000, 8_000_000_000), failure="")
    assert (well.level, well.message, well.values["device memory (MB)"]) == (OK, "realtime_x2 x2 on cuda", 8000)
    fallen = device_report(**fields, device="cpu", memory=None, failure="CUDA out of memory")
    assert (fallen.level, fallen.message) == (WARN, "on cpu: CUDA out of memory")
    assert qos_report([]).level == OK
    assert qos_report(["a", "b"]).values == {"mismatch 1": "a", "mismatch 2": "b"}


def test_a_calibration_that_does_not_fit_is_a_warning_with_its_counts():
    assert report("camera_info").message == "none received"
    found = CalibrationHealth({"visible": 7}, {"visible other size": 3}, ("for 31x20 pixels, not 30x20",))
    wrong = report("camera_info", calibration=found)
    assert (wrong.level, wrong.message) == (WARN, "for 31x20 pixels, not 30x20")
    assert wrong.values == {"thermal received": 0, "visible received": 7, "images with: visible other size": 3}
    mended = report("camera_info", calibration=dataclasses.replace(found, current=()))
    assert (mended.level, mended.values["images with: visible other size"]) == (OK, 3)


def test_how_far_thermal_is_off_is_reported_to_the_side_that_it_lies_on():
    assert report("registration").message.endswith("the visible image: the scene does not tell")
    assert "the two are not fused" in report("registration", mode="visible").message
    assert "misalignment_limit is 0" in report("registration", is_watched=False).message
    found = Misalignment(Shift(-4.0, 3.0, 0.1), 0.25, 8)
    known = report("registration", misalignment=found)
    assert (known.level, known.message) == (OK, "thermal lies 5.0 px off the visible image")
    assert known.values["thermal is off to the right (px)"] == "+4.0"
    assert known.values["thermal is off downwards (px)"] == "-3.0"
    assert known.values["earlier and later looks differ by (px)"] == "0.2"
    off = report("registration", misalignment=found, misaligned="thermal lies too far off")
    assert (off.level, off.message) == (WARN, "thermal lies too far off")
    poor = report("registration", misalignment=found, poorly_registered="depth image has no value")
    assert (poor.level, poor.message) == (WARN, "depth image has no value")
    dropped = report("registration", misalignment=found, not_registered="no depth image came")
    assert (dropped.level, dropped.message) == (WARN, "pairs are dropped: no depth image came")
