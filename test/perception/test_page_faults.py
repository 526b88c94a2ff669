"""What a frame's buffers cost: memory that is given back after each frame has to be mapped and zeroed for the next."""

from __future__ import annotations

import subprocess
import sys

FRAMES = """
import resource, threading
import numpy as np
from hkdnet_ros.images.frames import Frame, Pair
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.trials.benchmark.bare_node import NoNetwork

faults = []
def fuse():
    pipeline = FusionPipeline(NoNetwork(None))
    random = np.random.default_rng(0)
    counts, colour = random.integers(0, 60000, (240, 320), np.uint16), random.integers(0, 255, (960, 1280, 3), np.uint8)
    for index in range(12):
        stamp_ns = index * 33_000_000
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        pipeline.process(Pair(Frame(counts, stamp_ns, "", "mono16"), Frame(colour, stamp_ns, "", "bgr8")))
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
worker = threading.Thread(target=fuse)  # as in the node: malloc treats the main thread otherwise
worker.start()
worker.join()
print(*faults)
"""


def test_a_frame_finds_the_memory_of_the_one_before():
    result = subprocess.run([sys.executable, "-c", FRAMES], capture_output=True, text=True, check=True)
    faults = list(map(int, result.stdout.split()))
    assert sorted(faults[4:])[4] < 300  # a page is 4 KB, and the fused image alone 3.7 MB
