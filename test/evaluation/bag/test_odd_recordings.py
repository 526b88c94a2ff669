"""Recordings as they should not be: each gives a report and a view, and the browser has nothing to complain of."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from recordings import START_NS, BagWriter, thermal_image, visible_image

from hkdnet_ros.evaluation.bag.viewer import Viewer

PERIOD_NS = 50_000_000

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # a mean of nothing, a division by zero


def taken_at(index):
    return START_NS + index * PERIOD_NS


def pairs(count, stamp=taken_at, thermal=lambda index: True, size=lambda index: (96, 72)):
    """Yield (recorded, stream, image, encoding, stamp) of ``count`` pairs, changed as the functions say."""
    for index in range(count):
        recorded_ns = taken_at(index)
        if thermal(index):
            yield recorded_ns, "thermal", thermal_image(index % 20, np.uint16, (64, 48)), "mono16", stamp(index)
        yield recorded_ns + 1, "visible", visible_image(index % 20, size(index)), "bgr8", stamp(index)


RECORDINGS = {
    "of one pair": pairs(1),
    "of two pairs": pairs(2),
    "played twice, with the same stamps": pairs(40, stamp=lambda index: taken_at(index % 20)),
    "by a clock that counts from the start of the machine": pairs(20, stamp=lambda index: (5 + index) * PERIOD_NS),
    "whose thermal camera falls silent": pairs(80, thermal=lambda index: not 20 < index < 60),
    "whose visible images change their size": pairs(20, size=lambda index: (96, 72) if index < 10 else (160, 120)),
}


@pytest.mark.parametrize("what", RECORDINGS)
def test_a_recording(what, evaluated, tmp_path, browser):
    with BagWriter(tmp_path / "bag", "mcap") as bag:
        for recorded_ns, stream, image, encoding, stamp_ns in RECORDINGS[what]:
            bag.image(f"/{stream}/image_raw", image, encoding, stamp_ns, stream, recorded_ns=recorded_ns)
    report = evaluated(tmp_path / "bag", tmp_path / "out", every=None)
    page = browser.open(report.as_uri())
    assert page.locator(".chart canvas").count() >= 3
    viewer = Viewer(tmp_path / "out", 0)
    thread = threading.Thread(target=viewer.serve)
    thread.start()
    try:
        page = browser.open(viewer.address)
        page.wait_for_function("document.querySelector('#pane-fused img').naturalWidth > 0")
        for key in ("End", "d", "n", "2", "1", *(["Shift+ArrowRight"] * 5), "Home"):
            page.keyboard.press(key)
            page.wait_for_timeout(50)  # so that what a frame lacks is asked for
        assert page.locator("#where").inner_text().startswith("frame 0 of")
    finally:
        viewer.close()
        thread.join()
