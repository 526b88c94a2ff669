"""The soak: its cameras' faults, and a short one of the real node, processes and topics."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from hkdnet_ros.errors import HkdnetError
from hkdnet_ros.images.messages import check_message, decode_message, stamp_to_ns
from hkdnet_ros.trials.soak.camera import FaultyCamera, SoakCameraConfig, malformed_image
from hkdnet_ros.trials.soak.faults import FAULTS, in_turn
from hkdnet_ros.trials.soak.numbered import read_number

MS = 10**6
BEGIN_NS = 10**18


def images(count, first=0, **options):
    """Return what a camera of 10 Hz with such faults sends at each of ``count`` ticks."""
    config = SoakCameraConfig(first=first, **options)
    camera = FaultyCamera(config)
    return [camera.tick(config, BEGIN_NS + tick * 100 * MS, tick / 10) for tick in range(count)]


def number_of(message):
    return read_number(decode_message(message).image, "thermal")


def test_a_camera_without_faults_sends_one_numbered_image_per_tick():
    sent = images(3, first=41)
    assert [number_of(message) for (message,) in sent] == [41, 42, 43]
    assert [stamp_to_ns(message.header.stamp) for (message,) in sent] == [BEGIN_NS + n * 100 * MS for n in range(3)]


def test_a_frozen_camera_repeats_its_image_with_new_stamps():
    config = SoakCameraConfig()
    camera = FaultyCamera(config)
    (before,) = camera.tick(config, BEGIN_NS, 0.0)
    frozen = [camera.tick(SoakCameraConfig(frozen=True), BEGIN_NS + n, 0.1 * n)[0] for n in (1, 2)]
    (after,) = camera.tick(config, BEGIN_NS + 3, 0.3)
    assert [bytes(message.data) for message in frozen] == [bytes(before.data)] * 2
    assert [stamp_to_ns(message.header.stamp) for message in frozen] == [BEGIN_NS + 1, BEGIN_NS + 2]
    assert number_of(after) == 3


def test_faults_of_time_and_number_are_as_asked_for():
    late = images(5, delay=0.3)
    assert [len(sent) for sent in late] == [0, 0, 0, 1, 1]
    assert stamp_to_ns(late[3][0].header.stamp) == BEGIN_NS
    assert 20 < sum(len(sent) for sent in images(80, drop=0.5)) < 60
    wobble = [stamp_to_ns(s[0].header.stamp) - BEGIN_NS - n * 100 * MS for n, s in enumerate(images(80, jitter=0.03))]
    assert max(wobble) > 20 * MS
    assert min(wobble) < -20 * MS
    assert max(map(abs, wobble)) <= 30 * MS
    assert stamp_to_ns(images(1, offset=-20.0)[0][0].header.stamp) == BEGIN_NS - 20_000 * MS


def test_malformed_images_come_besides_and_none_of_them_is_one():
    (sent,) = images(1, malformed=3)
    assert len(sent) == 4
    check_message(sent[0])
    chance = random.Random(0)
    for _ in range(300):
        with pytest.raises(HkdnetError):
            check_message(malformed_image(chance))


def test_every_fault_comes_once_before_one_comes_again():
    names = in_turn(list(FAULTS), random.Random(0))
    for _ in range(2):
        assert {next(names) for _ in FAULTS} == set(FAULTS)


def soak(out, *options):
    command = [sys.executable, "-m", "hkdnet_ros.cli", "soak", "--out", str(out), "--hold", "0.5", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_short_soak_of_the_real_node_finds_no_wrong_pair_and_reports(tmp_path):
    faults = ["both cameras killed", "sizes swapped", "thermal 0.3 s late", "100 parameter sets per second"]
    faults += ["malformed images", "recording loops"]
    process = soak(tmp_path, "--minutes", "0.18", *(word for fault in faults for word in ("--fault", fault)))
    output, errors = process.communicate(timeout=110)
    report = (tmp_path / "report.md").read_text()
    # The way back may take longer on a busy machine; nothing else may fail.
    failures = [
        line for line in errors.splitlines() if line.startswith("hkdnet soak:") and "fused again aft" not in line
    ]
    assert failures == [], report
    assert process.returncode in (0, 1), errors
    assert " 0 wrong, 0 illegible; " in report
    assert sum(f"| {fault} |" in report for fault in faults) >= 3, report
    assert "faults," in output
    assert len((tmp_path / "memory.csv").read_text().splitlines()) > 5


def test_ctrl_c_leaves_a_report_of_what_was_measured(tmp_path):
    process = soak(tmp_path, "--fault", "thermal frozen")
    wait_for(lambda: (tmp_path / "fusion.log").exists(), what="the node's process")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Interrupted" in (tmp_path / "report.md").read_text()
