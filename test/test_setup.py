"""Set-up on a machine without ROS, and the build that a robot makes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SCRIPT = CHECKOUT / "scripts" / "setup_venv.py"
SEARCH_PATH = os.pathsep.join([f"{sys.prefix}/bin", os.environ["PATH"]])


@pytest.fixture(scope="module")
def setup_venv() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_venv", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheels_include_folders_become_those_of_this_python(setup_venv: ModuleType, tmp_path: Path) -> None:
    exported = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    exported.parent.mkdir(parents=True)
    python = "/opt/python/cp310-cp310/include/python3.10"
    numpy = "/opt/python/cp310-cp310/lib/python3.10/site-packages/numpy/_core/include"
    exported.write_text(f'  INTERFACE_INCLUDE_DIRECTORIES "{python};{numpy}"\n  A "${{_IMPORT_PREFIX}}/include/x"\n')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    setup_venv.mend_cmake_files(tmp_path)
    mended = exported.read_text()
    _, python, numpy = mended.splitlines()[0].replace('"', ";").split(";")[:3]
    assert (Path(python) / "Python.h").is_file()
    assert (Path(numpy) / "numpy" / "arrayobject.h").is_file()
    assert mended.splitlines()[1] == '  A "${_IMPORT_PREFIX}/include/x"'
    setup_venv.mend_cmake_files(tmp_path)
    assert exported.read_text() == mended


def test_a_missing_compiler_is_said_in_one_line(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    command = [sys.executable, str(SCRIPT), "check", str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "no compiler 'cc' found" in result.stderr
    assert "build-essential" in result.stderr


@pytest.mark.parametrize(
    ("present", "build", "installs"),
    [
        ("", "none", False),
        ("", "cpu", True),
        ("2.13.0+cpu", "auto", False),
        ("2.1.0a0+nv23.06", "auto", False),
        ("2.13.0+cpu", "cpu", False),
        ("2.13.0", "cpu", True),
        ("2.13.0", "cuda", False),
        ("2.13.0+cpu", "cuda", True),
    ],
)
def test_torch_is_installed_only_where_another_build_is_wanted(
    setup_venv: ModuleType, monkeypatch: pytest.MonkeyPatch, present: str, build: str, installs: bool
) -> None:
    commands: list[list[str]] = []

    def record(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append([str(word) for word in command])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(setup_venv, "installed_torch", lambda venv: present)
    monkeypatch.setattr(setup_venv.subprocess, "run", record)
    setup_venv.install_torch(Path("venv"), build)
    assert any("install" in command for command in commands) is installs
    assert any("uninstall" in command for command in commands) is (installs and bool(present))


def files_in(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.mark.skipif("ROS_DISTRO" in os.environ, reason="colcon built and runs these tests itself")
@pytest.mark.skipif(shutil.which("cmake", path=SEARCH_PATH) is None, reason="no cmake on the path")
def test_colcon_builds_a_package_that_stands_alone(tmp_path: Path) -> None:
    """As on a robot: build and source, then import and run without the checkout."""
    pytest.importorskip("colcon_core", reason="colcon is not installed")
    source = tmp_path / "src" / "hkdnet_ros"
    for folder in ("hkdnet_ros", "launch", "config", "msg", "resource"):
        shutil.copytree(CHECKOUT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("CMakeLists.txt", "package.xml", "setup.py", "LICENSE"):
        shutil.copy2(CHECKOUT / name, source / name)

    environment = {**os.environ, "AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    environment["PATH"] = SEARCH_PATH
    arguments = ["build", "--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}"]
    command = [sys.executable, "-m", "colcon", *arguments]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

    prefix = tmp_path / "install" / "hkdnet_ros"
    shutil.rmtree(source)
    query = "from hkdnet_ros.msg import FusionStatus; import hkdnet_ros.cli; print(hkdnet_ros.cli.__file__)"
    script = f'. install/setup.sh && python -c "{query}" && {prefix}/lib/hkdnet_ros/hkdnet --version'
    result = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    module, version = result.stdout.splitlines()
    assert Path(module).is_relative_to(prefix)
    assert version.startswith("hkdnet_ros ")

    for folder in ("launch", "config"):
        assert files_in(prefix / "share" / "hkdnet_ros" / folder) == files_in(CHECKOUT / folder)
    assert files_in(Path(module).parent / "weights") == files_in(CHECKOUT / "hkdnet_ros" / "weights")
