"""A bag with a bad minute in it, its result by a stand-in for the network, and a browser."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from drives import evaluate_with, write_drive
from rigging import FakeEngine

from hkdnet_ros.evaluation.bag import evaluate


@pytest.fixture(scope="session")
def drive(tmp_path_factory):
    return write_drive(tmp_path_factory.mktemp("recordings") / "drive")


@pytest.fixture
def evaluated(monkeypatch):
    """Return a function that evaluates a recording with a given or a fresh FakeEngine; it returns the report."""

    def evaluate_it(path, out, engine=None, **asked):
        engine = engine or FakeEngine()
        monkeypatch.setattr(evaluate, "load_engine", lambda config: engine)
        return evaluate_with(path, out, **asked)

    return evaluate_it


@pytest.fixture(scope="session")
def result(drive, tmp_path_factory):
    """The finished result of the drive; a test that changes it takes a copy."""
    out = tmp_path_factory.mktemp("results") / "drive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load_engine", lambda config: FakeEngine())
        evaluate_with(drive, out)
    return out


@dataclasses.dataclass
class Browser:
    """Pages of a headless Chromium, and what they complained of."""

    it: object
    pages: list[object] = dataclasses.field(default_factory=list)
    complaints: list[str] = dataclasses.field(default_factory=list)

    def open(self, url, *, width=1280, height=900, scheme="light"):
        page = self.it.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.pages.append(page)
        page.goto(url)
        return page

    def _complained(self, text):
        self.complaints.append(text)


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright; run `make setup`")
    with playwright.sync_playwright() as driver:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        quiet = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
        try:
            chromium = driver.chromium.launch(executable_path=path, args=[*quiet, "--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium starts here: {str(error).splitlines()[0]}; `apt install chromium` brings one")
        yield chromium
        chromium.close()


@pytest.fixture
def browser(chromium):
    """A browser whose pages must not complain."""
    browser = Browser(chromium)
    yield browser
    for page in browser.pages:
        page.close()
    assert browser.complaints == []
