"""The public face: what ``from hkdnet_ros import ...`` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hkdnet_ros


def loaded_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh Python has imported after ``code``."""
    program = f"{code}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_costs_nothing() -> None:
    assert not {"torch", "cv2", "numpy", "rclpy"} & loaded_after("import hkdnet_ros")


def test_the_face_needs_neither_torch_nor_ros_until_an_engine_is_loaded() -> None:
    loaded = loaded_after("from hkdnet_ros import *; print(fuse, FusionPipeline, load_engine)")
    assert not {"torch", "rclpy", "sensor_msgs"} & loaded
    assert "numpy" in loaded


@pytest.mark.parametrize("name", hkdnet_ros.__all__)
def test_every_name_is_there_and_explained(name: str) -> None:
    assert name in dir(hkdnet_ros)
    assert getattr(hkdnet_ros, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fusee'"):
        hkdnet_ros.fusee  # noqa: B018
