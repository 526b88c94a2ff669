"""The report as a person sees it: clicked through in a browser, light and dark, on a laptop and a phone."""

from __future__ import annotations

import pytest

from hkdnet_ros.sources import h264_writer

SECTIONS = ("summary", "frames", "input", "pairs", "latency", "quality", "downstream", "run")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_report_can_be_clicked_through(result, browser, scheme, width, height):
    page = browser.open((result / "report.html").as_uri(), width=width, height=height, scheme=scheme)
    assert page.title() == "drive"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width > 640:  # on a phone one swipes through the links
        links = [link.bounding_box() for link in page.locator("nav a").all()]
        assert all(link["x"] + link["width"] <= width for link in links)
    first = page.locator("#run > .scroll td:first-child", has_text="hkdnet_ros")
    assert first.evaluate("cell => cell.clientWidth") > 60  # a word of ten letters is not cut into syllables
    for name in SECTIONS:
        page.locator(f'nav a[href="#{name}"]').click()
        assert page.locator(f"section#{name}").is_visible()
    charts = page.locator(".chart")
    assert charts.count() >= 13
    for number in range(charts.count()):
        chart = charts.nth(number)
        chart.scroll_into_view_if_needed()
        assert chart.locator("canvas").count() == 1
        chart.locator(".u-over").hover()
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.locator("#theme").click()
    assert page.evaluate(ground) != before
    for summary in page.locator("summary").all():
        summary.click()
    assert page.get_by_text("sync.slop").is_visible()


def test_a_picture_opens_and_closes(result, browser):
    page = browser.open((result / "report.html").as_uri())
    page.locator(".shot").first.click()
    assert page.locator("dialog img").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog img").is_visible()


def test_the_cursor_says_the_figures_of_a_moment(result, browser):
    page = browser.open((result / "report.html").as_uri())
    chart = page.locator("#rates")
    assert "thermal–" in chart.inner_text()
    chart.locator(".u-over").hover()
    page.wait_for_function("!document.querySelector('#rates .u-legend .u-value').textContent.includes('–')")
    value = page.locator("#intervals .u-legend .u-value").first.inner_text()  # all charts over time share the cursor
    assert value != "–"


def test_bars_stand_on_zero_where_all_are_below_it(result, browser):
    page = browser.open((result / "report.html").as_uri())
    chart = {"kind": "bars", "x": [1, 2], "labels": ["a", "b"], "axis": "", "low": 0.0,
             "series": [{"name": "fused", "values": [-0.047, -0.038], "color": "fused"}]}  # fmt: skip
    low, high, left = page.evaluate(
        """async (chart) => {
             const plot = drawn(chart, document.body, 300);
             await new Promise((done) => setTimeout(done));  // uPlot scales behind the call
             return [plot.scales.y.min, plot.scales.y.max, plot.bbox.left / devicePixelRatio];
           }""",
        chart,
    )
    assert low < -0.047
    assert 0 <= high < 0.01
    assert left > 46  # so much that the sign of -0.04 is to be seen


def test_the_page_needs_no_network(result):
    text = (result / "report.html").read_text()
    assert 'src="http' not in text
    assert 'href="http' not in text
    assert len(text) < 2_000_000


def test_the_video_plays_in_a_browser(result, browser):
    if not h264_writer._ffmpeg_encoder():
        pytest.skip("needs ffmpeg with H.264; `apt install ffmpeg` brings it")
    page = browser.open((result / "side_by_side.mp4").as_uri())
    page.wait_for_function("document.querySelector('video').currentTime > 0")
    assert page.evaluate("document.querySelector('video').videoWidth") == 3 * 128 + 2 * 4
