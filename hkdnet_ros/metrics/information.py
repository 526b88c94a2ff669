"""Information measures from 256-bin histograms: entropy and what the fused image shares with its sources."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .images import Image

LEVELS = 256


def information_metrics(thermal: Image, visible: Image, fused: Image) -> dict[str, float]:
    """Return EN, MI and NMI, in bits (NMI without unit).

    EN is the entropy of the fused image; MI = MI(thermal, fused) + MI(visible, fused); NMI the same with each term as
    2 MI(A, F) / (H(A) + H(F)) (Hossny, Nahavandi, Creighton, "Comments on 'Information measure for performance of image
    fusion'", Electronics Letters 2008), 0 where both images are flat.
    """
    total = normalised = 0.0
    for source in (thermal, visible):
        joint = joint_histogram(source, fused)
        source_entropy, fused_entropy = entropy(joint.sum(axis=1)), entropy(joint.sum(axis=0))
        shared = source_entropy + fused_entropy - entropy(joint)
        total += shared
        if source_entropy + fused_entropy > 0:
            normalised += 2 * shared / (source_entropy + fused_entropy)
    return {"EN": fused_entropy, "MI": total, "NMI": normalised}


def joint_histogram(first: Image, second: Image) -> NDArray[np.int64]:
    """Return the (256, 256) counts of value pairs; rows are the first image's values."""
    codes = first.astype(np.int64) * LEVELS + second.astype(np.int64)
    return np.bincount(codes.ravel(), minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS)


def entropy(counts: NDArray[np.int64]) -> float:
    """Return the Shannon entropy, in bits, of a histogram of any shape."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())
