"""Evaluation of pairs of cameras that stand apart: registered by the node's registration before they are measured."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import outlines

from hkdnet_ros import cli
from hkdnet_ros.calibration.warping import corners, warped
from hkdnet_ros.evaluation.measurements import measure_pair
from hkdnet_ros.evaluation.methods import open_methods
from hkdnet_ros.evaluation.registered_sources import RegisteredSources, Registering
from hkdnet_ros.geometry.calibration import PairCalibration
from hkdnet_ros.geometry.calibration_files import save_calibration
from hkdnet_ros.geometry.rigid_transform import RigidTransform
from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.sources.pairs import list_pairs, read_conditioned, read_gray

Gray = NDArray[np.float32]
KEYS = ("Qabf", "VIFp")


def to_visible(width: int, height: int) -> NDArray[np.float64]:
    """Return a homography: thermal sees 0.8 of the view, turned by 2 degrees, in perspective, beside the middle."""
    places = corners((width, height))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -2, 0.8)
    there = places @ matrix[:, :2].T + matrix[:, 2] + (8, -5) + [(3, -2), (-2, 1), (2, 3), (-1, -3)]
    return cv2.getPerspectiveTransform(places.astype(np.float32), there.astype(np.float32)).astype(np.float64)


def write(path: Path, image: Gray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.uint8(np.rint(np.clip(image, 0, 1) * 255)))


def write_pairs(folder: Path, pairs: dict[str, tuple[Gray, Gray]]) -> None:
    """Write the pairs, and what two cameras that stand apart see of them, with the calibration of the two."""
    height, width = next(iter(pairs.values()))[0].shape
    homography = to_visible(width, height)
    for name, (thermal, visible) in pairs.items():
        seen, _ = warped(thermal, np.linalg.inv(homography), (width, height))
        for place, image in (("apart", seen), ("true", thermal)):
            write(folder / place / "thermal" / f"{name}.png", image)
            write(folder / place / "visible" / f"{name}.png", visible)
    save(folder / "true.yaml", homography, (width, height))


def save(path: Path, homography: NDArray[np.float64], size: tuple[int, int]) -> None:
    cameras = [CameraModel(*size, "", (0.0,) * 9)] * 2
    save_calibration(path, PairCalibration(*cameras, homography=tuple(map(float, homography.ravel()))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def pair(seed: int) -> tuple[Gray, Gray]:
        shared = outlines(seed, 150, 200)
        return 1 - shared, 0.6 * shared + 0.4 * outlines(90 + seed, 150, 200)

    write_pairs(tmp_path, {name: pair(seed) for seed, name in enumerate("ab")})
    return tmp_path


def off_truth(folder: Path, calibration: str, distance: float = 10.0) -> float:
    """Return the mean gray levels by which registered thermal images differ from the true ones."""
    pairs = list_pairs(folder / "apart")
    sources = RegisteredSources(Registering(folder / calibration, folder / "true", distance), pairs)
    found = []
    for pair in pairs:
        (thermal, visible), (true_thermal, true_visible) = (read(pair, 2) for read in sources.reads)
        assert thermal.shape == visible.shape
        np.testing.assert_array_equal(visible, true_visible)
        found.append(float(cv2.absdiff(thermal, true_thermal).mean()))
    return float(np.mean(found))


def test_registered_pairs_are_the_true_ones_where_both_cameras_see_and_by_another_calibration_they_are_not(
    folder: Path,
) -> None:
    save(folder / "wrong.yaml", to_visible(200, 150) @ np.array([[1, 0, 3], [0, 1, 0], [0, 0, 1.0]]), (200, 150))
    assert off_truth(folder, "true.yaml") < 2
    assert off_truth(folder, "wrong.yaml") > 4


def test_lenses_and_pose_register_at_a_distance(folder: Path) -> None:
    k = (100.0, 0.0, 99.5, 0.0, 100.0, 74.5, 0.0, 0.0, 1.0)
    camera = CameraModel(200, 150, "optical", k, p=(*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0))
    save_calibration(folder / "rig.yaml", PairCalibration(camera, camera, RigidTransform(translation=(-0.8, 0.0, 0.0))))
    for name in "ab":  # what is 10 m away lies 8 px apart
        thermal = read_conditioned(folder / "true" / "thermal" / f"{name}.png")
        write(folder / "apart" / "thermal" / f"{name}.png", np.roll(thermal, 8, axis=1))
    assert off_truth(folder, "rig.yaml") < 0.5
    assert off_truth(folder, "rig.yaml", distance=5.0) > 4


def test_real_pairs_registered_as_calibrate_finds_are_fused_within_2_percent_of_the_true_ones(
    data_folder: Path, tmp_path: Path
) -> None:
    """Each fusion by its own sources; the estimate is that of three pairs together. Better may be more than that."""
    names = ("rs_FLIR_06307", "rs_FLIR_04208", "rs_FLIR_06407")
    paths = {Path(pair.name).stem: pair for pair in list_pairs(data_folder / "val")}

    def cut(image: Gray) -> Gray:
        return np.ascontiguousarray(image[:238, :536])

    write_pairs(
        tmp_path,
        {name: (cut(read_conditioned(paths[name].thermal)), cut(read_gray(paths[name].visible))) for name in names},
    )
    named = [str(tmp_path / "apart"), "--out", str(tmp_path / "found"), "--every", "0"]
    assert cli.main(["calibrate", *named]) == 0
    sizes, pairs = Sizes(thermal=2, visible=2), list_pairs(tmp_path / "apart")
    sources = RegisteredSources(Registering(tmp_path / "found" / "calibration.yaml", tmp_path / "true"), pairs)
    with contextlib.ExitStack() as stack:
        methods, _ = open_methods(sizes, [EngineConfig(model="realtime", device="cpu", backend="torch")], stack)
        ours = {"ours": methods["hkdnet(realtime_x2)"]}
        registered, true = (
            [measure_pair(pair, sizes, ours, None, KEYS, read).measurements[0].values for pair in pairs[:2]]
            for read in sources.reads
        )
    for key in KEYS:
        assert np.mean([row[key] for row in registered]) > 0.98 * np.mean([row[key] for row in true])


def evaluate(folder: Path, *options: str) -> int:
    named = ("--pairs", str(folder / "apart"), "--out", str(folder / "out"), "--model")
    return cli.main(["evaluate", "images", *named, *options])


def test_the_report_says_by_what_pairs_were_registered_and_has_those_of_the_truth_beside(folder: Path) -> None:
    calibrated = ("--limit", "1", "--calibration", str(folder / "true.yaml"))
    assert evaluate(folder, *calibrated, "--truth", str(folder / "true")) == 0
    text = (folder / "out" / "report.md").read_text()
    assert f"- registered by: {folder / 'true.yaml'}; measured is what both cameras see" in text
    assert f"- measured against: the pairs of {folder / 'true'}" in text
    assert "| bicubic>average of true pairs |" in text
    sheet = cv2.imread(str(folder / "out" / "contact_sheet.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape[0] < 2 * 28 + 4 + 150  # cut to what both cameras see
    assert evaluate(folder, *calibrated) == 0
    assert "true pairs" not in (folder / "out" / "report.md").read_text()


def test_what_does_not_fit_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def failure(*options: str) -> str:
        assert evaluate(folder, *options) == 1
        lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
        (line,) = (line for line in lines if line.startswith("hkdnet:"))
        return line

    true = ("--truth", str(folder / "true"))
    assert "--truth goes with --calibration" in failure(*true)
    save(folder / "small.yaml", to_visible(200, 150), (160, 120))
    by_another = failure("--calibration", str(folder / "small.yaml"))
    assert "a.png: calibration of the thermal camera is for 160x120 pixels" in by_another
    assert "gone.yaml" in failure("--calibration", str(folder / "gone.yaml"))
    for side in ("thermal", "visible"):
        (folder / "true" / side / "b.png").unlink()
    calibrated = ("--calibration", str(folder / "true.yaml"), *true)
    assert "has no pair for 1 of 2, as b.png" in failure(*calibrated)
    for side in ("thermal", "visible"):
        write(folder / "true" / side / "b.png", outlines(3, 100, 100))
    of_another_size = "b.png: the registered pair and the visible image of the other one are 100x100, 100x100, 200x150"
    assert of_another_size in failure(*calibrated)
