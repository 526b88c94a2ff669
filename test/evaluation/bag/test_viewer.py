"""A result in a browser on this machine: what is served, and the page used by mouse and keyboard."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest
from recordings import START_NS, assert_one_line

from hkdnet_ros.errors import SourceError
from hkdnet_ros.evaluation.bag.downstream.tracks import OBJECT_COLUMNS, object_rows, write_tracks
from hkdnet_ros.evaluation.bag.tables import write_table
from hkdnet_ros.evaluation.bag.viewer import Viewer
from hkdnet_ros.evaluation.boxes import Objects


@contextlib.contextmanager
def serving(folder):
    viewer = Viewer(folder, 0)
    thread = threading.Thread(target=viewer.serve)
    thread.start()
    try:
        yield viewer
    finally:
        viewer.close()
        thread.join()


@pytest.fixture
def address(result):
    with serving(result) as viewer:
        yield viewer.address


def get(address, path, **headers):
    with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers), timeout=20) as answer:
        return answer.read()


def refused(address, path, **headers):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(address, path, **headers)
    return caught.value.code


def test_frames_figures_and_times_are_served(address):
    overview = json.loads(get(address, "0/overview.json"))
    assert (overview["title"], overview["frames"]) == ("drive", 56)
    assert set(overview["drops"]) == {"zero stamp", "unpaired"}
    times = np.frombuffer(get(address, "0/times.bin"), "<f8")
    assert len(times) == 56
    assert (np.diff(times) > 0).all()
    for frame in (0, 20, 55):
        row = json.loads(get(address, f"0/{frame}.json"))
        assert row["frame"] == str(frame)
        image = cv2.imdecode(np.frombuffer(get(address, f"0/{frame}_fused.jpg"), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (96, 128, 3)
    assert b"<!doctype html>" in get(address, "0/report.html")


@pytest.mark.parametrize(
    "path", ["1/", "0/56.json", "0/56_fused.jpg", "0/3_other.jpg", "0/../run.json", "run.json", "0/report.html/.."]
)
def test_nothing_else_is_served(address, path):
    assert refused(address, path) == 404


def test_another_machines_name_for_this_one_is_refused(address):
    assert refused(address, "0/overview.json", Host="evil.example") == 403


def test_a_folder_without_a_result_and_a_taken_port_are_one_line(result, tmp_path):
    with pytest.raises(SourceError) as caught:
        Viewer(tmp_path, 0)
    assert_one_line(caught.value, tmp_path, "hkdnet evaluate bag")
    with serving(result) as viewer:
        port = int(viewer.address.rstrip("/").rpartition(":")[2])
        with pytest.raises(SourceError) as caught:
            Viewer(result, port)
        assert_one_line(caught.value, port, "--port")


def where(page):
    return page.locator("#where").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_used_by_mouse_and_keyboard(address, browser, scheme):
    page = browser.open(address, scheme=scheme)
    page.wait_for_function("document.querySelector('#pane-fused img').naturalWidth === 128")
    assert where(page).startswith("frame 0 of 55")
    page.locator("#on").click()
    page.keyboard.press("ArrowRight")
    assert where(page).startswith("frame 2 of 55")
    page.wait_for_selector("#measures table")
    assert "Qabf" in page.locator("#measures").inner_text()
    page.keyboard.press("Shift+ArrowRight")
    assert where(page).startswith("frame 12 of 55")
    page.keyboard.press("End")
    assert where(page).startswith("frame 55 of 55")
    page.keyboard.press("Home")
    page.keyboard.press("n")
    assert where(page).startswith("frame 2 of 55")
    page.keyboard.press("d")
    assert not where(page).startswith("frame 2 of 55")
    box = page.locator("#line").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    assert 22 <= int(where(page).split()[1]) <= 34
    page.keyboard.press("2")
    assert page.locator("#pane-visible").is_visible()
    assert not page.locator("#pane-thermal").is_visible()
    stage = page.locator("#stage").bounding_box()
    page.mouse.click(stage["x"] + stage["width"] / 4, stage["y"] + 20)
    assert page.locator("#divider").get_attribute("aria-valuenow") == "25"
    page.locator("#against select").select_option("thermal")
    assert page.locator("#pane-thermal").is_visible()
    page.keyboard.press("1")
    assert page.locator("#pane-visible").is_visible()
    page.locator("#theme").click()


def test_it_plays_to_the_end(address, browser):
    page = browser.open(address + "#frame=40")
    page.wait_for_function("document.querySelector('#pane-fused img').naturalWidth === 128")
    page.locator("#speed").select_option("4")
    page.locator("#play").click()
    page.wait_for_function("document.querySelector('#where').textContent.startsWith('frame 55')")
    page.wait_for_function("document.querySelector('#play').textContent === '▶'")


def test_a_phone_shows_it_without_scrolling_sideways(address, browser):
    page = browser.open(address, width=390, height=844, scheme="dark")
    page.wait_for_function("document.querySelector('#pane-fused img').naturalWidth === 128")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_several_results_are_listed(result, tmp_path, browser):
    for name in ("monday", "tuesday"):
        shutil.copytree(result, tmp_path / name)
    with serving(tmp_path) as viewer:
        page = browser.open(viewer.address)
        page.locator("a").nth(1).click()
        page.wait_for_function("document.querySelector('#pane-fused img').naturalWidth === 128")
        page.locator("#report").click()
        page.wait_for_selector("section#summary")


@pytest.fixture
def with_objects(result, tmp_path):
    """The result as it would be had a detector looked: one person, whom the visible image loses after a while."""
    out = tmp_path / "seen"
    shutil.copytree(result, out)
    rows = []
    for frame in range(0, 56, 2):
        person = Objects(np.array([[20, 10, 40, 60]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int64))
        nobody = person.where(np.zeros(1, np.bool_))
        found = {"thermal": person, "visible": person if frame < 20 else nobody, "fused": person}
        rows += object_rows(frame, START_NS + 50_000_000 * frame, found)
    write_table(out / "objects.csv", OBJECT_COLUMNS, rows)
    write_tracks(out, 0.5)
    return out


def test_what_the_detector_found_is_drawn_and_what_visible_misses_is_a_line(with_objects, browser):
    with serving(with_objects) as viewer:
        overview = json.loads(get(viewer.address, "0/overview.json"))
        assert overview["lines"]["fused shows, visible misses"]["y"] == [0] * 10 + [1] * 18
        assert json.loads(get(viewer.address, "0/21.json"))["objects"] == {}
        row = json.loads(get(viewer.address, "0/22.json"))
        assert row["objects"] == {name: [[20, 10, 40, 60, pytest.approx(0.9)]] for name in ("thermal", "fused")}
        page = browser.open(viewer.address + "#frame=22")
        page.wait_for_selector("#pane-fused rect")
        assert page.locator("#pane-visible rect").count() == 0
        left, right = (page.locator(box).bounding_box() for box in ("#pane-fused rect", "#pane-fused img"))
        assert (left["x"] - right["x"]) / right["width"] == pytest.approx(20 / 128, abs=0.02)
        page.keyboard.press("b")
        assert not page.locator("#pane-fused rect").is_visible()
        page.locator("#boxes").click()
        assert page.locator("#pane-fused rect").is_visible()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelectorAll('#pane-fused rect').length === 0")


def test_the_line_under_the_frame_can_be_another(address, browser):
    page = browser.open(address)
    page.wait_for_selector("#measures .note")  # frame 0 is not measured, and the page says so
    assert "Qabf of fused" in page.locator("#legend").inner_text()
    page.keyboard.press("l")
    assert "MI of fused" in page.locator("#legend").inner_text()
    page.locator("#series").select_option("SSIM of fused")
    assert "SSIM of fused" in page.locator("#legend").inner_text()
    assert not page.locator("#boxes").is_visible()  # no detector looked
