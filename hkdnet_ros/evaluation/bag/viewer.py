"""Serves results on this machine: one page to scrub through what was fused, with figures and what was dropped."""

from __future__ import annotations

import csv
import html
import json
import re
import threading
import zipfile
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SourceError
from .charts import per_span, plain
from .downstream.found import FoundObjects
from .downstream.tracks import OBJECTS
from .folder import NAME, read_run
from .lumas import FUSED, IMAGES
from .markup import web
from .measures import QUALITY_KEYS
from .panes import entry, part_file
from .reading import Result, read_result
from .tables import columns_of

HOST = "127.0.0.1"
PORT = 8765

_COLUMNS = 1200  # of the timeline
_OPEN = 4  # zip files kept open
_LINES = ("Qabf", *(key for key in QUALITY_KEYS if key != "Qabf"), "flicker")


def results_in(folder: Path) -> list[Path]:
    """Return the results in a folder: itself, or the finished ones in the folders in it; SourceError for none."""
    if (folder / NAME).is_file():
        return [folder]
    inside = sorted(path.parent for path in folder.glob(f"*/{NAME}")) if folder.is_dir() else []
    found = [path for path in inside if read_run(path)["found"]]
    if not found:
        raise SourceError(f"{folder}: holds no result of `hkdnet evaluate bag`; name its --out folder")
    return found


class Shown:
    """What the page asks of one result; any thread may call it."""

    def __init__(self, path: Path) -> None:
        result = read_result(path)
        self.title = result.title
        self.path = path
        self.count = len(result.stamps)
        self._part = int(result.asked["part"])
        self._overview = json.dumps(_overview(result)).encode()
        self._times = np.ascontiguousarray(result.seconds(result.recorded)).astype("<f8").tobytes()
        self._columns = columns_of(path / "frames.csv")
        self._offsets = _line_offsets(path / "frames.csv")
        self._found = FoundObjects(path / OBJECTS)
        self._lock = threading.Lock()
        self._zips: OrderedDict[int, zipfile.ZipFile] = OrderedDict()

    def overview(self) -> bytes:
        """Return title, number of frames, modes, drops and what is drawn as a line over time, as JSON."""
        return self._overview

    def times(self) -> bytes:
        """Return when each frame came out, in s from the start, as float64 with the least byte first."""
        return self._times

    def figures(self, frame: int) -> bytes:
        """Return the row of a frame in frames.csv and, by image, the ``objects`` that were found in it, as JSON."""
        with (self.path / "frames.csv").open("rb") as file:
            file.seek(self._offsets[frame])
            (cells,) = csv.reader([file.readline().decode()])
        row: dict[str, Any] = dict(zip(self._columns, cells, strict=True))
        return json.dumps(row | {"objects": self._found.of(frame)}).encode()

    def pane(self, frame: int, name: str) -> bytes:
        """Return an image of a frame as JPEG, nothing where it was not made of one."""
        with self._lock:
            file = self._zip(frame // self._part)
            try:
                return file.read(entry(frame, name))
            except KeyError:
                return b""

    def _zip(self, part: int) -> zipfile.ZipFile:
        if part in self._zips:
            self._zips.move_to_end(part)
        else:
            self._zips[part] = zipfile.ZipFile(part_file(self.path / "panes", part))
            if len(self._zips) > _OPEN:
                self._zips.popitem(last=False)[1].close()
        return self._zips[part]

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            for file in self._zips.values():
                file.close()
            self._zips.clear()


def _overview(result: Result) -> dict[str, Any]:
    times = result.seconds(result.recorded)
    start, end = float(times[0]), float(max(times[-1], times[0] + 1e-3))
    edges = np.linspace(start, end, min(_COLUMNS, max(len(times), 2)) + 1)
    drops: dict[str, list[float]] = {}
    for arrived_ns, reason in result.drops:
        drops.setdefault(reason, []).append((arrived_ns - result.start_ns) / 1e9)
    modes = [[start, result.modes[result.mode_of[0]]]]
    for place in np.flatnonzero(np.diff(result.mode_of)) + 1:
        modes.append([float(times[place]), result.modes[result.mode_of[place]]])
    measured = times[result.measured]
    columns = {f"{key} of fused": (measured, result.measures.get(f"{key}.{FUSED}", np.zeros(0))) for key in _LINES}
    if result.followed is not None:
        followed, shown = times[result.followed.frames], result.followed.shown
        for name, key in (
            ("fused shows, visible misses", "fused_alone"),
            ("visible shows, fused misses", "visible_alone"),
        ):
            columns[name] = (followed, shown[key].astype(np.float64))
    lines = {}
    for name, (at, values) in columns.items():
        if np.isfinite(values).any():
            few = len(at) <= _COLUMNS
            lines[name] = {
                "x": at.tolist() if few else ((edges[1:] + edges[:-1]) / 2).tolist(),
                "y": plain(values) if few else per_span(at, values, edges),
            }
    return {
        "title": result.title,
        "frames": len(times),
        "start": start,
        "end": end,
        "modes": modes[:5000],
        "drops": {
            reason: [[float(place), int(count)] for place, count in zip(edges, np.histogram(at, edges)[0], strict=False)
                     if count] for reason, at in drops.items()
        },
        "lines": lines,
        "boxes": result.followed is not None,
        "measured": result.measured.tolist() if len(result.measured) <= 100_000 else [],
    }  # fmt: skip


def _line_offsets(path: Path) -> Sequence[int]:
    """Return where each line of a file begins, but for the first."""
    offsets = array("Q")
    with path.open("rb") as file:
        file.readline()
        while True:
            place = file.tell()
            if not file.readline():
                return offsets
            offsets.append(place)


class Viewer:
    """A server of results, on this machine alone; :meth:`serve` until :meth:`close`."""

    def __init__(self, folder: Path, port: int = PORT) -> None:
        """Read the results in ``folder``; ``port`` 0 takes a free one. Raises :class:`SourceError`."""
        self.shown = [Shown(path) for path in results_in(folder)]
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(self.shown))
        except OSError as error:
            raise SourceError(f"port {port} cannot be had ({error.strerror}); choose another --port") from error
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self._server.server_port}/"

    def serve(self) -> None:
        """Answer requests until :meth:`close` is called in another thread, or by Ctrl-C."""
        self._server.serve_forever()

    def close(self) -> None:
        """End :meth:`serve` and free the port."""
        self._server.shutdown()
        self._server.server_close()
        for shown in self.shown:
            shown.close()


_PATH = re.compile(r"/(\d{1,6})/(?:(overview\.json|times\.bin|report\.html)?|(\d{1,9})\.json|(\d{1,9})_(\w+)\.jpg)")


def _handler(shown: Sequence[Shown]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # A page elsewhere must not read this by a name that it lets point here.
            if self.headers.get("Host", "").split(":")[0] not in (HOST, "localhost"):
                return self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"ask by 127.0.0.1 or localhost")
            kind, content = _answer(shown, self.path.partition("?")[0])
            if content is None:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such thing")
            else:
                self._answer(HTTPStatus.OK if content else HTTPStatus.NO_CONTENT, kind, content)

        def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if content:
                self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store" if "html" in kind else "max-age=3600")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Say nothing of each request."""

    return Handler


def _answer(shown: Sequence[Shown], path: str) -> tuple[str, bytes | None]:
    """Return the type of a content and itself, None where nothing is called so."""
    if path == "/":
        return "text/html; charset=utf-8", (_index(shown) if len(shown) > 1 else _page()).encode()
    match = _PATH.fullmatch(path)
    if match is None or int(match[1]) >= len(shown):
        return "text/plain", None
    one = shown[int(match[1])]
    if match[3] is not None:
        return "application/json", one.figures(int(match[3])) if int(match[3]) < one.count else None
    if match[4] is not None:
        is_there = int(match[4]) < one.count and match[5] in IMAGES
        return "image/jpeg", one.pane(int(match[4]), match[5]) if is_there else None
    answers: Mapping[str | None, tuple[str, Any]] = {
        None: ("text/html; charset=utf-8", lambda: _page().encode()),
        "overview.json": ("application/json", one.overview),
        "times.bin": ("application/octet-stream", one.times),
        "report.html": ("text/html; charset=utf-8", lambda: (one.path / "report.html").read_bytes()),
    }
    kind, content = answers[match[2]]
    return kind, content()


def _page() -> str:
    return web("view.html").replace("/*style*/", web("page.css") + web("view.css")).replace(
        "/*script*/", web("theme.js") + web("view.js")
    )  # fmt: skip


def _index(shown: Sequence[Shown]) -> str:
    links = "".join(
        f'<li><a href="/{number}/">{html.escape(one.title)}</a> <span class="aside">{one.count} frames</span></li>'
        for number, one in enumerate(shown)
    )
    return web("index.html").replace("/*style*/", web("page.css")).replace("<!--results-->", links)
