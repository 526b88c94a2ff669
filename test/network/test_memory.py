"""Memory of the published size on a large image, in a process of its own: the peak is the process's."""

from __future__ import annotations

import subprocess
import sys

# Widths and key counts are the paper preset's; depth changes the time but not the peak, so one block of each is run.
SCRIPT = """
import dataclasses, resource, torch
from hkdnet_ros.network.presets import PRESETS
from hkdnet_ros.network.student import Student
config = dataclasses.replace(PRESETS["paper"], branch_blocks=1, dfa_units=1, groups=1, group_blocks=1)
student = Student(config).eval()
with torch.inference_mode():
    fused = student(torch.rand(1, 1, 512, 640), torch.rand(1, 1, 512, 640)).fused
assert fused.shape == (1, 1, 1024, 1280)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_paper_widths_at_640x512_stay_under_3_gb():
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 3000, f"peak of {result.stdout.strip()} MB"
