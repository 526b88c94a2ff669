"""Each cause of an empty folder of pairs is told from the others, with the remedy that mends it."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import START_NS, BagWriter, assert_one_line, thermal_image, visible_image, write_folder

from hkdnet_ros.errors import SourceError
from hkdnet_ros.evaluation.video import evaluate_video
from hkdnet_ros.sources.opening import open_source
from hkdnet_ros.sources.pair_files import write_pairs

MS = 1_000_000


def bag(path, thermal, visible, encodings=("mono8", "bgr8"), late=(2 * MS, 2 * MS)):
    """Write images with stamps in ms, recorded ``late`` ns after that, and open them."""
    with BagWriter(path, "mcap") as writer:
        for name, stamps, image, encoding, after in (
            ("thermal", thermal, thermal_image(0), encodings[0], late[0]),
            ("visible", visible, visible_image(0), encodings[1], late[1]),
        ):
            writer.connect(f"/{name}/image_raw", "sensor_msgs/msg/Image")
            for stamp in stamps:
                at = START_NS + round(stamp * MS)
                writer.image(f"/{name}/image_raw", image, encoding, at, name, recorded_ns=at + after)
    return open_source(str(path))


def refusal(source, out, **options):
    with pytest.raises(SourceError) as caught:
        write_pairs(source, out, every=0.0, **options)
    assert_one_line(caught.value, source.name, "no pair within 0.02 s")
    assert not (out / "thermal").exists()
    return str(caught.value)


AT_10_HZ = np.arange(30) * 100.0


def test_all_images_of_a_stream_skipped(tmp_path):
    text = refusal(bag(tmp_path / "bag", AT_10_HZ, AT_10_HZ, encodings=("plasma8", "bgr8")), tmp_path)
    assert "0 thermal and 30 visible images could be used (30 skipped, thermal: " in text
    assert text.endswith("record thermal images in an encoding of docs/encodings.md")


def test_cameras_that_are_not_triggered_together(tmp_path):
    source = bag(tmp_path / "bag", AT_10_HZ, AT_10_HZ + 37)
    text = refusal(source, tmp_path)
    assert (
        "the smallest skew is -0.037 s: the cameras are not triggered together (thermal 10.0 Hz, visible 10.0 Hz)"
        in text
    )
    assert "--slop 0.038" in text
    assert write_pairs(source, tmp_path / "out", every=0.0, slop=0.038)[0] == 30


def test_clocks_that_differ_by_less_than_the_recording(tmp_path):
    source = bag(tmp_path / "bag", AT_10_HZ, AT_10_HZ + 37, late=(39 * MS, 2 * MS))
    text = refusal(source, tmp_path)
    assert "the smallest skew is -0.037 s, though images were recorded together: the clocks differ" in text
    assert "--thermal-offset 0.037" in text
    assert write_pairs(open_source(source.name, thermal_offset=0.037), tmp_path / "out", every=0.0)[0] == 30


def test_clocks_that_differ_by_more_than_the_recording(tmp_path):
    source = bag(tmp_path / "bag", AT_10_HZ, AT_10_HZ + 8000, late=(8002 * MS, 2 * MS))
    text = refusal(source, tmp_path)
    assert (
        "30 thermal and 30 visible images could be used, recorded at the same time but by stamps 5.100 s apart" in text
    )
    assert "--thermal-offset 8.000" in text
    assert write_pairs(open_source(source.name, thermal_offset=8.0), tmp_path / "out", every=0.0)[0] == 30
    wrong_sign = open_source(source.name, thermal_offset=-8.0)
    assert "--thermal-offset 8.000" in refusal(wrong_sign, tmp_path, thermal_offset=-8.0)


def test_offset_of_images_without_stamps_is_refused(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(SourceError, match="an offset of thermal stamps is for bags"):
        open_source(str(tmp_path), thermal_offset=1.0)


def test_cameras_recorded_one_after_the_other(tmp_path):
    text = refusal(bag(tmp_path / "bag", AT_10_HZ + 5000, AT_10_HZ), tmp_path)
    assert "the last visible image was taken 2.100 s before the first thermal one; record both cameras at" in text


def test_cameras_that_were_on_in_turns(tmp_path):
    turns = np.concatenate([AT_10_HZ[:10], AT_10_HZ[:10] + 4000])
    text = refusal(bag(tmp_path / "bag", turns, turns + 2000), tmp_path)
    assert "1.100 s: the cameras were never on at the same time" in text


def test_driver_that_stamps_all_images_alike(tmp_path):
    text = refusal(bag(tmp_path / "bag", [500.0] * 20, AT_10_HZ + 37), tmp_path)
    assert "all thermal ones bear one stamp; let the thermal driver stamp its images" in text


def test_clip_without_pairs_is_refused_with_the_same_cause(tmp_path):
    source = bag(tmp_path / "bag", AT_10_HZ + 5000, AT_10_HZ)
    with pytest.raises(SourceError) as caught:
        evaluate_video(source, tmp_path / "out", 2, [])
    assert_one_line(
        caught.value, "no pair within 0.05 s: 30 thermal and 30 visible", "2.100 s before", "`hkdnet pairs`"
    )


def test_one_image_each(tmp_path):
    assert "the smallest skew is +0.060 s" in refusal(bag(tmp_path / "bag", [60.0], [0.0, 400.0]), tmp_path)


def test_stamps_to_the_second_pair_and_what_is_lost_is_said(tmp_path, caplog):
    source = bag(tmp_path / "bag", AT_10_HZ // 1000 * 1000, AT_10_HZ)
    assert write_pairs(source, tmp_path / "out", every=0.0)[0] == 3
    assert "30 thermal images bear 3 different stamps, and one of each is paired" in caplog.text
    caplog.clear()
    assert write_pairs(bag(tmp_path / "right", AT_10_HZ, AT_10_HZ), tmp_path / "right-out", every=0.0)[0] == 30
    assert not caplog.text
