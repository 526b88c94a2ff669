from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hkdnet_ros.errors import SourceError
from hkdnet_ros.images import color
from hkdnet_ros.images.messages import decode_message
from hkdnet_ros.sources.pairs import list_pairs, read_conditioned, read_gray, read_pair

HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id="visible")


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.png"):
        for side in ("thermal", "visible"):
            write(tmp_path / side / name, np.zeros((4, 6), np.uint8))
    return tmp_path


def test_pairs_come_sorted_by_name(folder: Path) -> None:
    pairs = list_pairs(folder)
    assert [pair.name for pair in pairs] == ["a.png", "b.png"]
    assert pairs[0].thermal == folder / "thermal" / "a.png"
    assert pairs[0].visible == folder / "visible" / "a.png"


def test_suffixes_may_differ_and_other_files_are_passed_over(folder: Path) -> None:
    write(folder / "thermal" / "c.tiff", np.zeros((4, 6), np.uint16))
    write(folder / "visible" / "c.JPG", np.zeros((4, 6, 3), np.uint8))
    (folder / "visible" / "notes.txt").write_text("")
    (folder / "visible" / "._a.png").write_bytes(b"")
    pair = list_pairs(str(folder))[2]
    assert (pair.name, pair.visible.name) == ("c.tiff", "c.JPG")


def test_names_without_a_partner_are_named(folder: Path) -> None:
    write(folder / "visible" / "lonely.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(SourceError, match=r"visible: 1 image\(s\) without a partner of the same name: lonely"):
        list_pairs(folder)


def test_two_files_of_one_name_are_refused(folder: Path) -> None:
    write(folder / "thermal" / "a.bmp", np.zeros((4, 6), np.uint8))
    with pytest.raises(SourceError, match=r"a\.bmp and a\.png bear one name"):
        list_pairs(folder)


def test_missing_folder_and_empty_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        list_pairs(tmp_path)
    (tmp_path / "thermal").mkdir()
    (tmp_path / "visible").mkdir()
    with pytest.raises(SourceError, match="hold no images"):
        list_pairs(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_keeps_its_value_at_full_scale(tmp_path: Path, dtype: type[np.unsignedinteger]) -> None:
    top = np.iinfo(dtype).max
    gray = read_gray(write(tmp_path / "x.png", np.array([[0, top // 3, top]], dtype)))
    assert gray.dtype == np.float32
    np.testing.assert_allclose(gray, [[0, 1 / 3, 1]], atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_becomes_the_luma_that_the_node_fuses(
    tmp_path: Path, dtype: type[np.unsignedinteger], channels: int
) -> None:
    image = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (9, 7, channels), dtype, endpoint=True)
    image[0, 0] = np.iinfo(dtype).max
    path = write(tmp_path / "x.png", image)
    gray = read_gray(path)
    assert gray.dtype == np.float32
    assert gray.max() == 1.0
    eight_bits = np.rint(image[:, :, :3] / (np.iinfo(dtype).max / 255))
    np.testing.assert_allclose(gray * 255, eight_bits @ [0.114, 0.587, 0.299], atol=0.51)
    node = decode_message(SimpleNamespace(header=HEADER, format="png", data=path.read_bytes()))
    np.testing.assert_array_equal(gray, color.luma(node.image, node.encoding) / np.float32(255))
    np.testing.assert_array_equal(read_conditioned(path), gray)  # a rendering in colour


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.png: cannot be read"):
        read_gray(tmp_path / "gone.png")
    for content in (b"", b"no image"):
        (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(SourceError, match=r"bad\.png: not a readable image"):
            read_gray(tmp_path / "bad.png")
    with pytest.raises(SourceError, match=r"x\.tiff: image of encoding 32FC1 has no luma"):
        read_gray(write(tmp_path / "x.tiff", np.zeros((2, 2), np.float32)))


def test_a_folder_that_cannot_be_listed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceError, match=r"thermal: cannot be listed \(Permission denied\)"):
        list_pairs(folder)


def test_pair_of_different_sizes_is_refused(folder: Path) -> None:
    write(folder / "visible" / "a.png", np.zeros((4, 8), np.uint8))
    first, second = list_pairs(folder)
    with pytest.raises(SourceError, match=r"a\.png: thermal is 6x4, visible 8x4"):
        read_pair(first)
    assert read_pair(second)[1].shape == (4, 6)


def test_a_rendering_and_telemetry_are_read_as_the_node_takes_them_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, columns = np.mgrid[:120, :160]
    levels = np.clip(128 + 100 * np.sin(rows / 20) * np.cos(columns / 15), 0, 255).astype(np.uint8)
    counts = 7000 + 4 * levels.astype(np.uint16)
    for name in ("a", "b"):
        write(tmp_path / f"jet_{name}.png", cv2.applyColorMap(levels, cv2.COLORMAP_JET))
        write(tmp_path / f"lepton_{name}.png", np.concatenate([counts, np.zeros((2, 160), np.uint16)]))
        np.testing.assert_allclose(read_conditioned(tmp_path / f"jet_{name}.png"), levels / 255, atol=6 / 255)
        plain = read_conditioned(write(tmp_path / "plain.png", counts))
        np.testing.assert_array_equal(read_conditioned(tmp_path / f"lepton_{name}.png"), plain)
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert "palette jet" in said[0]
    assert "160x122" in said[1]
