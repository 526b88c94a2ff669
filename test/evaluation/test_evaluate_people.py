"""How people stand out, measured on scenes of the simulator small enough for a test."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hkdnet_ros import cli
from hkdnet_ros.evaluation.baselines import baselines
from hkdnet_ros.evaluation.people import measure_people
from hkdnet_ros.evaluation.resampling import enlarge_bicubic
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.simulator.config import SceneConfig

DOUBLED = Sizes(thermal=2, visible=2)
SCENE = SceneConfig.of_one_size((160, 120), setting="night", people=4, cars=0)


def evaluate(tmp_path: Path, *options: str) -> int:
    small = ("--size", "128", "96", "--scenes", "1", "--frames", "2", "--model")
    return cli.main(["evaluate", "people", "--out", str(tmp_path / "out"), *small, *options])


def test_people_are_bright_in_thermal_and_a_method_is_measured_as_its_source_is() -> None:
    def thermal_alone(thermal: np.ndarray, _: np.ndarray) -> np.ndarray:
        return enlarge_bicubic(thermal, 2)

    rows = list(measure_people(SCENE, 3, {"thermal alone": thermal_alone, **baselines(DOUBLED)}))
    of = {name: [row.values for row in rows if row.method == name] for name in {row.method for row in rows}}
    assert len(of["bicubic>thermal"]) >= 3
    assert of["thermal alone"] == of["bicubic>thermal"]
    assert all(row["contrast"] > 20 and row["distinct"] for row in of["bicubic>thermal"])
    assert np.mean([row["contrast"] for row in of["bicubic>visible"]]) < 20
    assert all(0 <= row["ground"] < 150 for row in of["bicubic>thermal"])  # by night


def test_a_visible_camera_of_full_size_is_measured_as_it_is() -> None:
    scene = SceneConfig(thermal_size=(80, 60), visible_size=(320, 240), setting="day", people=4, cars=0)
    guided = Sizes(thermal=4, visible=1)

    def visible_alone(_: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return visible.astype(np.float32)

    rows = list(measure_people(scene, 2, {"visible alone": visible_alone, **baselines(guided)}))
    of = {name: [row.values for row in rows if row.method == name] for name in {row.method for row in rows}}
    assert len(of["bicubic>thermal"]) >= 2
    assert of["visible alone"] == of["bicubic>visible"]


def test_nobody_is_found_where_nobody_is() -> None:
    empty = SceneConfig.of_one_size((64, 48), people=0)
    assert not list(measure_people(empty, 1, baselines(DOUBLED)))


def test_the_report_has_everybody_and_those_before_bright_ground(tmp_path: Path) -> None:
    assert evaluate(tmp_path, "--setting", "day") == 0
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    everybody, bright = report.split("## In front of bright ground")
    assert "| image | contrast | SCR | distinct |" in everybody
    for name in ("bicubic>thermal", "bicubic>visible", "bicubic>average", "bicubic>maximum", "bicubic>laplacian"):
        assert f"| {name} |" in everybody
    with open(tmp_path / "out" / "values.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"].split("#")[0] for row in rows} <= {"day:0/00000", "day:0/00060"}
    count = sum(float(row["ground"]) >= 153 for row in rows) // 5
    assert bright.startswith(f" ({count})")


def test_with_a_guide_thermal_alone_is_coarse(tmp_path: Path) -> None:
    words = ("--size", "32", "32", "--scenes", "1", "--frames", "1", "--setting", "night", "--guide", "--scale", "8")
    assert cli.main(["evaluate", "people", "--out", str(tmp_path), *words, "--model"]) == 0
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# People at x8, visible at full size")
    assert "| bicubic>maximum |" in report


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scenes", "0"), "--scenes is 0"),
        (("--frames", "-1"), "--frames is -1"),
        (("--size", "8", "8"), "size"),
        (("--size", "32", "32"), "nobody is to be seen"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert evaluate(tmp_path, *options) == 1
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("hkdnet:")]
    assert len(lines) == 1
    assert message in lines[0]
