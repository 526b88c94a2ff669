"""What a benchmark measured, as values that go to JSON and into tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """A node at one rate, once it was warm."""

    rate: float  # pairs sent a second
    sent: int
    received: int
    age_ms: Sequence[float]  # p50, p95 and p99 from publishing the pair to receiving its fused image
    jitter_ms: float  # standard deviation of the time between two fused images
    cores: float  # processor seconds of the node per second
    resident_mb: float
    growth_mb: float  # of resident memory, over the images that are counted here
    own_ms: Sequence[float] = ()  # p50 and p95 from the last arrival to the publication, less the inference; () unknown

    @property
    def dropped(self) -> float:
        """The share of pairs of which no fused image came."""
        return max(1 - self.received / max(self.sent, 1), 0.0)

    @property
    def cost_ms(self) -> float:
        """Processor time of the node per fused image, in ms; infinite where none came."""
        return 1e3 * self.cores / (self.rate * (1 - self.dropped)) if self.received else math.inf


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Ways to make an output of one size, timed in turn; ``beside`` has the same beside other programs, by name."""

    thermal: str
    visible: str
    output: str
    times_ms: Mapping[str, Sequence[float]]  # p50 and p95 by way
    beside: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scaling:
    """What a frame costs by the size of its output."""

    sizes: Sequence[str]
    pixels: Sequence[int]
    times_ms: Sequence[float]
    exponent: float


@dataclass(frozen=True, slots=True)
class NodeBenchmark:
    """A node at several rates, the highest it sustains, and at one rate what others cost.

    ``bare`` is the node without its network, ``pass_through`` a Python node that publishes the same images as they are,
    ``beside`` the node beside other programs, by their name.
    """

    peak: float
    rates: Sequence[NodeFigures]
    bare: NodeFigures
    pass_through: NodeFigures
    beside: Mapping[str, NodeFigures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One run on one machine."""

    machine: str
    versions: Mapping[str, str]
    revision: str
    model: str
    engine: EngineFigures
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    scaling: Scaling | None = None
    node: NodeBenchmark | None = None
