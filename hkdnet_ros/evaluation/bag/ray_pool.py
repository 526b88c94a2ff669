"""Works on many recordings on the machines of a Ray cluster; one that is lost costs no recording."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from ...errors import ConfigError, MissingDependencyError, ProcessError
from .evaluate import Task
from .many import TICK_S, TRIES, Tick
from .work import work

MEMORY = 2 * 2**30
"""What one recording may take of a machine, in bytes."""

_ADDRESS = re.compile(r"([\w.\-]+|\[[\da-fA-F:]+\]):(\d{1,5})")
_PATIENCE_S = 5.0
_SETTINGS = 4  # the kind of HTTP/2's first frame


def on_ray(
    tasks: Sequence[Task], address: str, most: int | None, cores: int, gpus: int = 0, work: Callable[[Task], str] = work
) -> Generator[Tick, None, None]:
    """Do ``work`` on each of ``tasks`` on the cluster at ``address``; yield how it goes, at least every TICK_S.

    ``address`` is HOST:PORT of its head, or ``auto``. ``most`` tasks run at a time, None for as many as
    there is room for, each with ``cores`` CPUs, MEMORY and ``gpus`` GPUs. Recordings, weights and results are files
    that all machines see under the same names. A task whose worker or machine is lost begins again on another one,
    where it goes on from what is on the disk; after TRIES times it is over.

    Raises :class:`MissingDependencyError` without Ray, :class:`ConfigError` for an address at which there is no
    cluster, and :class:`ProcessError` where no machine of it has room for a task.
    """
    ray = _connected(address)
    wanted = {"CPU": cores, "memory": MEMORY, **({"GPU": gpus} if gpus else {})}
    try:
        _check_room(ray.nodes(), wanted, address)
    except ProcessError:
        ray.shutdown()
        raise
    remote = ray.remote(num_cpus=cores, num_gpus=gpus, memory=MEMORY, max_retries=TRIES - 1)(work)
    return _ticks(ray, remote, tasks, most or len(tasks))


def _ticks(ray: Any, remote: Any, tasks: Sequence[Task], most: int) -> Generator[Tick, None, None]:
    waiting = deque(range(len(tasks)))
    running: dict[Any, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < most:
                number = waiting.popleft()
                running[remote.remote(tasks[number])] = number
            ready, _ = ray.wait(list(running), num_returns=1, timeout=TICK_S)
            over = {}
            for reference in ready:
                number = running.pop(reference)
                over[number] = _answer(ray, reference, tasks[number])
            yield Tick(over, list(running.values()))
    finally:
        ray.shutdown()  # with it the workers of this program end


def _connected(address: str) -> Any:
    """Return Ray's module, connected to the cluster."""
    if importlib.util.find_spec("ray") is None:
        raise MissingDependencyError("--ray needs the Python package ray, which is not installed; `pip install ray`")
    match = _ADDRESS.fullmatch(address)
    if match is None and address != "auto":
        raise ConfigError(
            f"--ray is {address!r}; expected HOST:PORT of a cluster's head, such as 10.0.0.5:6379, or auto"
        )
    if match is not None:
        # Ray itself would try for two minutes and then end this process.
        try:
            speaks = _speaks_grpc(match[1].strip("[]"), int(match[2]))
            reason = "" if speaks else "what answers there is no Ray"
        except (OSError, OverflowError) as error:
            reason = f"nobody answers there ({error})"
        if reason:
            raise ConfigError(f"--ray {address}: {reason}; name the address that `ray start --head` prints")
    import ray

    try:
        with _own_termination():
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"--ray {address}: no Ray cluster can be joined there from this machine ({said}); run the command on one "
            "of its machines"
        ) from error
    return ray


@contextlib.contextmanager
def _own_termination() -> Iterator[None]:
    """Give SIGTERM back to whom it had: Ray takes it for itself."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _speaks_grpc(host: str, port: int) -> bool:
    """Return whether HTTP/2 is spoken at an address, as gRPC does it (RFC 9113, 3.4); raises OSError for none."""
    with socket.create_connection((host, port), _PATIENCE_S) as server:
        if os.environ.get("RAY_USE_TLS", "0") == "1":
            return True  # what is spoken inside cannot be heard
        server.settimeout(_PATIENCE_S)
        server.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0)))
        with contextlib.suppress(TimeoutError, ConnectionError):
            return server.recv(9)[3:4] == bytes((_SETTINGS,))
        return False


def _check_room(nodes: Sequence[Mapping[str, Any]], wanted: Mapping[str, float], address: str) -> None:
    """Raise where no machine has what a task needs, for Ray would wait for one without end."""
    there = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(one.get(name, 0) >= amount for name, amount in wanted.items()) for one in there):
        needed = ", ".join(f"{amount / 2**30:.0f} GB" if name == "memory" else f"{amount} {name}"
                           for name, amount in wanted.items())  # fmt: skip
        raise ProcessError(
            f"--ray {address}: none of its {len(there)} machines has {needed} for a recording; choose fewer "
            "--cores, or start Ray there with more"
        )


def _answer(ray: Any, reference: Any, task: Task) -> str:
    """Return what a task's worker said, or what became of it."""
    try:
        return str(ray.get(reference))
    except ray.exceptions.RayTaskError as error:
        last = next(line for line in reversed(str(error).splitlines()) if line.strip())
        return f"{task.spec}: a worker cannot run hkdnet_ros ({last.strip()}); install {task.version} on every machine"
    except ray.exceptions.RayError as error:
        return (
            f"{task.spec}: its workers were lost {TRIES} times ({type(error).__name__}); the same command goes on from "
            "what was finished"
        )
