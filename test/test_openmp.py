"""torch's threads sleep while they wait for each other, unless the user says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("exported", "found"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")]
)
def test_it_is_set_before_torch_is_loaded_where_the_user_did_not(exported, found):
    program = "import os, hkdnet_ros.network.presets; print(os.environ.get('GOMP_SPINCOUNT'))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    words = [sys.executable, "-c", program]
    result = subprocess.run(words, env={**clean, **exported}, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == found


def test_it_is_left_alone_where_torch_has_read_it_already():
    program = "import os, sys, torch; import hkdnet_ros.network; print(os.environ.get('GOMP_SPINCOUNT'))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    result = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "None"
