"""Other programs on the processor: ``python -m hkdnet_ros.trials.benchmark.load spin|torch`` runs until it is ended.

``spin`` takes one core, as a busy Python process does. ``torch`` takes as many as there are, by threads that wait
spinning, as other programs with OpenMP do.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

KINDS = ("spin", "torch")


def spin() -> NoReturn:
    """Count for ever."""
    count = 0
    while True:
        count += 1


def convolve() -> NoReturn:
    """Convolve for ever, with torch as it comes."""
    os.environ.pop("GOMP_SPINCOUNT", None)
    import torch

    image, network = torch.rand(1, 32, 120, 160), torch.nn.Conv2d(32, 32, 3, padding=1)
    with torch.inference_mode():
        while True:
            network(image)


if __name__ == "__main__":
    (spin if sys.argv[1] == "spin" else convolve)()
