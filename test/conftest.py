"""What all tests share: a ROS graph of their own, property tests without a deadline, the folder of recorded pairs."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parents[1]

# Before any test starts a node: the tests neither disturb nor hear a robot, nor other tests on this machine. Higher
# domains than 101 use ports that Linux also gives to outgoing connections.
os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 100))
if os.environ.get("ROS_DISTRO") == "humble":
    os.environ["ROS_LOCALHOST_ONLY"] = "1"
else:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

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
