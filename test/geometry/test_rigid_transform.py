"""Transforms between frames: direction, order, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from lenses import turn
from scipy.spatial.transform import Rotation

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.geometry.frame_tree import FrameTree
from hkdnet_ros.geometry.rigid_transform import RigidTransform

A_TO_B = RigidTransform.of(turn(20, -10, 5), (0.1, 0.2, -0.3))
B_TO_C = RigidTransform.of(turn(-40, 3, 80), (-1.0, 0.0, 2.0))
POINT = np.array([[1.0, 2.0, 3.0]])


def test_a_point_is_turned_and_then_shifted():
    quarter = RigidTransform.of([[0, -1, 0], [1, 0, 0], [0, 0, 1]], (10.0, 0.0, 0.0))
    np.testing.assert_allclose(quarter.apply(POINT), [[8, 1, 3]])
    assert quarter.angle == pytest.approx(90)


def test_transforms_go_one_after_the_other_and_back():
    np.testing.assert_allclose(A_TO_B.then(B_TO_C).apply(POINT), B_TO_C.apply(A_TO_B.apply(POINT)))
    np.testing.assert_allclose(A_TO_B.inverse.apply(A_TO_B.apply(POINT)), POINT)


def test_a_quaternion_is_x_y_z_w_as_ros_has_it():
    quaternion = Rotation.from_matrix(turn(20, -10, 5)).as_quat()
    found = RigidTransform.from_quaternion(quaternion, (0.1, 0.2, -0.3))
    np.testing.assert_allclose(found.matrix, A_TO_B.matrix, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda: RigidTransform.from_quaternion((0, 0, 0, 0), (0, 0, 0)), "has length 0; expected x, y, z, w"),
        (lambda: RigidTransform.from_quaternion((np.nan, 0, 0, 1), (0, 0, 0)), "has length nan"),
        (lambda: RigidTransform.of(np.diag([1, 1, -1]), (0, 0, 0)), "its determinant is -1"),
        (lambda: RigidTransform.of(np.eye(3) * 2, (0, 0, 0)), "off orthonormal by 3"),
        (lambda: RigidTransform.of(np.eye(3), (0, np.inf, 0)), "expected 9 finite numbers"),
        (lambda: RigidTransform((1.0,) * 8), "expected 9 finite numbers"),
    ],
)
def test_what_is_no_rotation_is_refused(make, fact):
    with pytest.raises(ConfigError, match=fact):
        make()


def test_a_tree_leads_from_any_frame_to_any_other():
    tree = FrameTree()
    tree.update("base", "a", A_TO_B)  # which brings points of a to base
    tree.update("/base", "/mast", B_TO_C)
    tree.update("mast", "b", A_TO_B)
    expected = np.linalg.inv(B_TO_C.matrix @ A_TO_B.matrix) @ A_TO_B.matrix
    np.testing.assert_allclose(tree.between("a", "b").matrix, expected, atol=1e-12)
    np.testing.assert_allclose(tree.between("/b", "a").matrix, np.linalg.inv(expected), atol=1e-12)
    np.testing.assert_allclose(tree.between("a", "a").matrix, np.eye(4))


def test_frames_without_a_common_one_and_rings_lead_nowhere():
    tree = FrameTree()
    tree.update("x", "a", A_TO_B)
    tree.update("y", "b", A_TO_B)
    assert tree.between("a", "b") is None
    tree.update("a", "x", A_TO_B)
    assert tree.between("a", "b") is None
