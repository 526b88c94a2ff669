"""Whether the whole scene moves: a pan does, a person who walks by does not, nor noise on a wall."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.perception.scene_motion import SceneMotion

S = 10**9


def scene(x: float = 0, y: float = 0, seed: int = 0, texture: float = 1.0) -> NDArray[np.uint16]:
    """Hills seen from (x, y), with noise of 3 counts."""
    rows, columns = np.mgrid[:128, :160].astype(float)
    rows, columns = rows + y, columns + x
    hills = 300 * np.sin(columns / 9) * np.cos(rows / 7) + 200 * np.sin(columns / 23 + rows / 31)
    noise = np.random.default_rng(seed).normal(0, 3, rows.shape)
    return (8000 + texture * hills + noise).astype(np.uint16)


def answers(images: list[NDArray[np.uint16]]) -> list[bool]:
    motion = SceneMotion()
    return [motion.has_moved(image, (100 + index) * S // 5) for index, image in enumerate(images)]


@pytest.mark.parametrize(("x", "y"), [(2, 0), (0, 2), (-3, 1), (6, -5)])
def test_a_pan_is_a_move_in_each_look(x: float, y: float) -> None:
    assert answers([scene(x * n, y * n, n) for n in range(6)]) == [False] + [True] * 5


def test_a_slow_pan_is_a_move_when_it_has_gone_far_enough() -> None:
    moved = answers([scene(0.5 * n, 0, n) for n in range(20)])
    assert 4 <= sum(moved) <= 7


@pytest.mark.parametrize("texture", [1.0, 0.0])
def test_a_camera_at_rest_does_not_move_whether_it_sees_hills_or_a_wall(texture: float) -> None:
    assert not any(answers([scene(seed=n, texture=texture) for n in range(20)]))


@pytest.mark.parametrize("texture", [1.0, 0.0])
def test_a_person_who_walks_by_is_no_move_of_the_scene(texture: float) -> None:
    images = [scene(seed=n, texture=texture) for n in range(12)]
    for n, image in enumerate(images):
        image[30:110, 10 + 6 * n : 40 + 6 * n] = 9500 + 100 * np.sin(np.arange(30) / 3)
    assert not any(answers(images))


def test_another_scene_is_no_move() -> None:
    other = np.random.default_rng(9).integers(7000, 9000, (128, 160)).astype(np.uint16)
    assert answers([scene(), other]) == [False, False]


def test_another_size_begins_anew() -> None:
    motion = SceneMotion()
    for n, image in enumerate((scene(), scene(2)[:100], scene(4)[:100], scene(4)[:3, :3])):
        assert motion.has_moved(image, n * S // 5) == (n == 2)
