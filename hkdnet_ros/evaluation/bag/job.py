"""One recording to evaluate, as something that can be sent to another process or another machine."""

from __future__ import annotations

import contextlib
import functools
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from tqdm import tqdm

from ... import __version__
from ...errors import HkdnetError
from ...inference.config import EngineConfig
from ...perception.config import PerceptionConfig
from ...sources.opening import open_source
from .evaluate import Request, evaluate_recording
from .progress import Noted
from .run import Bar
from .summary import write_summary


@dataclass(frozen=True, slots=True)
class Job:
    """All that one evaluation follows from: see :func:`~.evaluate.evaluate_recording`, and ``opening`` for
    :func:`~hkdnet_ros.sources.opening.open_source`. ``name`` tells it from the others of a command."""

    name: str
    spec: str
    opening: Mapping[str, Any]
    out: Path
    engine: EngineConfig
    config: PerceptionConfig
    request: Request
    parameters: Mapping[str, Any]
    defaults: Mapping[str, Any]
    version: str = __version__

    @property
    def files(self) -> list[Path]:
        """The files and folders that the recording consists of, none for the simulator."""
        return [path for word in self.spec.split(",") if (path := Path(word).expanduser()).exists()]


def evaluate(job: Job, bar: Bar = tqdm) -> Path:
    """Evaluate a recording and return its report; raises what opening and evaluating it do."""
    with contextlib.closing(open_source(job.spec, **job.opening)) as source:
        return evaluate_recording(
            source, job.files, Path(job.spec).name, job.out, job.engine, job.config, job.request, job.parameters,
            job.defaults, bar,
        )  # fmt: skip


def work(job: Job) -> str:
    """Evaluate one recording of several, quietly; return what went wrong in one line, "" where nothing did."""
    if job.version != __version__:
        return f"{socket.gethostname()} has hkdnet_ros {__version__}, not {job.version}; install the same everywhere"
    if threads := job.engine.threads:  # what runs beside the network keeps to its share of the cores, too
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    try:
        evaluate(job, functools.partial(Noted, job.out))
        write_summary(job.out)
    except HkdnetError as error:
        return str(error)
    except Exception as error:  # of this recording alone: the others go on
        traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(f"{type(error).__name__}: {error}, {Path(last.filename).name}:{last.lineno}".split())
        return f"{job.spec}: a defect of hkdnet_ros, please report it ({said})"
    return ""
