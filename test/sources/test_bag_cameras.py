"""The two cameras of a bag are found by the names of their topics, or a line says what to name."""

from __future__ import annotations

import contextlib

import pytest
from recordings import START_NS, BagWriter, assert_one_line, thermal_image, visible_image

from hkdnet_ros.errors import SourceError
from hkdnet_ros.sources.opening import open_source


def opened(tmp_path, topics, **given):
    path = tmp_path / "bag"
    with BagWriter(path, "mcap") as bag:
        for topic in topics:
            if topic.endswith("/compressed"):
                bag.compressed(topic, visible_image(0), "jpeg", ".jpg", START_NS, "camera")
            else:
                bag.image(topic, thermal_image(0), "mono8", START_NS, "camera")
    asked = {"thermal_topic": None, "visible_topic": None, **given}
    with contextlib.closing(open_source(str(path), **asked)) as source:
        return source.topic("thermal"), source.topic("visible")


@pytest.mark.parametrize(
    ("thermal", "visible", "others"),
    [
        ("/thermal/image_raw", "/visible/image_raw", []),
        ("/robot/flir_boson/image_raw", "/robot/front_camera/image_raw", []),
        ("/lwir/image", "/rgb/image_raw/compressed", ["/stereo/depth/image_raw"]),
        ("/camera/ir/image_raw", "/camera/color/image_raw", ["/camera/color/image_rect", "/fused/image"]),
        ("/Thermal_Cam/image_raw/compressed", "/cam0", ["/thermal/preview"]),
    ],
)
def test_cameras_are_told_by_their_names(tmp_path, thermal, visible, others):
    assert opened(tmp_path, [thermal, visible, *others]) == (thermal, visible)


def test_a_topic_that_is_given_is_taken_and_the_other_is_found(tmp_path):
    topics = ["/a/image_raw", "/b/image_raw"]
    assert opened(tmp_path, topics, thermal_topic="/b/image_raw") == ("/b/image_raw", "/a/image_raw")


@pytest.mark.parametrize(
    ("topics", "facts"),
    [
        ([], ["no images in it", "record"]),
        (["/a/image_raw", "/b/image_raw"], ["no topic is named like a thermal", "/a/image_raw", "--thermal-topic"]),
        (["/ir/image_raw"], ["no topic is named like a visible", "/ir/image_raw", "--visible-topic"]),
        (
            ["/fused/image", "/fused/image/compressed"],
            ["were fused (/fused/image)", "the recording they were made of"],
        ),
        (["/ir/image_raw", "/left/image_raw", "/right/image_raw"], ["/left/image_raw, /right/image_raw", "--visible"]),
    ],
)
def test_where_names_do_not_tell_one_line_says_what_to_name(tmp_path, topics, facts):
    with pytest.raises(SourceError) as caught:
        opened(tmp_path, topics)
    assert_one_line(caught.value, tmp_path / "bag", *facts)


def test_a_bag_of_fused_images_alone_says_so_where_topics_are_given_too(tmp_path):
    with pytest.raises(SourceError) as caught:
        opened(tmp_path, ["/fused/image"], thermal_topic="/ir/image_raw", visible_topic="/cam/image_raw")
    assert_one_line(caught.value, tmp_path / "bag", "were fused (/fused/image)", "the recording they were made of")
    topics = ["/ir/image_raw", "/cam/image_raw", "/fused/image"]
    assert opened(tmp_path / "both", topics) == ("/ir/image_raw", "/cam/image_raw")
