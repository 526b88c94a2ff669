"""A recording judged as the node would treat it."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import START_NS, BagWriter, thermal_image, visible_image, write_bag, write_folder, write_videos
from rigging import FakeEngine

from hkdnet_ros.evaluation.recording import judge
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.mode import ModeConfig
from hkdnet_ros.sources.opening import open_source

KEYS = ("MI", "SSIM")


def judged(source, **config):
    return judge(open_source(str(source)), FakeEngine(), PerceptionConfig(**config), KEYS)


@pytest.mark.parametrize("write", [write_bag, write_folder, write_videos])
def test_a_good_recording_is_fused_from_the_first_pair_to_the_last(tmp_path, write):
    path = tmp_path / "recording"
    write(path)
    judgement = judged(path)
    count = judgement.totals.pairs
    assert count >= 3
    assert judgement.modes == {"fused": count}
    assert judgement.totals.published == count
    assert set(judgement.values) == set(KEYS)
    assert 0.1 < judgement.values["SSIM"] <= 1
    assert judged(path) == judgement


def test_a_bag_is_met_as_it_was_recorded(tmp_path):
    """Stamps are judged and images decoded as on the robot; a damaged message is a counted drop."""
    path = tmp_path / "bag"
    with BagWriter(path, "sqlite3") as bag:
        for index in range(6):
            stamp = START_NS + index * 50_000_000
            bag.image("/thermal/image_raw", thermal_image(index, np.uint16), "mono16", stamp, "t")
            bag.image("/visible/image_raw", visible_image(index), "bgr8", 0 if index == 2 else stamp, "v")
        bag.image("/visible/image_raw", visible_image(6), "plasma8", START_NS + 300_000_000, "v")
    judgement = judged(path)
    assert judgement.totals.drops == {"zero stamp": 1, "unpaired": 1, "bad visible image": 1}
    assert judgement.modes == {"fused": 5}


def test_where_a_camera_falls_silent_the_mode_is_the_nodes(tmp_path):
    path = tmp_path / "bag"
    with BagWriter(path, "mcap") as bag:
        for index in range(60):
            stamp = START_NS + index * 50_000_000
            if index < 20:
                bag.image("/thermal/image_raw", thermal_image(index, np.uint16), "mono16", stamp, "t")
            bag.image("/visible/image_raw", visible_image(index), "bgr8", stamp, "v")
    assert set(judged(path).modes) == {"fused", "visible"}
    assert set(judged(path, mode=ModeConfig(without_thermal="stop")).modes) == {"fused"}
