"""The vertex of a sampled curve."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.parabola import vertex


@pytest.mark.parametrize("top", [-0.4, 0.0, 0.3])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_vertex_of_a_parabola_is_found(top: float, sign: int) -> None:
    assert vertex(sign * (np.arange(5) - 2 - top) ** 2, 2) == pytest.approx(top)


def test_an_end_and_a_flat_curve_have_none() -> None:
    assert vertex(np.array([3.0, 2.0, 1.0]), 0) == vertex(np.array([3.0, 2.0, 1.0]), 2) == 0
    assert vertex(np.ones(3), 1) == 0


def test_what_rounding_bends_stays_within_half_a_step() -> None:
    assert abs(vertex(np.array([0.1, 0.1, np.nextafter(0.1, 1)]), 1)) <= 0.5
