"""The steps of ``make setup`` on a machine without ROS: ``python scripts/setup_venv.py STEP VENV``.

check     say in one line what this machine lacks
packages  install the pinned packages and mend the ROS wheels' CMake files
torch     install PyTorch, in the CPU build where there is no NVIDIA GPU
messages  build the message classes into the environment, and put the checkout on its path
browser   have a Chromium for the tests of pages, which are skipped where none can be had

Runs on the standard library alone. Every step can be repeated.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CMAKE = "cmake==3.31.10"
CMAKE_OLDEST = (3, 20)

# Where the machine that built the wheels had its Python headers and its numpy headers.
WHEEL_PYTHON_INCLUDE = re.compile(r"/opt/python/[^/;\"]+/include/python3\.\d+")
WHEEL_NUMPY_INCLUDE = re.compile(r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages/numpy/[\w/]+/include")


class SetupError(Exception):
    """What is wrong and what to do, in one line."""


def run(command: Sequence[str | Path], *, failure: str, log: Path | None = None) -> None:
    """Run ``command``, its output to ``log`` if given; raise :class:`SetupError` with ``failure`` where it fails."""
    environment = os.environ.copy()
    # A stray PYTHONPATH would make pip believe in packages that the environment does not have.
    environment.pop("PYTHONPATH", None)
    if log is None:
        status = subprocess.run(command, env=environment, check=False).returncode
    else:
        with log.open("a") as output:
            status = subprocess.run(command, env=environment, stdout=output, stderr=output, check=False).returncode
    if status != 0:
        raise SetupError(failure if log is None else f"{failure}; the output is in {log}")


def pip(venv: Path, *arguments: str | Path, failure: str) -> None:
    """Run the environment's pip, showing nothing but errors."""
    common = ("--disable-pip-version-check", "-qq", "--no-input")
    run([venv / "bin" / "python", "-m", "pip", "install", *common, *arguments], failure=failure)


def cmake_version(cmake: str | Path) -> tuple[int, ...]:
    """Return the version of an executable, () where it is none or does not run."""
    try:
        text = subprocess.run([cmake, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ()
    match = re.search(r"(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else ()


def find_cmake(venv: Path) -> Path | None:
    """Return the environment's CMake or else the machine's, None where neither is new enough."""
    for candidate in (venv / "bin" / "cmake", shutil.which("cmake")):
        if candidate and cmake_version(candidate) >= CMAKE_OLDEST:
            return Path(candidate)
    return None


def check(venv: Path) -> None:
    """Raise :class:`SetupError` for the first thing that this machine lacks."""
    system = f"{platform.system()} on {platform.machine()}"
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SetupError(
            f"ROS 2 comes as wheels for x86-64 Linux only and this is {system}; install ROS 2 (Humble, Jazzy or "
            "Kilted), source its setup file and run make again"
        )
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"Python {platform.python_version()} has no venv module; install it, on Debian and Ubuntu with "
            f"`sudo apt install python3-venv`"
        )
    for command in (os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")):
        compiler = shlex.split(command)[0]
        if shutil.which(compiler) is None:
            raise SetupError(
                f"no compiler {compiler!r} found, and the message classes are built from C and C++; install one, on "
                "Debian and Ubuntu with `sudo apt install build-essential`"
            )
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        raise SetupError(
            f"{header} is missing; install Python's headers, on Debian and Ubuntu with `sudo apt install python3-dev`"
        )


def install_packages(venv: Path, pinned: Path) -> None:
    """Install the packages listed in ``pinned``, and CMake where the machine has none that is new enough."""
    print("Installing ROS 2 and the other pinned packages (one to two minutes) ...", flush=True)
    pip(venv, "-r", pinned, failure=f"the packages of {pinned} could not be installed")
    if find_cmake(venv) is None:
        oldest = ".".join(map(str, CMAKE_OLDEST))
        pip(venv, CMAKE, failure=f"CMake {oldest} or newer is missing and pip cannot bring it")
    mend_cmake_files(venv)


def mend_cmake_files(venv: Path) -> None:
    """Let the include folders that the wheels export point at this Python's headers and this environment's numpy."""
    query = "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"
    answer = subprocess.run([venv / "bin" / "python", "-c", query], capture_output=True, text=True, check=True)
    python_include, numpy_include = answer.stdout.split("\n")[:2]
    for path in (venv / "share").glob("*/cmake/*.cmake"):
        text = path.read_text()
        mended = WHEEL_NUMPY_INCLUDE.sub(numpy_include, WHEEL_PYTHON_INCLUDE.sub(python_include, text))
        if mended != text:
            path.write_text(mended)


def has_nvidia_gpu() -> bool:
    """Tell whether NVIDIA's driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def installed_torch(venv: Path) -> str:
    """Return the version of PyTorch that the environment has, "" where it has none."""
    query = "from importlib.metadata import version; print(version('torch'))"
    return subprocess.run(
        [venv / "bin" / "python", "-c", query], capture_output=True, text=True, check=False
    ).stdout.strip()


def install_torch(venv: Path, build: str) -> None:
    """Install PyTorch: ``cpu`` (200 MB), ``cuda`` (3 GB, what PyPI has), ``none`` not at all, ``auto`` by the GPU.

    ``auto`` keeps what is there already, on a Jetson NVIDIA's own.
    """
    present = installed_torch(venv)
    if build == "none" or (present and build in ("auto", "cpu" if present.endswith("+cpu") else "cuda")):
        return
    if build == "auto":
        build = "cuda" if has_nvidia_gpu() else "cpu"
    print(f"Installing PyTorch {TORCH} ({build}) ...", flush=True)
    python = str(venv / "bin" / "python")
    if present:
        run([python, "-m", "pip", "uninstall", "-qq", "-y", "torch"], failure=f"PyTorch {present} cannot be removed")
    if build == "cpu":
        # PyPI has no CPU build; a mirror or a folder of wheels that pip is set up with may have one, so ask that first.
        command = [python, "-m", "pip", "install", "-qqq", "--no-deps", "--retries", "1", f"torch=={TORCH}+cpu"]
        for source in ([], ["--index-url", TORCH_CPU_INDEX]):
            if subprocess.run([*command, *source], capture_output=True, check=False).returncode == 0:
                return
        print("The CPU build is out of reach; taking PyPI's, about 3 GB with CUDA ...", flush=True)
    pip(venv, f"torch=={TORCH}", failure=f"PyTorch {TORCH} could not be installed")


def install_messages(venv: Path) -> None:
    """Build the message classes into the environment and put the checkout's Python code on its path."""
    print("Building the message classes (about 20 s) ...", flush=True)
    cmake = find_cmake(venv)
    if cmake is None:
        raise SetupError("CMake is gone since the packages were installed; run `make clean` and try again")
    # Inside the environment, so that no setting found for another Python outlives it.
    build = venv / "build" / "hkdnet_ros"
    build.mkdir(parents=True, exist_ok=True)
    log = build / "output.log"
    log.unlink(missing_ok=True)
    os.environ["AMENT_PREFIX_PATH"] = os.environ["CMAKE_PREFIX_PATH"] = str(venv)
    os.environ["PATH"] = os.pathsep.join([str(venv / "bin"), os.environ["PATH"]])
    definitions = {
        "BUILD_TESTING": "OFF",
        "CMAKE_INSTALL_PREFIX": venv,
        "HKDNET_EDITABLE": "ON",
        "Python3_EXECUTABLE": venv / "bin" / "python",
    }
    defines = [f"-D{name}={value}" for name, value in definitions.items()]
    failure = "the message classes could not be built"
    run([cmake, "-S", CHECKOUT, "-B", build, *defines], failure=failure, log=log)
    run([cmake, "--build", build, "--parallel", str(os.cpu_count())], failure=failure, log=log)
    run([cmake, "--install", build], failure=failure, log=log)
    pip(
        venv,
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-e",
        CHECKOUT,
        failure="the checkout could not be put on the environment's path",
    )


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_APT = ["apt-get", "-qq"]


def install_browser(venv: Path) -> None:
    """Have a headless Chromium: the machine's, Debian's where packages may be installed, or Playwright's own.

    Without one the tests that click through pages are skipped; everything else works.
    """
    if any(map(shutil.which, BROWSERS)):
        return
    attempts: list[list[list[str]]] = [[[str(venv / "bin" / "python"), "-m", "playwright", "install", "chromium"]]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        installed = [*_APT, "install", "-y", "--no-install-recommends", "chromium"]
        attempts.insert(0, [[*_APT, "update"], installed])
    print("Installing Chromium for the tests of pages (about a minute) ...", flush=True)
    for commands in attempts:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        if all(subprocess.run(command, check=False, **quiet).returncode == 0 for command in commands):
            return
    print("No Chromium can be had; tests of pages are skipped. `sudo apt install chromium` brings one.", flush=True)


def main() -> int:
    """Run one step and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["check", "packages", "torch", "messages", "browser"])
    parser.add_argument("venv", type=Path, help="folder of the virtual environment")
    parser.add_argument("--pinned", type=Path, help="file of the packages to install")
    parser.add_argument("--torch", default="auto", choices=["auto", "cpu", "cuda", "none"], help="PyTorch's build")
    arguments = parser.parse_args()
    venv = arguments.venv.absolute()
    try:
        if arguments.step == "check":
            check(venv)
        elif arguments.step == "packages":
            install_packages(venv, arguments.pinned)
        elif arguments.step == "torch":
            install_torch(venv, arguments.torch)
        elif arguments.step == "browser":
            install_browser(venv)
        else:
            install_messages(venv)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
