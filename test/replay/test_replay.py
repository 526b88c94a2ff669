"""Replay on real topics: the source's pixels, stamps that keep their distances, faults, and an end in order."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from rigging import TIMEOUT_S, wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from recordings import (
    START_NS,
    THERMAL_SIZE,
    VISIBLE_SIZE,
    BagWriter,
    thermal_image,
    visible_image,
    write_bag,
    write_folder,
)

from hkdnet_ros import cli
from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.messages import decode_message, stamp_to_ns
from hkdnet_ros.node.stop_switch import StopSwitch
from hkdnet_ros.replay import replay_node
from hkdnet_ros.replay.config import ReplayConfig
from hkdnet_ros.replay.player import Player, _Ahead
from hkdnet_ros.sources.opening import open_source

MS = 1_000_000
ROOT = Path(__file__).parents[2]


class Ears:
    """Subscribes what a replay publishes and keeps it."""

    def __init__(self, spun, namespace=""):
        import rclpy
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import CameraInfo, Image

        self.node = rclpy.create_node("ears", context=spun.context)
        self.frames, self.infos = defaultdict(list), defaultdict(list)
        qos = QoSProfile(depth=200)
        for stream, topic in (("thermal", f"{namespace}/thermal"), ("visible", f"{namespace}/visible")):
            self.node.create_subscription(
                Image, f"{topic}/image_raw", lambda m, s=stream: self.frames[s].append(decode_message(m)), qos
            )
            self.node.create_subscription(
                CameraInfo, f"{topic}/camera_info", lambda m, s=stream: self.infos[s].append(m), qos
            )
        spun.add(self.node)

    def wait_for(self, thermal, visible):
        wait_for(lambda: len(self.frames["thermal"]) >= thermal, what=f"{thermal} thermal images")
        wait_for(lambda: len(self.frames["visible"]) >= visible, what=f"{visible} visible images")
        return self.frames["thermal"], self.frames["visible"]


@pytest.fixture
def stop():
    switch = StopSwitch()
    yield switch
    switch.close()


@pytest.fixture(autouse=True)
def handlers():
    """Give the signals back to pytest: the command leaves them ignored, as a process that is about to end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ears(spun):
    return Ears(spun)


@pytest.fixture
def play(spun, stop):
    """Return a function that plays a source to its end and returns the summary and the clock around it."""
    import rclpy

    def run(spec, on_publish=None, **options):
        node = spun.add(rclpy.create_node("replay", context=spun.context))
        config = ReplayConfig(source=str(spec), **{"wait": TIMEOUT_S, "depth": 200, **options})
        source = replay_node.open_camera_source(config)
        player = Player(node, source, config, on_publish)
        summary = player.play(stop)
        source.close()
        return summary

    return run


def test_a_bag_is_published_with_its_pixels_frames_and_skew(tmp_path, ears, play):
    path = write_bag(tmp_path / "bag", "mcap", count=5)
    before = time.time_ns()
    summary = play(path)
    after = time.time_ns()
    thermal, visible = ears.wait_for(5, 5)
    for index in range(5):
        np.testing.assert_array_equal(thermal[index].image, thermal_image(index, np.uint16))
        np.testing.assert_array_equal(visible[index].image, visible_image(index))
        assert thermal[index].stamp_ns - visible[index].stamp_ns == 4 * MS
        assert before <= visible[index].stamp_ns <= after
    assert (thermal[0].encoding, thermal[0].frame_id) == ("mono16", "thermal_optical")
    assert (visible[0].encoding, visible[0].frame_id) == ("bgr8", "visible_optical")
    assert summary.published == {"thermal": 5, "visible": 5}


@pytest.mark.parametrize("epoch_ns", [0, START_NS - 5000 * MS], ids=["late", "boot time"])
def test_a_camera_recorded_late_or_by_another_clock_plays_at_its_pace(tmp_path, ears, play, epoch_ns):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        images = [(True, START_NS + index * 25 * MS, 2 * MS) for index in range(40)]
        images += [(False, START_NS + index * 50 * MS, 600 * MS) for index in range(20)]
        for is_thermal, stamp, late in sorted(images, key=lambda image: image[1] + image[2]):
            if is_thermal:
                recorded = (
                    stamp + late + (598 * MS if epoch_ns else 0)
                )  # clocks differ: neither is late beside the other
                bag.image("/thermal/image_raw", thermal_image(0), "mono8", stamp - epoch_ns, "t", recorded_ns=recorded)
            else:
                bag.image("/visible/image_raw", visible_image(0), "bgr8", stamp, "v", recorded_ns=stamp + late)
    summary = play(tmp_path / "bag")
    thermal, visible = ears.wait_for(40, 20)
    assert [t.stamp_ns - v.stamp_ns for t, v in zip(thermal[::2], visible, strict=True)] == [0] * 20
    assert 0 <= visible[-1].stamp_ns - visible[0].stamp_ns - 950 * MS <= round(summary.behind_s * 1e9) + MS
    assert summary.elapsed_s < 1.5 + summary.behind_s


def test_camera_info_goes_with_every_image_and_has_its_stamp(tmp_path, ears, play):
    play(write_bag(tmp_path / "bag", count=3), size=(16, 12))
    frames = dict(zip(("thermal", "visible"), ears.wait_for(3, 3), strict=True))
    for stream, size, frame_id in (
        ("thermal", THERMAL_SIZE, "thermal_optical"),
        ("visible", VISIBLE_SIZE, "visible_optical"),
    ):
        infos = wait_for(lambda stream=stream: ears.infos[stream][2:] and ears.infos[stream], what="camera infos")
        assert [stamp_to_ns(i.header.stamp) for i in infos] == [frame.stamp_ns for frame in frames[stream]]
        assert {(i.width, i.height, i.header.frame_id) for i in infos} == {(16, 12, frame_id)}
        assert infos[0].k[0] == pytest.approx(40.0 * 16 / size[0])
        assert frames[stream][0].image.shape[:2] == (12, 16)


def test_playing_begins_when_each_image_has_as_many_subscribers_as_asked_for(tmp_path, spun, stop, play):
    write_folder(tmp_path, count=3)
    first = Ears(spun)
    thread = threading.Thread(target=play, args=(tmp_path,), kwargs={"subscribers": 2})
    thread.start()
    time.sleep(1.0)
    assert not first.frames["thermal"]
    second = Ears(spun)
    first.wait_for(3, 3)
    second.wait_for(3, 3)
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("there", [4, 6, 50])
def test_playing_begins_when_all_ahead_is_prepared_or_the_source_has_ended(stop, there):
    taken = []

    def items():
        for number in range(there):
            taken.append(number)
            yield number

    with _Ahead(items(), 6) as ahead:
        ahead.fill(stop)
        assert len(taken) >= min(there, 6)
        assert [ahead.get(stop) for _ in range(there)] == list(range(there))
        assert ahead.get(stop) is None


def test_a_stop_ends_the_preparation(stop):
    with _Ahead(iter(range(3)), 2) as ahead:
        stop.set()
        ahead.fill(stop)


def test_a_folder_has_no_camera_info(tmp_path, ears, play):
    write_folder(tmp_path, count=2)
    play(tmp_path, fps=50.0)
    ears.wait_for(2, 2)
    assert ears.node.count_publishers("visible/image_raw") == 1
    assert ears.node.count_publishers("visible/camera_info") == 0


def test_rate_and_loop_keep_stamps_running_on_evenly(tmp_path, ears, play):
    write_folder(tmp_path, count=3)
    summary = play(tmp_path, fps=20.0, rate=5.0, loop=True, duration=0.349)
    assert summary.published == {"thermal": 7, "visible": 7}
    thermal, _ = ears.wait_for(7, 7)
    np.testing.assert_array_equal(thermal[5].image, thermal_image(2))
    if summary.behind_s == 0.0:  # a busy machine may have moved some
        np.testing.assert_allclose(np.diff([frame.stamp_ns for frame in thermal]), 10 * MS, atol=2)


def test_faults_reach_the_topics_and_the_summary(tmp_path, ears, play):
    write_folder(tmp_path, count=8)
    heard = []
    summary = play(
        tmp_path,
        lambda arrival, stamp_ns: heard.append((arrival.stream, arrival.taken_ns, stamp_ns)),
        fps=100.0,
        faults="thermal:offset=-0.5 visible:drop=1",
    )
    thermal, visible = ears.wait_for(8, 0)
    assert summary.published == {"thermal": 8}
    assert summary.lost == {("visible", "drop"): 8}
    assert "visible 8 lost by fault drop" in str(summary)
    assert [frame.stamp_ns for frame in thermal] == [stamp for _, _, stamp in heard]
    assert thermal[0].stamp_ns < time.time_ns() - 500 * MS
    assert not visible


def test_simulator_frames_can_be_traced_back_to_their_truth(ears, play):
    heard = {}
    play(
        "simulator:day:1",
        lambda arrival, stamp_ns: heard.update({stamp_ns: arrival.taken_ns}),
        size=(64, 48), fps=10.0, rate=10.0, duration=0.35,
    )  # fmt: skip
    thermal, visible = ears.wait_for(4, 4)
    source = open_source("simulator:day:1", size=(64, 48), fps=10.0)
    for index in range(4):
        pair = source.simulator.render(round(heard[thermal[index].stamp_ns] * 10.0 / 1e9))
        np.testing.assert_array_equal(thermal[index].image, pair.thermal.image)
        np.testing.assert_array_equal(visible[index].image, pair.visible.image)


def test_each_stream_may_have_a_size_of_its_own(tmp_path, ears, play):
    play(write_bag(tmp_path / "bag", count=3), size=(16, 12), thermal_size=(8, 6))
    thermal, visible = ears.wait_for(3, 3)
    assert (thermal[0].image.shape, visible[0].image.shape) == ((6, 8), (12, 16, 3))
    for stream, size in (("thermal", (8, 6)), ("visible", (16, 12))):
        infos = wait_for(lambda stream=stream: ears.infos[stream][2:] and ears.infos[stream], what="camera infos")
        assert {(info.width, info.height) for info in infos} == {size}


def test_a_folder_is_played_without_what_cannot_be_read(tmp_path, play):
    write_folder(tmp_path, count=3)
    (tmp_path / "thermal" / "frame_001.png").write_bytes(b"broken")
    summary = play(tmp_path, fps=100.0, wait=0.0)
    assert summary.published == {"thermal": 2, "visible": 2}


def test_stop_ends_an_endless_replay(tmp_path, play, stop):
    write_folder(tmp_path, count=2)
    published = itertools.count(1)
    summary = play(tmp_path, lambda *_: next(published) == 8 and stop.set(), loop=True, wait=0.0)
    assert sum(summary.published.values()) == 8


def test_wrong_faults_are_refused_before_anything_is_published(tmp_path, play):
    write_folder(tmp_path, count=1)
    with pytest.raises(ConfigError, match="lag"):
        play(tmp_path, faults="thermal:lag=1")


def test_a_simulated_clock_paces_and_stamps_the_replay(tmp_path, spun, ears, stop):
    import rclpy
    from builtin_interfaces.msg import Time
    from rclpy.parameter import Parameter
    from rosgraph_msgs.msg import Clock

    write_folder(tmp_path, count=5)
    node = rclpy.create_node(
        "replay", context=spun.context, parameter_overrides=[Parameter("use_sim_time", value=True)]
    )
    spun.add(node)
    clock = ears.node.create_publisher(Clock, "/clock", 10)
    source = open_source(str(tmp_path), fps=1.0)
    player = Player(node, source, ReplayConfig(wait=TIMEOUT_S))
    wait_for(clock.get_subscription_count, what="a subscription of the clock")
    player.wait_for_subscribers(stop)
    thread = threading.Thread(target=player.play, args=(stop,))
    clock.publish(Clock(clock=Time(sec=100)))
    wait_for(lambda: node.get_clock().now().nanoseconds == 100_000_000_000, what="the simulated time")
    thread.start()
    ears.wait_for(1, 1)
    time.sleep(0.1)
    assert len(ears.frames["thermal"]) == 1  # time stands still
    for second in range(101, 106):
        clock.publish(Clock(clock=Time(sec=second)))
        ears.wait_for(min(second - 99, 5), min(second - 99, 5))
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    assert [frame.stamp_ns for frame in ears.frames["thermal"]] == [(100 + i) * 1_000_000_000 for i in range(5)]


def test_the_command_replays_into_a_namespace(tmp_path, spun, capsys):
    ears = Ears(spun, "/robot")
    path = write_bag(tmp_path / "bag", count=4)
    words = ["replay", str(path), "--wait", "20", "--depth", "50", "--fault", "visible:stop=0.12"]
    assert cli.main([*words, "--ros-args", "-r", "__ns:=/robot"]) == 0
    thermal, visible = ears.wait_for(4, 3)
    np.testing.assert_array_equal(thermal[3].image, thermal_image(3, np.uint16))
    assert len(visible) == 3


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["nowhere"], "nowhere"),
        (["simulator", "--fault", "thermal:lag=1"], "lag"),
        (["simulator", "--rate", "0"], "rate"),
        (["simulator:fog"], "fog"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(words, fact, capsys):
    assert cli.main(["replay", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("hkdnet: ")
    assert fact in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("size", ["640", "640x", "0x480", "axb"])
def test_the_command_refuses_what_is_no_size(size, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["replay", "simulator", "--size", size])
    assert caught.value.code == 2
    assert "WIDTHxHEIGHT" in capsys.readouterr().err


def test_the_node_takes_its_settings_from_parameters(tmp_path, spun):
    write_folder(tmp_path, count=3)
    ears = Ears(spun)
    words = [
        f"source:={tmp_path}", "rate:=2", "size:=[16, 12]", "wait:=20.0", "faults:=visible:drop=1", "depth:=50",
    ]  # fmt: skip
    assert replay_node.main(["replay_node", "--ros-args", *(part for word in words for part in ("-p", word))]) == 0
    thermal, visible = ears.wait_for(3, 0)
    assert thermal[0].image.shape == (12, 16)
    assert not visible


@pytest.mark.parametrize(
    ("parameter", "fact"),
    [
        ("rate:=fast", "rate is 'fast'"),
        ("size:=[1.5, 2.0]", "size is"),
        ("size:=[16]", "size is"),
        ("thermal_size:=[16, 0]", "thermal_size is"),
        ("loop:=1", "loop is 1"),
        ("source:=/nowhere", "/nowhere"),
        ("reliability:=perfect", "reliable"),
    ],
)
def test_the_node_with_a_wrong_parameter_says_so_and_ends(parameter, fact, capsys):
    assert replay_node.main(["replay_node", "--ros-args", "-p", parameter]) == 1
    error = capsys.readouterr().err
    assert error.startswith("replay_node: ")
    assert fact in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "fact"),
    [(["--no-such-thing"], "no-such-thing"), (["-r", "__ns:=/9lives"], "9lives"), (["-r", "__node:=a b"], "a b")],
)
def test_arguments_that_ros_refuses_end_with_status_2_and_one_line(words, fact, capsys):
    assert replay_node.main(["replay_node", "--ros-args", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert fact in line


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_ends_the_command_in_order(again):
    """Sent once, or again and again until the very last of it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hkdnet_ros.cli", "replay", "simulator", "--size", "64x48"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "playing simulator" in line:
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    while again and process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    rest = process.communicate(timeout=TIMEOUT_S)[1]
    assert process.returncode == 0, "".join(lines) + rest
    assert "thermal" in rest
    assert "published" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay_s", [0.0, 0.2, 0.5, 1.0, 2.0])
def test_a_signal_while_the_node_starts_ends_it_in_order(delay_s, number):
    program = (
        "import sys\n"
        "from hkdnet_ros.node import stop_switch\n"
        "from hkdnet_ros.replay.replay_node import main\n"
        "obey = stop_switch.StopSwitch.obey_signals\n"
        "def say(self): obey(self); print('now', flush=True)\n"
        "stop_switch.StopSwitch.obey_signals = say\n"
        "sys.exit(main(['replay_node', '--ros-args', '-p', 'wait:=3600.0']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout.readline() == "now\n"
    time.sleep(delay_s)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
