#!/usr/bin/env python3
"""Measures what registration leaves of fusion: pairs warped by a known homography and registered, beside the pairs.

    PYTHONPATH=. .venv/bin/python scripts/measure_registered_fusion.py ../shared/data/val out/registered_fusion

The pairs of one data set are taken for the recording of one rig, whose thermal camera sees 0.8 of the view, shifted,
turned and in perspective. They are registered by the true homography and by the one that `hkdnet calibrate` finds in
all of them together. Qabf and VIFp are measured twice: against the images that were fused, and against the true pair,
which takes off what is resampled and shifted. Two networks are measured: realtime with both images reduced by 2, guided
with thermal reduced by 4. The data's own registration is off by some pixels; the mutual information of the gray levels,
by which nothing was registered, says which of both homographies is nearer.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from hkdnet_ros.calibration.calibrate import calibrate
from hkdnet_ros.calibration.warping import corners, warped
from hkdnet_ros.evaluation.measurements import measure_pair
from hkdnet_ros.evaluation.methods import open_methods
from hkdnet_ros.evaluation.registered_sources import RegisteredSources, Registering
from hkdnet_ros.geometry.calibration import PairCalibration
from hkdnet_ros.geometry.calibration_files import load_calibration, save_calibration
from hkdnet_ros.geometry.homography import transform_points
from hkdnet_ros.images.camera_model import CameraModel
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.metrics.information import entropy, joint_histogram
from hkdnet_ros.sources.opening import open_source
from hkdnet_ros.sources.pairs import PairPaths, list_pairs, read_conditioned, read_gray

KEYS = ("Qabf", "VIFp")
FILES = {"truth": "true.yaml", "calibrate's": "calibrated/calibration.yaml"}
RIGS = {"ms_": (640, 480), "rs_": (480, 272)}  # what the names of its pairs begin with; images are cut to this size
NETWORKS = {"realtime": Sizes(thermal=2, visible=2), "guided": Sizes(thermal=4, visible=1)}


def rig(size: tuple[int, int]) -> np.ndarray:
    """Return thermal to visible pixels of a thermal camera that sees 0.8 of the width, 12 and 9 px beside, by 2 deg."""
    places = corners(size)
    middle = (np.array(size) - 1) / 2
    turn = np.radians(2)
    turned = 0.8 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    bent = [(3, -2), (-4, 1), (2, 4), (-1, -3)]
    there = (places - middle) @ turned.T + middle + (12, -9) + bent
    return cv2.getPerspectiveTransform(places.astype(np.float32), there.astype(np.float32)).astype(np.float64)


def write_rig(pairs: list[PairPaths], size: tuple[int, int], folder: Path) -> np.ndarray:
    """Write the pairs as the rig would have seen them, and the truth; return the homography."""
    to_visible = rig(size)
    for name in ("warped/thermal", "warped/visible", "true/thermal", "true/visible"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for pair in pairs:
        thermal, light = read_conditioned(pair.thermal), read_gray(pair.visible)
        if thermal.shape[0] < size[1] or thermal.shape[1] < size[0]:
            continue
        thermal, light = (np.ascontiguousarray(image[: size[1], : size[0]]) for image in (thermal, light))
        seen, _ = warped(thermal, np.linalg.inv(to_visible), size)
        for name, image in (("warped", seen), ("true", thermal)):
            gray = np.uint8(np.rint(np.clip(image, 0, 1) * 255))
            cv2.imwrite(str(folder / name / "thermal" / f"{Path(pair.name).stem}.png"), gray)
            visible = np.uint8(np.rint(light * 255))
            cv2.imwrite(str(folder / name / "visible" / f"{Path(pair.name).stem}.png"), visible)
    cameras = [CameraModel(*size, "", (0.0,) * 9)] * 2
    save_calibration(folder / "true.yaml", PairCalibration(*cameras, homography=tuple(map(float, to_visible.ravel()))))
    return to_visible


def measure(pairs: list[PairPaths], registering: Registering, network: str) -> dict[str, dict[str, float]]:
    """Return the means of a network's fusion: of registered pairs by their own, against the true, and of the true."""
    sources, sizes = RegisteredSources(registering, pairs), NETWORKS[network]
    columns: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with contextlib.ExitStack() as stack:
        methods, _ = open_methods(sizes, [EngineConfig(model=network, device="cpu", backend="torch")], stack)
        ours = {name: method for name, method in methods.items() if name.startswith("hkdnet")}
        for pair in tqdm(pairs):
            for name, read, against in (
                ("own", sources.sources, None),
                ("against", sources.sources, sources.truth),
                ("true", sources.truth, None),
            ):
                as_is, _ = measure_pair(pair, sizes, ours, None, KEYS, read, against).measurements
                for key in KEYS:
                    columns[name][key].append(as_is.values[key])
    return {name: {key: float(np.mean(values)) for key, values in row.items()} for name, row in columns.items()}


def shared(pairs: list[PairPaths], registering: Registering) -> np.ndarray:
    """Return the mutual information of thermal and visible in each registered pair, in bits, of 32 gray levels."""
    sources, found = RegisteredSources(registering, pairs), []
    for pair in pairs:
        joint = joint_histogram(*(image >> 3 for image in sources.sources(pair, 1)))
        found.append(entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint))
    return np.array(found)


def main(data: Path, out: Path) -> None:
    """Measure each rig."""
    for name, size in RIGS.items():
        folder = out / name
        to_visible = write_rig([pair for pair in list_pairs(data) if pair.name.startswith(name)], size, folder)
        warped_pairs = list_pairs(folder / "warped")
        print(calibrate(open_source(str(folder / "warped")), folder / "calibrated", every=0.0))
        found = np.reshape(load_calibration(folder / "calibrated" / "calibration.yaml").homography, (3, 3))
        off = np.linalg.norm(
            transform_points(found, corners(size)) - transform_points(to_visible, corners(size)), axis=1
        )
        print(
            f"{name}, {len(warped_pairs)} pairs of {size[0]}x{size[1]}: corners off by {off.mean():.2f} px on average, "
            f"{off.max():.2f} at most"
        )
        by_truth, by_estimate = (shared(warped_pairs, Registering(folder / file)) for file in FILES.values())
        print(
            f"mutual information {by_truth.mean():.3f} bits by the truth, {by_estimate.mean():.3f} by the estimate, "
            f"higher in {np.sum(by_estimate > by_truth)} pairs"
        )
        for network, (by, file) in itertools.product(NETWORKS, FILES.items()):
            found = measure(warped_pairs, Registering(folder / file, folder / "true"), network)
            for key in KEYS:
                own, against, true = (found[kind][key] for kind in ("own", "against", "true"))
                print(
                    f"{network:8} {by:11} {key:4} of true pairs {true:.4f}; registered {own:.4f} "
                    f"({own / true - 1:+.1%}), against the true pair {against:.4f} ({against / true - 1:+.1%})",
                    flush=True,
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
