from __future__ import annotations

import cv2
import numpy as np
import pytest
from recordings import START_NS, BagWriter, visible_image

from hkdnet_ros.cli import main
from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.thermal import ThermalConditioner
from hkdnet_ros.sources.bags.bag_source import BagSource
from hkdnet_ros.sources.pair_files import on_thermal_grid, overlay, read_homography
from hkdnet_ros.sources.pairs import list_pairs, read_pair


@pytest.fixture
def recording(tmp_path):
    """Thirty pairs at 30 Hz: a 16-bit thermal camera and a visible one of twice its size."""
    folder = tmp_path / "recording"
    random = np.random.default_rng(0)
    for index in range(30):
        thermal = random.integers(7000, 9000, (48, 64), dtype=np.uint16)
        visible = random.integers(0, 256, (96, 128, 3), dtype=np.uint8)
        for name, image in (("thermal", thermal), ("visible", visible)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name / f"{index:03}.png"), image)
    return folder


def test_a_recording_becomes_pairs_to_train_on(recording, tmp_path, capsys):
    out = tmp_path / "pairs"
    assert main(["pairs", str(recording), "--out", str(out), "--every", "0.25"]) == 0
    pairs = list_pairs(out)
    assert len(pairs) == 4  # at 0, 0.27, 0.53 and 0.8 s
    assert "4 pairs" in capsys.readouterr().out
    thermal, visible = read_pair(pairs[0])
    assert thermal.shape == visible.shape == (48, 64)
    counts = cv2.imread(str(out / "thermal" / "000000.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(counts, cv2.imread(str(recording / "thermal" / "000.png"), cv2.IMREAD_UNCHANGED))
    assert cv2.imread(str(out / "overlay" / "000000.png")).shape == (48, 64, 3)


def frame(image, encoding):
    return Frame(image, 1, "camera", encoding)


def dot(size, centre):
    image = np.zeros((*size, 3), np.uint8)
    cv2.circle(image, centre, 6, (0, 0, 255), -1)
    return image


def test_a_homography_takes_visible_pixels_to_thermal_pixels():
    thermal = frame(np.zeros((60, 80), np.uint16), "16UC1")
    visible = frame(dot((240, 320), (200, 100)), "bgr8")
    homography = np.array([[0.2, 0, 5.0], [0, 0.2, 10.0], [0, 0, 1]])
    warped = on_thermal_grid(visible, thermal, homography)
    assert warped.shape == (60, 80, 3)
    rows, columns = np.nonzero(warped[:, :, 2] > 100)
    assert (columns.mean(), rows.mean()) == pytest.approx((0.2 * 200 + 5, 0.2 * 100 + 10), abs=0.2)


@pytest.mark.parametrize("encoding", ["rgb8", "rgba8", "bgr8", "bgra8"])
def test_colours_come_blue_first(encoding):
    blue_last = encoding.startswith("rgb")
    pixel = [200, 100, 0, 255] if blue_last else [0, 100, 200, 255]
    image = np.broadcast_to(np.array(pixel[: 3 + encoding.count("a8")], np.uint8), (16, 16, 3 + encoding.count("a8")))
    thermal = frame(np.zeros((16, 16), np.uint8), "mono8")
    assert on_thermal_grid(frame(image, encoding), thermal, None)[3, 3].tolist() == [0, 100, 200]


def test_the_overlay_shows_thermal_in_red_and_visible_in_green():
    thermal = np.full((32, 32), 7000, np.uint16)
    thermal[:16] = 8000
    visible = np.zeros((32, 32, 3), np.uint8)
    visible[:, :16] = 255
    image = overlay(thermal, visible)
    assert image[0, 0].tolist() == [0, 255, 255]
    assert image[31, 0].tolist() == [0, 255, 0]
    assert image[0, 31].tolist() == [0, 0, 255]


@pytest.mark.parametrize("text", ["1 0 0\n0 1 0\n", "1 0 0\n0 1 0\n0 0 0\n", "one", "1 0 0\n0 nan 0\n0 0 1\n"])
def test_a_homography_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "h.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"h\.txt"):
        read_homography(path)


def test_images_of_different_shapes_are_left_out_cropped_or_stretched(tmp_path, capsys):
    thermal = np.zeros((48, 64), np.uint8)
    wide = np.zeros((96, 192, 3), np.uint8)
    wide[:, 32:160] = dot((96, 128), (40, 50))
    for name, image in (("thermal", thermal), ("visible", wide)):
        (tmp_path / "recording" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "recording" / name / "a.png"), image)
    words = ["pairs", str(tmp_path / "recording"), "--out", str(tmp_path / "pairs")]
    assert main(words) == 1
    assert "no pair can be used: 1 times thermal is 64x48 and visible 192x96" in capsys.readouterr().err
    for fit, place in (("crop", (20, 25)), ("stretch", (24, 25))):
        assert main([*words, "--fit", fit]) == 0
        rows, columns = np.nonzero(cv2.imread(str(tmp_path / "pairs" / "visible" / "000000.png"))[:, :, 2] > 100)
        assert (columns.mean(), rows.mean()) == pytest.approx(place, abs=0.6)


def test_streams_that_never_meet_are_said(tmp_path, capsys, recording):
    assert main(["pairs", str(recording), "--out", str(tmp_path / "o"), "--every", "-1"]) == 1
    assert "--every is -1" in capsys.readouterr().err


def write_float_bag(path, thermal_images, visible=None):
    """Write a bag of 32FC1 thermal images and as many visible ones, a pair per second."""
    with BagWriter(path, "sqlite3") as bag:
        for index, image in enumerate(thermal_images):
            stamp = START_NS + index * 1_000_000_000
            bag.image("/thermal/image_raw", image.astype(np.float32), "32FC1", stamp, "thermal")
            seen, encoding = (visible_image(index), "bgr8") if visible is None else visible
            bag.image("/visible/image_raw", seen, encoding, stamp, "visible")
    return path


def kelvin():
    rows, columns = np.mgrid[0:24, 0:32]
    return 280 + 0.013 * rows + columns


def test_kelvin_is_written_in_hundredths_and_read_as_the_robot_sees_it(tmp_path):
    hot = kelvin()
    hot[3, 4] = 900
    out = tmp_path / "pairs"
    assert main(["pairs", str(write_float_bag(tmp_path / "bag", [hot])), "--out", str(out), "--every", "0"]) == 0
    written = cv2.imread(str(out / "thermal" / "000000.png"), cv2.IMREAD_UNCHANGED)
    assert written.dtype == np.uint16
    assert written[3, 4] == 65535
    hot[3, 4] = 655.35
    assert np.abs(written / 100 - hot).max() <= 0.0051
    seen = ThermalConditioner().condition(frame(kelvin().astype(np.float32), "32FC1"))
    np.testing.assert_allclose(read_pair(list_pairs(out)[0])[0][5:], seen[5:], atol=0.002)


def test_thermal_images_that_are_not_finite_are_left_out_and_said(tmp_path, capsys):
    broken = kelvin()
    broken[2:15] = np.nan
    bag = write_float_bag(tmp_path / "bag", [kelvin(), broken, broken, kelvin()])
    assert main(["pairs", str(bag), "--out", str(tmp_path / "pairs"), "--every", "0"]) == 0
    assert len(list_pairs(tmp_path / "pairs")) == 2
    out = capsys.readouterr().out
    assert "2 pairs in" in out
    assert "left out: 2 times thermal image has 416 NaN or infinite pixels of 768" in out


@pytest.mark.parametrize(
    ("scale", "offset"), [(1, -273.15), (1.8, -459.67), (1 / 400, 0)], ids=["celsius", "fahrenheit", "of 1"]
)
def test_floats_in_another_unit_stay_as_they_are_and_are_read_as_the_robot_sees_them(tmp_path, scale, offset):
    values = (kelvin() * scale + offset).astype(np.float32)
    out = tmp_path / "pairs"
    bag = write_float_bag(tmp_path / "bag", [values])
    (out / "thermal").mkdir(parents=True)
    (out / "thermal" / "000000.png").write_bytes(b"of an earlier run, in kelvin")
    assert main(["pairs", str(bag), "--out", str(out), "--every", "0"]) == 0
    (pair,) = list_pairs(out)
    assert pair.thermal.suffix == ".tiff"
    np.testing.assert_array_equal(cv2.imread(str(pair.thermal), cv2.IMREAD_UNCHANGED), values)
    seen = ThermalConditioner().condition(frame(values, "32FC1"))
    np.testing.assert_array_equal(read_pair(pair)[0], seen)
    assert cv2.imread(str(out / "overlay" / "000000.png"))[..., 2].std() > 20


def test_a_file_of_a_folder_that_cannot_be_read_is_left_out_with_status_1(recording, tmp_path, capsys):
    (recording / "visible" / "003.png").write_bytes(b"")
    out = tmp_path / "pairs"
    assert main(["pairs", str(recording), "--out", str(out), "--every", "0"]) == 1
    assert len(list_pairs(out)) == 29
    assert "left out: 1 times a pair of which a file cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("thermal", "visible", "message"),
    [
        (lambda: kelvin() * np.inf, None, "NaN or infinite"),
        (kelvin, (np.zeros((36, 48), np.float32), "32FC1"), "a visible image is 32FC1; expected 8 or 16 bits"),
    ],
)
def test_a_recording_without_a_usable_pair_is_one_line_and_its_files_are_closed(
    tmp_path, capsys, monkeypatch, thermal, visible, message
):
    closed = []
    monkeypatch.setattr(
        BagSource, "close", lambda source, close=BagSource.close: (closed.append(source), close(source))
    )
    bag = write_float_bag(tmp_path / "bag", [thermal()], visible)
    assert main(["pairs", str(bag), "--out", str(tmp_path / "pairs")]) == 1
    (line,) = [x for x in capsys.readouterr().err.replace("\r", "\n").splitlines() if x.startswith("hkdnet:")]
    assert "no pair can be used: 1 times" in line
    assert message in line
    assert closed
    assert not (tmp_path / "pairs").exists()


def test_files_are_closed_where_writing_fails(tmp_path, capsys, monkeypatch):
    closed = []
    monkeypatch.setattr(
        BagSource, "close", lambda source, close=BagSource.close: (closed.append(source), close(source))
    )
    (tmp_path / "file").touch()
    bag = write_float_bag(tmp_path / "bag", [kelvin()])
    assert main(["pairs", str(bag), "--out", str(tmp_path / "file")]) == 1
    assert "cannot be made a folder" in capsys.readouterr().err
    assert closed
