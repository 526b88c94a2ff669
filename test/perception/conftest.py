"""What several tests of the core share."""

from __future__ import annotations

import pytest


@pytest.fixture
def make_by_depth(make_core):
    """Make cores that register by depth, with all that this needs but the depth."""
    from test_session_registration import BESIDE, calibrate

    def make(**parameters):
        core = make_core(**{"registration.mode": "depth", **parameters})
        calibrate(core)
        core.it.receive_transform("visible", "thermal", BESIDE)
        return core

    return make
