"""Evaluates a recording from end to end into a folder: worked through, put together, reported."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from ... import __version__
from ...errors import ConfigError, HkdnetError, SourceError
from ...files import write_file
from ...images.frames import THERMAL, VISIBLE
from ...inference.config import EngineConfig
from ...inference.engine_api import load_engine
from ...inference.processor import cpu_facts
from ...perception.config import PerceptionConfig
from ...perception.pairing import NEAREST
from ...perception.registration_config import NONE
from ...sources.bags.bag_source import BagSource
from ...sources.camera_source import CameraSource
from ...sources.opening import bag_of, open_source
from ..detection import FOUND, SURE, Search, class_numbers
from ..detector import OnnxDetector
from .folder import ResultFolder, title_of
from .parts import FRAMES, tidy
from .reading import read_result
from .report import bag_report
from .run import FOLLOW, Bar, Options, every_for, work_through

REPORT = "report.html"

_PACKAGES = ("torch", "numpy", "rosbags", "openvino", "onnxruntime", "tensorrt")
"""What the result may depend on, where it is installed; OpenCV says its version itself, whoever brought it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of an evaluation beside recording and settings.

    Measures are taken on one frame in ``every``; None: of a short recording on about 200, of a long one on one in 60.
    ``limit`` is how many frames are fused, None for all. ``detector`` is an ONNX file (see
    :class:`~hkdnet_ros.evaluation.detector.OnnxDetector`), of whose classes ``classes`` count;
    what it finds is followed at ``follow`` frames a second, 0 for not at all. With ``merge`` the written bag holds the
    messages of the recording, too.
    """

    every: int | None = None
    limit: int | None = None
    detector: Path | None = None
    classes: Sequence[str] = ()
    follow: float = FOLLOW
    video: bool = True
    part: int = FRAMES
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One recording to evaluate, complete, so that another process can: ``spec`` names it, ``out`` is its folder.

    ``parameters`` are all of the node's by name, of which ``engine`` and ``config`` are made, and ``defaults`` what
    they are where nobody sets them; ``opening`` are keywords of :func:`open_source`. ``version`` is that of the code
    that made this.
    """

    spec: str
    out: Path
    engine: EngineConfig
    config: PerceptionConfig
    request: Request
    parameters: Mapping[str, Any]
    defaults: Mapping[str, Any]
    opening: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    @property
    def files(self) -> list[Path]:
        """The files and folders that ``spec`` names; none for the simulator."""
        return [path for word in self.spec.split(",") if (path := Path(word).expanduser()).exists()]


def run_task(task: Task, bar: Bar = tqdm) -> Path:
    """Evaluate a recording and return its report.

    A result that is there from the same request is gone on with, or left as it is where it is finished. Raises what
    :func:`open_source`, :func:`load_engine`, the detector and :func:`~.run.work_through` raise, :class:`ConfigError`
    for a pairing that needs ROS, and :class:`SourceError` for a folder of anything else and, without a limit, for a
    source that has no end.
    """
    policy = task.config.sync.policy
    if policy != NEAREST:
        raise ConfigError(f"sync.policy is {policy}, which needs ROS; evaluate with -p sync.policy:={NEAREST}")
    for path in task.files:
        if task.out.resolve().is_relative_to(path.resolve()):
            raise SourceError(f"{task.out}: lies in the recording {path}, which is left as it is; choose another --out")
    with contextlib.closing(open_source(task.spec, **task.opening)) as source:
        every = task.request.every or every_for(task.request.limit or len(source))
        with contextlib.closing(ResultFolder(task.out, _asked(task, source, every))) as folder:
            if not folder.is_finished:
                _work(task, source, folder, every, bar)
            report = task.out / REPORT
            if not report.is_file():
                write_file(report, bag_report(read_result(task.out)).encode())
            tidy(task.out)
    return report


def _asked(task: Task, source: CameraSource, every: int) -> dict[str, Any]:
    """Return all that a result follows from."""
    request = task.request
    return {
        "source": source.name,
        "title": title_of(task.spec),
        "opening": dict(task.opening),
        "recording": fingerprint(task.files),
        "hkdnet_ros": __version__,
        "parameters": dict(task.parameters),
        "defaults": dict(task.defaults),
        "weights": _checksum(Path(task.engine.model)),
        "files": _files(task),
        "every": every,
        "limit": request.limit,
        "part": request.part,
        "video": request.video,
        "merge": request.merge,
        "detector": request.detector.name if request.detector else None,
        "classes": list(request.classes) if request.detector else [],
        "follow": request.follow if request.detector else 0,
    }


def _work(task: Task, source: CameraSource, folder: ResultFolder, every: int, bar: Bar) -> None:
    """Work a recording through into its folder, or go on with that."""
    request, out = task.request, task.out
    before = fingerprint(task.files)
    try:
        search = None
        if request.detector is not None:
            search = Search(OnnxDetector(request.detector), class_numbers(request.classes), SURE, FOUND)
        options = Options(every, request.limit, search, request.follow, request.video, request.part, request.merge)
        with _interrupted_afterwards():
            loaded = load_engine(task.engine)
        with contextlib.closing(loaded) as engine:
            outcome = work_through(source, out, engine, task.config, options, bar)
    except HkdnetError:
        if not (out / "parts").is_dir() or not any((out / "parts").iterdir()):
            folder.remove()  # nothing came of it that a next try could go on from
        raise
    bag = bag_of(source)
    folder.finish(
        {
            **outcome.as_json(),
            "contents": _contents(bag) if bag else [],
            "problems": [*(bag.recording.problems if bag else ()), *outcome.problems],
            "grew": fingerprint(task.files) != before,
            "calibration": _calibration(task, source),
            "versions": _versions(),
            "machine": machine(),
        }
    )


@contextlib.contextmanager
def _interrupted_afterwards() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, a second one not: in a library's callback it would abort the process.

    Any thread may use this; in all but the main one there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = []

    def wait(number: int, frame: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def fingerprint(files: Sequence[Path]) -> dict[str, Any]:
    """Return what tells whether files are the same as before: their number, size, and a sum over names and sizes."""
    listed = [file for path in files for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    sizes = [(file.name, file.stat().st_size) for file in listed if file.is_file()]
    return {
        "files": len(sizes),
        "bytes": sum(size for _, size in sizes),
        "sum": hashlib.sha256(repr(sizes).encode()).hexdigest()[:16],
    }


def machine() -> str:
    """Return what processor this is, in words."""
    name = cpu_facts().get("model name")
    return f"{platform.machine()}, {name}" if name else platform.machine()


def _files(task: Task) -> dict[str, str]:
    """Return the checksums of the files that are named beside weights and recording, as calibrations, by what names."""
    named = {name: value for name, value in task.parameters.items() if isinstance(value, str) and name != "model"}
    named["detector"] = str(task.request.detector or "")
    return {name: checksum for name, value in named.items() if (checksum := _checksum(Path(value)))}


def _checksum(path: Path) -> str:
    """Return the checksum of a file, empty for what is none, as a preset's name: that comes with the version."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def _calibration(task: Task, source: CameraSource) -> str:
    """Return in words what was known of the cameras, and how their images were registered."""
    known = [stream for stream in (THERMAL, VISIBLE) if source.camera_model(stream) is not None]
    registration = task.config.registration
    text = f"registration by {registration.mode}" if registration.mode != NONE else "not registered here"
    text += f"; camera_info of {' and '.join(known)} in the recording" if known else "; no camera_info in the recording"
    return text + (f"; {registration.calibration}" if registration.calibration else "")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "opencv": cv2.__version__}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _contents(bag: BagSource) -> list[tuple[str, str, int]]:
    counts: dict[tuple[str, str], int] = {}
    for connection in bag.recording.connections:
        key = connection.topic, connection.msgtype
        counts[key] = counts.get(key, 0) + connection.count
    return [(topic, kind, count) for (topic, kind), count in sorted(counts.items())]
