"""What all tests share: fixtures, a ROS graph of their own, property tests without a deadline, the recorded pairs."""

from __future__ import annotations

import atexit
import dataclasses
import os
import random
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from rigging import FakeEngine, Logger, Rig, Spun

CHECKOUT = Path(__file__).resolve().parents[1]

# Before any test starts a node: the tests neither disturb nor hear a robot, nor other tests on this machine. Higher
# domains than 101 use ports that Linux also gives to outgoing connections. Each process of `pytest -n` has its own.
process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["ROS_DOMAIN_ID"] = str(1 + 4 * random.randrange(25) + process % 4)
if os.environ.get("ROS_DISTRO") == "humble":
    os.environ["ROS_LOCALHOST_ONLY"] = "1"
else:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

# One back end for all tests that name none, and nothing remembered from before: the same on every machine.
os.environ["HKDNET_ROS_BACKEND"] = "torch"
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="hkdnet_ros-test-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# A shell ignores Ctrl-C for what it runs in the background, and Python leaves it at that. Tests send it to children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Property tests say whether an answer is right, not how soon it came: the machine may be busy.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of recorded thermal-visible pairs beside the checkout; a test that needs it is skipped without."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded pairs in {folder}")
    return folder


@pytest.fixture
def engine():
    engine = FakeEngine()
    yield engine
    engine.go_on.set()


@pytest.fixture
def logger():
    return Logger()


@pytest.fixture
def spun():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    spun = Spun()
    yield spun
    spun.close()


@pytest.fixture
def make_node(spun, engine):
    """Return a function that starts a fusion node with ``engine`` and parameters given by name, dots as ``__``."""
    from rclpy.parameter import Parameter

    from hkdnet_ros.node.fusion import FusionNode

    def make(engine_factory=lambda config: engine, **parameters):
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        node = FusionNode(engine_factory, context=spun.context, parameter_overrides=overrides)
        return spun.add(node, threads=4)

    return make


@pytest.fixture
def rig(spun):
    return Rig(spun)


@pytest.fixture
def make_session(engine, logger):
    """Return a function that makes a session_rig.Session with ``engine`` and the given parameters."""
    from session_rig import Session

    sessions = []

    def make(**parameters):
        sessions.append(Session(engine, logger, **parameters))
        return sessions[-1]

    yield make
    engine.go_on.set()
    for session in sessions:
        session.it.stop()


@pytest.fixture
def make_core(engine, logger):
    """Return a function that makes a core_rig.CoreRig with ``engine`` and the given parameters."""
    from core_rig import CoreRig

    cores = []

    def make(**parameters):
        cores.append(CoreRig(engine, logger, **parameters))
        return cores[-1]

    yield make
    engine.go_on.set()
    for core in cores:
        core.it.stop()


@pytest.fixture
def remote(spun):
    from remote import Remote

    return Remote(spun)


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
