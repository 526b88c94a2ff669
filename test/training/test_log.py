from __future__ import annotations

import csv
import struct
import sys

import cv2
import numpy as np
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event, SessionLog
from torch import nn

from hkdnet_ros.training.log import Log
from hkdnet_ros.training.loop import LoopConfig, fit

PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 12)


def events(folder):
    """Return all events of a folder in the order of writing, decoded by the TFRecord format: length, CRC, data, CRC."""
    found = []
    for path in sorted(folder.glob("*tfevents*"), key=lambda path: int(path.suffix[1:])):
        content, position = path.read_bytes(), 0
        while position < len(content):
            (length,) = struct.unpack_from("<Q", content, position)
            found.append(Event.FromString(content[position + 12 : position + 12 + length]))
            position += 12 + length + 4
    return found


def scalars(folder):
    return {
        (value.tag, event.step): value.simple_value
        for event in events(folder)
        for value in event.summary.value
        if value.HasField("simple_value")
    }


def test_losses_and_measures_are_events_and_rows(tmp_path):
    with Log(tmp_path, 0) as log:
        log.write_losses(50, 1e-3, {"ssim": 0.5, "vif": 0.25})
        log.write_measures(60, {"ssim": 0.4, "vif": 0.2}, {"MI": 3.0})
    assert scalars(tmp_path) == pytest.approx(
        {
            ("learning_rate", 50): 1e-3, ("loss/ssim", 50): 0.5, ("loss/vif", 50): 0.25, ("loss/total", 50): 0.75,
            ("validation/MI", 60): 3.0,
        }
    )  # fmt: skip
    (row,) = csv.DictReader((tmp_path / "log.csv").open())
    assert list(row) == ["step", "seconds", "loss", "ssim", "vif", "MI"]
    assert [float(row[key]) for key in ("step", "loss", "ssim", "vif", "MI")] == pytest.approx([60, 0.6, 0.4, 0.2, 3])


def test_validation_pictures_are_events_as_they_were_written(tmp_path):
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "street.png"), PICTURE)
    with Log(tmp_path, 0) as log:
        log.write_measures(7, {}, {})
    (event,) = [event for event in events(tmp_path) if event.summary.value]
    value = event.summary.value[0]
    assert (event.step, value.tag, value.image.width, value.image.height) == (7, "pictures/street", 12, 4)
    shown = cv2.imdecode(np.frombuffer(value.image.encoded_image_string, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(shown, PICTURE)


def test_a_resumed_log_appends_and_hides_what_came_after_the_saved_step(tmp_path):
    with Log(tmp_path, 0) as log:
        log.write_measures(4, {"ssim": 0.5}, {"MI": 3.0})
        log.write_losses(6, 1e-3, {"ssim": 0.5})
    with Log(tmp_path, 4) as log:
        log.write_measures(8, {"ssim": 0.5, "edge": 1.0}, {"MI": 4.0})
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [(row["step"], row["MI"]) for row in rows] == [("4", "3"), ("8", "4")]
    starts = [event.step for event in events(tmp_path) if event.session_log.status == SessionLog.START]
    assert starts == [1, 5]


def test_without_tensorboardx_the_csv_is_written_and_one_line_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with Log(tmp_path, 0) as log:
        log.write_losses(1, 1e-3, {"ssim": 0.5})
        log.write_measures(2, {"ssim": 0.5}, {"MI": 3.0})
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
    (record,) = caplog.records
    assert "tensorboardX is not installed" in record.message
    assert "\n" not in record.message


def test_training_logs_its_losses_every_50_steps(tmp_path):
    class Lesson(nn.Linear):
        def forward(self, x):
            return {"square": super().forward(x).square().sum()}

    network = Lesson(1, 1)
    fit(
        network=network, trained=network, draw=lambda generator: (torch.ones(1),),
        validate=lambda model: {"bias": 2.5}, config=LoopConfig(steps=120, validate_every=110, device="cpu"),
        out=tmp_path, device=torch.device("cpu"), autocast=False, save=lambda model, step, measured: None,
        progress=False,
    )  # fmt: skip
    found = scalars(tmp_path)
    assert [step for tag, step in found if tag == "loss/square"] == [1, 50, 100, 110, 120]
    assert found["learning_rate", 50] == pytest.approx(1e-3 * 50 / 200)
    assert [step for tag, step in found if tag == "validation/bias"] == [110, 120]
