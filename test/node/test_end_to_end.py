"""Real frames and simulated ones through real topics, node and network, against the engine run directly on them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

from hkdnet_ros.images.frames import THERMAL, Frame, Pair
from hkdnet_ros.images.messages import decode_message
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.node.image_messages import encode_image
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.plan import PipelineConfig
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.simulator import Simulator
from hkdnet_ros.sources.opening import open_source

FRAMES = 20
GRID = (160, 120)  # small, so that forty frames are quick; what is compared does not depend on it
FIRST_STAMP_NS = 10**18


def recorded_pairs(data_folder):
    """Return the first frames of a recording of 640x480 colour and gray video."""
    source = open_source(str(data_folder / "replay" / "stairs"))
    frames = {"thermal": [], "visible": []}
    for stream, frame in itertools.islice(source.events(), 2 * FRAMES):
        frames[stream].append(frame)
    source.close()
    return [Pair(*pair) for pair in zip(frames["thermal"], frames["visible"], strict=True)]


def simulated_pairs(data_folder):
    """Return the first frames of the simulator: 16-bit thermal counts, whose range is carried from frame to frame."""
    simulator = Simulator(SceneConfig.of_one_size(GRID, setting="night", seed=3))
    renderings = [simulator.render(index) for index in range(FRAMES)]
    return [Pair(rendering.thermal, rendering.visible) for rendering in renderings]


def message(frame, index):
    return encode_image(frame.image, frame.encoding, FIRST_STAMP_NS + index * 33_000_000, frame.frame_id)


@pytest.mark.parametrize("pairs_of", [recorded_pairs, simulated_pairs])
def test_published_pixels_are_those_of_the_engine_run_directly(make_node, rig, request, pairs_of):
    data_folder = request.getfixturevalue("data_folder") if pairs_of is recorded_pairs else None
    pairs = pairs_of(data_folder)
    assert len(pairs) == FRAMES
    make_node(load_engine, model="realtime", device="cpu", grid=list(GRID))
    rig.wait_for_node()
    for index, pair in enumerate(pairs):
        rig.thermal.publish(message(pair.thermal, index))
        rig.visible.publish(message(pair.visible, index))
        wait_for(lambda: len(rig.statuses) == index + 1 == len(rig.images), what=f"fused image {index}")  # noqa: B023

    engine = load_engine(EngineConfig(model="realtime", device="cpu"))
    pipeline = FusionPipeline(engine, PerceptionConfig(PipelineConfig(grid=GRID)))
    for index, (pair, published) in enumerate(zip(pairs, rig.images, strict=True)):
        sent = Pair(decode_message(message(pair.thermal, index)), decode_message(message(pair.visible, index)))
        expected = pipeline.process(sent)
        image = decode_message(published)
        assert (image.encoding, image.stamp_ns, image.frame_id) == ("bgr8", expected.stamp_ns, expected.frame_id)
        assert image.image.shape == (2 * GRID[1], 2 * GRID[0], 3)
        np.testing.assert_array_equal(image.image, expected.image)
        assert image.image.std() > 5
    status = rig.statuses[-1]
    assert (status.thermal_received, status.visible_received) == (FRAMES, FRAMES)
    assert (status.pairs, status.published, list(status.drop_counts)) == (FRAMES, FRAMES, [])
    assert (status.scale, status.device, status.precision) == (2, "cpu", engine.precision)


def test_each_published_image_is_of_its_own_pair(make_node, rig):
    """Neither stale nor mixed: fused images of different pairs differ, of equal pairs are equal."""
    make_node(load_engine, device="cpu")
    rig.wait_for_node()
    gray = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1))
    frames = [Frame(gray, 0, THERMAL, "mono8"), Frame(gray[:, ::-1], 0, THERMAL, "mono8")]
    for index, (thermal, visible) in enumerate(((0, 0), (0, 1), (1, 0), (0, 0))):
        rig.thermal.publish(message(frames[thermal], index))
        rig.visible.publish(message(frames[visible], index))
        wait_for(lambda: len(rig.images) == index + 1, what=f"fused image {index}")  # noqa: B023
    images = [bytes(image.data) for image in rig.images]
    assert images[0] == images[3]
    assert len(set(images)) == 3
