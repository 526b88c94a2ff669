"""FusionSession without topics: messages go in as calls and come out in lists."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Bool

from hkdnet_ros.errors import DeviceError, ImageError
from hkdnet_ros.node.compressed_images import decode_compressed
from hkdnet_ros.node.image_messages import NS_PER_S, decode, encode_image, ns_to_stamp, stamp_to_ns
from hkdnet_ros.node.schema import build
from hkdnet_ros.node.session import FusionSession, Outputs
from hkdnet_ros.node.statistics import BAD_PAIR, DEVICE_FAILED, INTERNAL_ERROR, NO_SUBSCRIBER, SUPERSEDED
from hkdnet_ros.perception.frames import Pair
from hkdnet_ros.perception.pipeline import FusionPipeline

NOW_NS = 1_000_000_000_000
MS = 1_000_000


def gray(stamp_ns, height=20, width=30, value=100):
    return encode_image(np.full((height, width), value, np.uint8), "mono8", stamp_ns, "thermal")


def bgr(stamp_ns, height=20, width=30, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return encode_image(image, "bgr8", stamp_ns, "rgb")


class Kept(list):
    """A publisher that keeps what it is given."""

    subscribers = 1

    def publish(self, message):
        self.append(message)

    def get_subscription_count(self):
        return self.subscribers


class Session:
    """A session with its outputs."""

    def __init__(self, engine, logger, **parameters):
        self.images, self.compressed, self.camera_infos, self.statuses = Kept(), Kept(), Kept(), Kept()
        self.previews = Kept()
        self.compressed.subscribers = self.previews.subscribers = 0
        self.logger = logger
        self.now_ns, self.devices_lost = NOW_NS + 50 * MS, []
        outputs = Outputs(
            image=self.images,
            compressed=self.compressed,
            camera_info=self.camera_infos,
            status=self.statuses,
            preview=self.previews,
            now_ns=lambda: self.now_ns,
            device_lost=lambda: self.devices_lost.append(True),
        )
        self.it = FusionSession(build(parameters), engine, outputs, logger)

    def pair(self, stamp_ns, thermal=None, visible=None):
        self.it.receive("thermal", thermal or gray(stamp_ns))
        self.it.receive("visible", visible or bgr(stamp_ns))

    def is_idle(self):
        """Whether everything paired or taken alone was published or dropped."""
        return not self.it._worker.is_busy

    def drops(self):
        return dict(self.it.totals().drops)


@pytest.fixture
def make_session(engine, logger):
    sessions = []

    def make(**parameters):
        sessions.append(Session(engine, logger, **parameters))
        return sessions[-1]

    yield make
    engine.go_on.set()
    for session in sessions:
        session.it.stop()


def test_the_published_pixels_are_those_of_the_pipeline(make_session, engine):
    session = make_session()
    thermal, visible = gray(NOW_NS), bgr(NOW_NS)
    session.pair(NOW_NS, thermal, visible)
    wait_for(lambda: session.statuses)
    expected = FusionPipeline(engine).process(Pair(decode(thermal), decode(visible)))
    (image,) = session.images
    assert image.encoding == "bgr8"
    np.testing.assert_array_equal(decode(image).image, expected.image)


def test_stamp_and_frame_are_those_of_the_visible_image(make_session):
    session = make_session()
    session.it.receive("thermal", gray(NOW_NS))
    session.it.receive("visible", bgr(NOW_NS + 3 * MS))
    session.it.receive("thermal", gray(NOW_NS + 100 * MS))  # nothing nearer can come any more
    wait_for(lambda: session.statuses)
    for message in (session.images[0], session.statuses[0]):
        assert stamp_to_ns(message.header.stamp) == NOW_NS + 3 * MS
        assert message.header.frame_id == "rgb"


def test_a_gray_visible_image_gives_a_gray_fused_image(make_session):
    session = make_session()
    session.pair(NOW_NS, visible=gray(NOW_NS))
    wait_for(lambda: session.statuses)
    assert (session.images[0].encoding, session.images[0].height, session.images[0].width) == ("mono8", 40, 60)


def test_the_status_has_the_figures_of_its_image(make_session):
    session = make_session()
    session.it.receive("visible", bgr(NOW_NS - 100 * MS))  # never gets a partner
    session.it.receive("thermal", gray(NOW_NS - 5 * MS))
    session.it.receive("visible", bgr(NOW_NS))
    session.it.receive("thermal", gray(NOW_NS + 200 * MS))
    wait_for(lambda: session.statuses)
    status = session.statuses[0]
    assert status.mode == "fused"
    assert (status.skew.sec, status.skew.nanosec) == (-1, 995 * MS)
    assert (status.age.sec, status.age.nanosec) == (0, 50 * MS)
    assert status.stages[:2] == ["queue", "decode"]
    assert status.stages[-2:] == ["encode", "publish"]
    assert {"thermal", "registration", "network", "color"} < set(status.stages)
    assert len(status.stage_latencies) == len(status.stages)
    assert status.stage_latencies[status.stages.index("network")] == pytest.approx(1e-3)
    assert all(0 <= latency < 10 for latency in status.stage_latencies)
    assert dict(zip(status.drop_reasons, status.drop_counts, strict=True))["unpaired"] == 1
    assert (status.model, status.scale, status.device, status.precision) == ("fake", 2, "cpu", "fp32")


def test_counts_add_up(make_session):
    session = make_session()
    for index in range(5):
        session.pair(NOW_NS + index * 33 * MS)
        wait_for(lambda index=index: len(session.statuses) == index + 1)
    totals = session.it.totals()
    assert (totals.received["thermal"], totals.received["visible"]) == (5, 5)
    assert (totals.pairs, totals.published, sum(totals.drops.values())) == (5, 5, 0)
    assert [status.published for status in session.statuses] == [1, 2, 3, 4, 5]


def test_the_latest_pair_wins_while_the_engine_is_busy(make_session, engine):
    session = make_session()
    engine.go_on.clear()
    session.pair(NOW_NS)
    assert engine.entered.wait(5)
    for index in range(1, 5):
        session.pair(NOW_NS + index * 33 * MS)
    engine.go_on.set()
    wait_for(lambda: len(session.statuses) == 2)
    stamps = [stamp_to_ns(image.header.stamp) for image in session.images]
    assert stamps == [NOW_NS, NOW_NS + 4 * 33 * MS]
    assert session.drops() == {SUPERSEDED: 3}


def spoiled(message, **fields):
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize("stream", ["thermal", "visible"])
@pytest.mark.parametrize(
    ("fields", "fact"),
    [
        ({"encoding": "mono17"}, "encoding 'mono17' cannot be fused"),
        ({"step": 7}, "step of 7 bytes is too small"),
        ({"step": 200}, "truncated"),
        ({"height": 0}, "30x0 pixels"),
        ({"data": array("B", bytes(100))}, "100 bytes is truncated"),
    ],
)
def test_a_malformed_image_is_counted_and_logged_and_the_next_is_fused(make_session, stream, fields, fact):
    session = make_session()
    session.it.receive(stream, spoiled(gray(NOW_NS), **fields))
    session.pair(NOW_NS + 33 * MS)
    wait_for(lambda: session.statuses)
    assert session.drops() == {f"bad {stream} image": 1}
    (line,) = [line for line in session.logger.lines if "dropped" in line]
    assert line.startswith(f"bad {stream} image dropped (1 so far): ")
    assert fact in line
    assert "\n" not in line


def test_a_flood_of_malformed_images_is_logged_once_per_period(make_session):
    session = make_session()
    for index in range(200):
        session.it.receive("thermal", spoiled(gray(NOW_NS + index), encoding="junk"))
    assert session.drops() == {"bad thermal image": 200}
    assert len([line for line in session.logger.lines if "bad thermal" in line]) == 1


def test_a_stamp_of_zero_is_counted_and_logged(make_session):
    session = make_session()
    session.pair(0)
    assert session.drops() == {"zero stamp": 2}
    assert [line for line in session.logger.lines if line.startswith("thermal image has a stamp of 0 ns")]
    assert [line for line in session.logger.lines if line.startswith("visible image has a stamp of 0 ns")]


def test_nan_in_a_float_image_drops_the_pair_and_the_next_is_fused(make_session):
    session = make_session()
    kelvin = np.linspace(280, 320, 600, dtype=np.float32).reshape(20, 30)
    broken = kelvin.copy()
    broken[3, 4] = np.nan
    session.pair(NOW_NS, thermal=encode_image(broken, "32FC1", NOW_NS, "thermal"))
    wait_for(lambda: session.drops() == {BAD_PAIR: 1}, what="the drop")
    later = NOW_NS + 33 * MS
    session.pair(later, thermal=encode_image(kelvin, "32FC1", later, "thermal"))
    wait_for(lambda: session.statuses)
    assert len(session.images) == 1
    assert any("NaN" in line for line in session.logger.lines)


def test_a_size_that_changes_mid_stream_is_followed(make_session, engine):
    session = make_session()
    sizes = [(20, 30), (24, 32), (20, 30), (31, 17)]
    for index, (height, width) in enumerate(sizes):
        stamp_ns = NOW_NS + index * 33 * MS
        session.pair(stamp_ns, gray(stamp_ns, height, width), bgr(stamp_ns, 2 * height, 3 * width))
        wait_for(lambda index=index: len(session.statuses) == index + 1)
    assert [(image.height, image.width) for image in session.images] == [(2 * h, 2 * w) for h, w in sizes]
    assert engine.warmed_up == [(20, 30), (24, 32), (31, 17)]
    assert session.drops() == {}


def test_a_given_grid_decides_the_size_and_was_warmed_up_by_the_node(make_session, engine):
    session = make_session(grid=[32, 24])
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert (session.images[0].width, session.images[0].height) == (64, 48)
    assert engine.warmed_up == []


def test_an_error_of_the_engine_drops_the_pair_with_its_reason(make_session, engine):
    session = make_session()
    engine.error = ImageError("too small for this network; expected 16x16")
    session.pair(NOW_NS)
    wait_for(lambda: session.drops() == {BAD_PAIR: 1}, what="the drop")
    assert any("expected 16x16" in line for line in session.logger.lines)


def test_a_defect_is_logged_with_its_traceback_and_does_not_end_the_session(make_session, engine):
    session = make_session()
    engine.error = ZeroDivisionError("a defect")
    session.pair(NOW_NS)
    wait_for(lambda: session.drops() == {INTERNAL_ERROR: 1}, what="the drop")
    (line,) = [line for line in session.logger.lines if "internal error" in line]
    assert "Traceback" in line
    assert "ZeroDivisionError: a defect" in line
    engine.error = None
    session.pair(NOW_NS + 33 * MS)
    wait_for(lambda: session.statuses)


def test_nothing_is_published_after_the_stop(make_session):
    session = make_session()
    session.it.stop()
    session.pair(NOW_NS)
    assert session.images == []
    assert session.drops() == {SUPERSEDED: 1}


def camera(width, height):
    message = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.1, 0.0, 0.0, 0.0, 0.0])
    message.k = [25.0, 0.0, 14.5, 0.0, 26.0, 9.5, 0.0, 0.0, 1.0]
    message.p = [25.0, 0.0, 14.5, -2.5, 0.0, 26.0, 9.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.header.frame_id = "elsewhere"
    return message


def test_the_calibration_is_scaled_to_the_output_with_the_half_pixel(make_session):
    session = make_session()
    session.it.receive_camera_info("visible", camera(30, 20))
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    (info,) = session.camera_infos
    assert info.header == session.images[0].header
    assert (info.width, info.height, info.distortion_model) == (60, 40, "plumb_bob")
    assert list(info.d) == [0.1, 0, 0, 0, 0]
    # A point seen at (u, v), pixel centres at integers, is seen at (2u + 0.5, 2v + 0.5) in an image twice the size.
    for matrix, columns in ((info.k, 3), (info.p, 4)):
        scaled = np.reshape(matrix, (3, columns))
        original = np.reshape(camera(30, 20).k if columns == 3 else camera(30, 20).p, (3, columns))
        point = np.array([0.3, -0.2, 2.0, 1.0])[:columns]
        u, v, w = original @ point
        np.testing.assert_allclose(scaled @ point / w, [2 * u / w + 0.5, 2 * v / w + 0.5, 1])


def test_without_calibration_none_is_published(make_session):
    session = make_session()
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert session.camera_infos == []


def test_the_thermal_image_alone_has_the_calibration_of_its_own_camera(make_session):
    session = make_session(**{"mode.without_visible": "thermal"})
    session.it.receive_camera_info("visible", camera(30, 20))
    thermal = camera(30, 20)
    thermal.k[0] = 21.0
    session.it.receive_camera_info("thermal", thermal)
    stream(session, 1)
    assert {info.k[0] for info in session.camera_infos} == {50.0}
    session.camera_infos.clear()
    stream(session, 2, visible=False)
    assert session.statuses[-1].mode == "thermal"
    assert session.camera_infos[-1].k[0] == 42.0
    assert session.camera_infos[-1].header.frame_id == "thermal"


def test_what_is_wrong_with_a_calibration_is_in_the_health(make_session):
    session = make_session()
    session.it.receive_camera_info("visible", camera(31, 20))
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert session.camera_infos == []
    found = session.it.health().camera_info
    assert (found.received, found.faults) == ({"visible": 1}, {"visible other size": 1})
    (line,) = [line for line in session.logger.lines if "camera_info" in line]
    assert found.current[0] in line


def test_the_status_says_the_skew_that_pairing_used(make_session):
    """A thermal clock that is 0.2 s behind, said so by the offset: the images are 4 ms apart and not 204."""
    session = make_session(**{"sync.thermal_offset": 0.2})
    session.pair(NOW_NS, gray(NOW_NS - 204 * MS), bgr(NOW_NS))
    session.it.receive("thermal", gray(NOW_NS + 100 * MS))
    wait_for(lambda: session.statuses)
    skew = session.statuses[0].skew
    assert (skew.sec, skew.nanosec) == (-1, 996 * MS)


# Modes: a camera that fails


def stream(session, seconds, thermal=True, visible=True, rate=10, make_thermal=None):
    """Let both cameras, or one, send for some time, and the node's timer run."""
    for _ in range(round(seconds * rate)):
        session.now_ns += NS_PER_S // rate
        if thermal:
            session.it.receive("thermal", make_thermal(session.now_ns) if make_thermal else noisy(session.now_ns))
        if visible:
            session.it.receive("visible", bgr(session.now_ns))
        session.it.tick()
        wait_for(session.is_idle, what="the end of its work")  # so that nothing is superseded
    wait_for(lambda: len(session.statuses) == session.it.totals().published)


def noisy(stamp_ns):
    image = np.random.default_rng(stamp_ns % 1000003).integers(0, 256, (20, 30)).astype(np.uint8)
    return encode_image(image, "mono8", stamp_ns, "thermal")


def modes(session):
    """Return the modes of what was published, without repetitions."""
    published = [status.mode for status in session.statuses]
    return [mode for index, mode in enumerate(published) if index == 0 or published[index - 1] != mode]


def changes(session):
    return [line for line in session.logger.lines if line.startswith("mode ")]


def test_without_thermal_the_visible_image_goes_on_alone_and_fusion_comes_back_by_itself(make_session):
    session = make_session()
    stream(session, 1)
    stream(session, 2, thermal=False)
    assert modes(session) == ["fused", "visible"]
    assert (session.images[-1].height, session.images[-1].width, session.images[-1].encoding) == (40, 60, "bgr8")
    stream(session, 2)
    assert modes(session) == ["fused", "visible", "fused"]
    lost, back = changes(session)
    assert lost.startswith("mode visible: no thermal image in time for 1.")
    assert back == "mode fused: both cameras send live images again"
    stamps = [stamp_to_ns(image.header.stamp) for image in session.images]
    assert stamps == sorted(set(stamps))


def test_without_visible_it_stops_or_the_thermal_image_goes_on_alone_as_the_parameter_says(make_session):
    session = make_session()
    stream(session, 1)
    stream(session, 2, visible=False)
    assert modes(session) == ["fused"]
    assert changes(session)[0].startswith("mode stopped: no visible image in time")
    alone = make_session(**{"mode.without_visible": "thermal"})
    stream(alone, 1)
    stream(alone, 2, visible=False)
    assert modes(alone) == ["fused", "thermal"]
    image = alone.images[-1]
    assert (image.height, image.width, image.encoding, image.header.frame_id) == (40, 60, "mono8", "thermal")
    stream(alone, 2)
    assert modes(alone) == ["fused", "thermal", "fused"]


def frozen_from(session):
    """Return what a camera sends that repeats its image of now."""
    image = decode(noisy(session.now_ns)).image
    return lambda stamp_ns: encode_image(image, "mono8", stamp_ns, "thermal")


@pytest.mark.parametrize(
    ("action", "expected"),
    [("hold", ["fused", "held", "fused"]), ("skip", ["fused"]), ("visible", ["fused", "visible", "fused"])],
)
def test_a_closed_shutter_is_bridged_as_the_parameter_says(make_session, action, expected):
    session = make_session(**{"shutter.action": action, "mode.settle": 0.3})
    stream(session, 4)
    stream(session, 2, make_thermal=frozen_from(session))
    assert session.it.mode == ("visible" if action == "visible" else "fused")
    stream(session, 1)
    assert modes(session) == expected
    assert any(line == f"thermal image is frozen; {action}" for line in session.logger.lines)
    assert "thermal image is live" in session.logger.lines


def test_a_thermal_camera_that_stays_frozen_counts_as_lost(make_session):
    session = make_session()
    stream(session, 4)
    stream(session, 5, make_thermal=frozen_from(session))
    assert modes(session) == ["fused", "held", "visible"]
    assert "thermal image is frozen for 3." in changes(session)[0]


def test_the_shutter_flag_of_the_camera_holds_the_last_image(make_session):
    session = make_session()
    stream(session, 1)
    session.it.receive_shutter(Bool(data=True))
    stream(session, 1)
    session.it.receive_shutter(Bool(data=False))
    held = [status.skew for status in session.statuses if status.mode == "held"]
    assert [(skew.sec, skew.nanosec) for skew in held[:3]] == [
        (-1, 9 * NS_PER_S // 10),
        (-1, 8 * NS_PER_S // 10),
        (-1, 7 * NS_PER_S // 10),
    ]
    stream(session, 1)
    assert modes(session) == ["fused", "held", "fused"]


def test_where_nothing_pairs_the_log_says_what_would_mend_it(make_session):
    session = make_session(**{"mode.limit": 5.0})

    def two_seconds_slow(stamp_ns):  # more than the 10 images that wait for a partner
        return noisy(stamp_ns - 2 * NS_PER_S)

    stream(session, 11, make_thermal=two_seconds_slow)
    (line,) = [line for line in session.logger.lines if line.startswith("nothing paired")]
    offset = float(line.split("set sync.thermal_offset to ")[1].split(";")[0])
    assert offset == pytest.approx(2, abs=0.11)
    assert session.statuses == []
    session.it.reconfigure(build({"sync.thermal_offset": 2}))
    stream(session, 1, make_thermal=two_seconds_slow)
    assert modes(session) == ["fused"]


def test_a_lost_device_is_told_and_the_pair_dropped(make_session, engine):
    session = make_session()
    engine.error = DeviceError("the device failed: CUDA out of memory")
    session.pair(NOW_NS)
    wait_for(lambda: session.drops() == {DEVICE_FAILED: 1}, what="the drop")
    wait_for(lambda: session.devices_lost == [True], what="the call")


# What is published for whom


def test_only_what_somebody_subscribes_to_is_published(make_session, engine):
    session = make_session()
    session.it.receive_camera_info("visible", camera(30, 20))
    session.images.subscribers, session.camera_infos.subscribers, session.compressed.subscribers = 0, 0, 1
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert (len(session.images), len(session.camera_infos), len(session.compressed)) == (0, 0, 1)
    session.compressed.subscribers = session.statuses.subscribers = 0
    session.pair(NOW_NS + 33 * MS)
    assert session.drops() == {NO_SUBSCRIBER: 1}
    assert len(engine.sizes) == 1


def test_the_preview_is_the_thermal_image_that_was_fused_with_its_own_size_and_header(make_session):
    session = make_session(grid=[60, 48], **{"thermal.range_high": 1000})
    session.pair(NOW_NS)
    wait_for(lambda: session.statuses)
    assert session.previews == []
    session.previews.subscribers = 1
    counts = np.linspace(0, 1000, 600).astype(np.uint16).reshape(20, 30)
    session.it.receive("thermal", encode_image(counts, "mono16", NOW_NS + 100 * MS, "thermal"))
    session.it.receive("visible", bgr(NOW_NS + 103 * MS))
    session.it.receive("thermal", gray(NOW_NS + 200 * MS))  # nothing nearer can come any more
    wait_for(lambda: session.previews)
    (preview,) = session.previews
    assert stamp_to_ns(preview.header.stamp) == NOW_NS + 100 * MS
    assert (preview.encoding, preview.width, preview.height, preview.header.frame_id) == ("mono8", 30, 20, "thermal")
    np.testing.assert_allclose(decode(preview).image, counts / 1000 * 255, atol=0.51)


def test_who_looks_at_the_preview_alone_has_nothing_fused(make_session, engine):
    session = make_session()
    for output in (session.images, session.camera_infos, session.statuses):
        output.subscribers = 0
    session.previews.subscribers = 1
    session.pair(NOW_NS)
    wait_for(session.drops)
    np.testing.assert_array_equal(decode(session.previews[0]).image, decode(gray(NOW_NS)).image)
    assert engine.sizes == []
    assert session.drops() == {NO_SUBSCRIBER: 1}
    assert not session.it.health().is_wanted


def test_a_thermal_image_that_stands_for_another_is_not_shown_again(make_session):
    session = make_session()
    session.previews.subscribers = 1
    session.it.receive_shutter(Bool(data=False))
    stream(session, 1)
    session.it.receive_shutter(Bool(data=True))
    count = len(session.previews)
    stream(session, 1)
    assert session.statuses[-1].mode == "held"
    assert len(session.previews) == count


def test_the_compressed_output_is_the_image_as_jpeg_with_its_header(make_session):
    session = make_session(output="gray", jpeg_quality=95)
    session.compressed.subscribers = 1
    smooth = encode_image(np.tile(np.arange(30, dtype=np.uint8) * 8, (20, 1)), "mono8", NOW_NS, "rgb")
    session.pair(NOW_NS, visible=smooth)
    wait_for(lambda: session.statuses)
    (image,), (compressed,) = session.images, session.compressed
    assert compressed.header == image.header == session.statuses[0].header
    difference = decode(image).image.astype(int) - decode_compressed(compressed).image
    assert np.abs(difference).max() < 12


def test_compressed_inputs_are_fused_as_raw_ones_are(make_session):
    session = make_session()
    counts = (np.arange(600).reshape(20, 30) * 50).astype(np.uint16)
    color = decode(bgr(NOW_NS)).image
    raw = make_session()
    raw.pair(NOW_NS, encode_image(counts, "mono16", NOW_NS, "thermal"), bgr(NOW_NS))
    session.pair(NOW_NS, png(counts), png(color))
    wait_for(lambda: session.statuses and raw.statuses)
    np.testing.assert_array_equal(decode(session.images[0]).image, decode(raw.images[0]).image)


def test_a_damaged_compressed_image_is_a_counted_drop(make_session):
    session = make_session()
    for data in (b"", b"GIF89a", bytes(png(np.zeros((20, 30), np.uint8)).data)[:40]):
        session.it.receive("thermal", CompressedImage(format="png", data=data))
    assert session.drops() == {"bad thermal image": 3}


def png(image):
    message = CompressedImage(format="png", data=array("B", cv2.imencode(".png", image)[1].tobytes()))
    message.header.stamp, message.header.frame_id = ns_to_stamp(NOW_NS), "camera"
    return message
