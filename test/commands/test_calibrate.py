"""``hkdnet calibrate`` from folders to files."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hkdnet_ros.calibration.targets import Target, TargetConfig
from hkdnet_ros.calibration.warping import corners, warped
from hkdnet_ros.cli import main
from hkdnet_ros.geometry.calibration_files import load_calibration
from hkdnet_ros.geometry.homography import transform_points
from hkdnet_ros.images.frames import VISIBLE
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.two_cameras import TwoCameraSimulator, usual_rig

sys.path.insert(0, str(Path(__file__).parents[1] / "calibration"))
from target_views import target_poses, views

SIZE = (480, 270)
PLACES = np.array([(112, 41), (371, 47), (366, 243), (107, 236)], np.float32)


def write(folder: Path, number: int, thermal: np.ndarray, visible: np.ndarray) -> None:
    for stream, image in (("thermal", thermal), ("visible", visible)):
        (folder / stream).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / stream / f"{number:03}.png"), np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two streets, thermal 160x128 in the middle of visible 480x270."""
    folder = tmp_path_factory.mktemp("street")
    forth = cv2.getPerspectiveTransform(corners((160, 128)).astype(np.float32), PLACES)
    for seed in range(2):
        seen = TwoCameraSimulator(SceneConfig(seed=seed), usual_rig((160, 128), SIZE)).registered(30, VISIBLE)
        heat = np.clip((seen.temperature - 5) / 35, 0, 1).astype(np.float32)
        thermal, _ = warped(heat, np.linalg.inv(forth), (160, 128))
        write(folder, seed, thermal, cv2.cvtColor(seen.colour, cv2.COLOR_BGR2GRAY) / 255)
    return folder


def test_scene_gives_a_homography_a_file_and_overlays(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(street), "--every", "0", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "homography by the edges of 2 pairs" in said
    assert "thermal_offset 0 s, as given" in said
    found = load_calibration(tmp_path / "out" / "calibration.yaml")
    assert found.homography is not None
    off = transform_points(np.reshape(found.homography, (3, 3)), corners((160, 128))) - PLACES
    assert np.linalg.norm(off, axis=1).mean() < 1.0
    before, after = (cv2.imread(str(tmp_path / "out" / name / "000.png")) for name in ("before", "after"))
    assert before.shape == after.shape == (270, 480, 3)
    assert (before != after).any()
    file = tmp_path / "out" / "calibration.yaml"
    assert main(["calibrate", str(street), "--view", str(file), "--out", str(tmp_path / "view")]) == 0
    assert (cv2.imread(str(tmp_path / "view" / "after" / "000.png")) == after).all()


def test_target_gives_lenses_and_pose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = usual_rig((320, 256), (640, 360))
    target = Target(TargetConfig("circles", (8, 5), 0.045))
    for number, pose in enumerate(target_poses(target, rig, 14)):
        write(tmp_path / "in", number, *views(target, rig, pose, seed=number))
    words = ["calibrate", str(tmp_path / "in"), "--every", "0", "--out", str(tmp_path / "out")]
    assert main([*words, "--target", "circles", "--grid", "8x5", "--spacing", "0.045"]) == 0
    assert "lenses (thermal plumb_bob, visible plumb_bob) and pose by" in capsys.readouterr().out
    found = load_calibration(tmp_path / "out" / "calibration.yaml")
    assert found.thermal_to_visible is not None
    assert found.thermal_to_visible.translation == pytest.approx(rig.thermal_to_visible.translation, abs=0.02)
    assert found.thermal is not None
    assert found.thermal.k[0] == pytest.approx(rig.thermal.k[0], rel=0.03)


def test_what_is_missing_is_said_in_one_line(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--every", "0", "--out", str(tmp_path / "out")]
    assert main(["calibrate", str(street), "--target", "circles", *out]) == 1
    assert "found in 0 thermal and 0 visible images of 2 pairs" in capsys.readouterr().err
    assert main(["calibrate", str(street), "--target", "circles", "--keep-lenses", *out]) == 1
    assert "has no calibrated camera_info of thermal and visible" in capsys.readouterr().err
    for option in (["--keep-lenses"], ["--thermal-lens", "equidistant"]):
        assert main(["calibrate", str(street), *option, *out]) == 1
        assert "go with --target; edges give no lenses" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_calibration_of_another_size_is_not_viewed(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(
        "format: hkdnet_ros calibration 1\nthermal: {image_width: 320, image_height: 256}\n"
        "homography_thermal_to_visible: [1, 0, 0, 0, 1, 0, 0, 0, 1]\n"
    )
    assert main(["calibrate", str(street), "--view", str(file), "--out", str(tmp_path / "out")]) == 1
    assert "is for thermal images of 320x256" in capsys.readouterr().err
