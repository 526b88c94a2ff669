"""One recording through the core from its first image to its last: written, measured, and gone on with after a stop."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from ...errors import ConfigError, DeviceError, SourceError
from ...images.frames import THERMAL, VISIBLE, Frame
from ...inference.engine_api import Engine, runs_on
from ...perception.config import PerceptionConfig
from ...perception.incoming import Arrival
from ...perception.mode import FUSED as FUSED_MODE
from ...perception.mode import HELD, ModeChange
from ...perception.registration_config import NONE
from ...perception.run import run
from ...perception.session import Session
from ...perception.sink import Drop, Figures, Output, Wants
from ...perception.statistics import BAD_PAIR, NOT_REGISTERED, Totals, bad_image
from ...perception.worker import EVERY
from ...sources.bags.bag_source import BagSource
from ...sources.camera_source import CameraSource
from ...sources.opening import bag_of
from ..detection import Search
from .ahead import decoded_ahead
from .downstream.tracks import write_tracks
from .folder import title_of
from .frame_products import BASE, Job, Product, Products, bytes_of
from .fused_messages import TYPES, FusedMessages
from .inputs import Inputs
from .measures import IN_A_ROW, columns
from .movie import Movie
from .ordered_pipe import OrderedPipe
from .parts import FRAMES, Parts, tidy
from .streams import StreamTables
from .watched_engine import Spent, WatchedEngine

FOLLOW = 10.0
"""Frames a second in which objects are followed."""

_THREADS = 2
_UNDER_WAY = 192 << 20  # bytes of images between fusion and disk: measuring one frame takes as long as fusing twenty
_MEASURED = 200  # so many frames are measured of a short recording
_IN_VAIN = 400  # so many arrivals in a row without a frame end a source that has no end itself
_SELDOM = 60  # of a long one, one in so many: measuring one takes as long as fusing ten


def every_for(frames: int) -> int:
    """Return on which share of so many frames measures are taken, one in the result."""
    return min(max(frames // _MEASURED, 1), _SELDOM)


class Progress(Protocol):
    """Hears of each frame, as tqdm's bar does."""

    def update(self) -> object: ...


class Bar(Protocol):
    """Makes a :class:`Progress` for the length of a block, as tqdm does."""

    def __call__(self, *, total: int | None, desc: str, unit: str) -> contextlib.AbstractContextManager[Progress]: ...


@dataclass(frozen=True, slots=True)
class Options:
    """How a recording is worked through: measures on one frame in ``every``, the first ``limit`` frames or all.

    Objects are followed at ``follow`` frames a second, with a ``search``; 0 does not follow any. With ``merge`` the
    messages of the bag itself are written between the fused ones.
    """

    every: int
    limit: int | None = None
    search: Search | None = None
    follow: float = FOLLOW
    video: bool = True
    part: int = FRAMES
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a recording, and how long it took: ``engine_s`` for ``engine_frames``, of ``seconds`` in all
    and ``fused_s`` until the last frame was written.

    ``problems`` says what could not be merged.
    """

    frames: int
    both: int
    totals: Totals
    oddities: Mapping[str, Mapping[str, int]]
    drift_ppm: float | None
    runs_on: Mapping[str, str]
    damage: str
    problems: Sequence[str]
    has_parquet: bool
    video: str
    seconds: float
    fused_s: float
    engine_s: float
    engine_frames: int
    begun_at: int

    def as_json(self) -> dict[str, Any]:
        """Return this as it is kept with the result."""
        totals = {name: getattr(self.totals, name) for name in ("received", "pairs", "published", "drops")}
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | {"totals": totals}


def work_through(
    source: CameraSource, folder: Path, engine: Engine, config: PerceptionConfig, options: Options, bar: Bar = tqdm
) -> Outcome:
    """Run ``source`` through the core and write all but the report to ``folder``, which may hold part of it already.

    A recording that breaks off gives what came before, and the outcome's ``damage`` says why. Raises
    :class:`SourceError` where nothing can be read or no pair is fused, and where the disk is full;
    :class:`DeviceError` where the device fails. What was finished stays: the same call goes on from there.
    """
    begun = time.perf_counter()
    messages = FusedMessages()
    open_inputs = functools.partial(Inputs, _bag(source), TYPES) if options.merge else None
    spent = Spent()
    with _disk_errors(folder), contextlib.ExitStack() as stack:
        movie = Movie(folder, folder / "panes") if options.video else None
        if movie is not None:
            stack.callback(movie.abandon)
        parts = Parts(folder, (*BASE, *columns(options.search)), movie, options.part, open_inputs)
        tables = StreamTables(folder)
        stack.callback(tables.abandon)
        begun_at = parts.frames
        products = Products(options.every, options.search, parts, messages)
        stack.callback(parts.abandon_part)
        with OrderedPipe(products.make, products.take, threads=_THREADS, most=_UNDER_WAY) as pipe:
            total = _count(source, options.limit)
            with bar(total=total, desc=title_of(source.name)[-40:], unit="frame") as progress:
                sink = _Sink(pipe, tables, parts, options, progress, _wants(source, config))
                watched = WatchedEngine(engine, lambda: sink.frames < begun_at - IN_A_ROW + 1, spent)
                sink.engine = watched
                session = Session(config, watched, sink, tables, policy=EVERY)
                for stream in (THERMAL, VISIBLE):
                    if (model := source.camera_model(stream)) is not None:
                        session.receive_calibration(stream, model, 0)
                with decoded_ahead(source.arrivals()) as arrivals:
                    fed = _Fed(arrivals, sink, tables, options.limit, _length(source) is None)
                    run(session, fed)
                session.flush()
                sink.check()
        fused_s = time.perf_counter() - begun
        parts.finish_part()
        if sink.both == 0:
            tidy(folder)  # the images of one camera alone are nothing to go on from
            raise SourceError(_nothing(source, session.totals(), tables))
        tables.finish()
        has_parquet = parts.complete(options.limit is None or sink.frames < options.limit)
        if options.search is not None and options.follow:
            write_tracks(folder, options.search.sure)
        video = movie.finish() if movie is not None else ""
        stack.pop_all()
        health = session.health()
        return Outcome(
            frames=sink.frames,
            both=sink.both,
            totals=session.totals(),
            oddities=health.stamp_oddities,
            drift_ppm=health.drift_ppm,
            runs_on=sink.runs_on,
            damage=fed.damage,
            problems=parts.inputs.all_problems() if parts.inputs else (),
            has_parquet=has_parquet,
            video=video,
            seconds=time.perf_counter() - begun,
            fused_s=fused_s,
            engine_s=spent.seconds,
            engine_frames=spent.frames,
            begun_at=begun_at,
        )


class _Fed:
    """Arrivals as they are fed to the session: noted, and ended by a limit, by damage or by what the sink met.

    Of a source that ``is_endless``, they end as well where nothing comes of them for long: no limit would be reached.
    """

    def __init__(
        self,
        arrivals: Iterator[tuple[Arrival, float | None]],
        sink: _Sink,
        tables: StreamTables,
        limit: int | None,
        is_endless: bool,
    ) -> None:
        self._arrivals = arrivals
        self._sink = sink
        self._tables = tables
        self._limit = limit
        self._is_endless = is_endless
        self.damage = ""

    def __iter__(self) -> Iterator[Arrival]:
        count = in_vain = frames = 0
        while (self._limit is None or self._sink.frames < self._limit) and in_vain < _IN_VAIN:
            try:
                arrival, motion = next(self._arrivals)
            except StopIteration:
                return
            except SourceError as error:
                if count == 0:
                    raise
                self.damage = str(error)
                return
            count += 1
            self._tables.arrived(arrival, motion)
            yield arrival
            self._sink.check()
            in_vain = in_vain + 1 if self._is_endless and self._sink.frames == frames else 0
            frames = self._sink.frames


class _Sink:
    """The core's sink (perception/sink.py): fused frames go to the pipe, all else to tables."""

    def __init__(
        self,
        pipe: OrderedPipe[Job, Product],
        tables: StreamTables,
        parts: Parts,
        options: Options,
        progress: Progress,
        wants: Wants,
    ) -> None:
        self._pipe = pipe
        self._tables = tables
        self._first = parts.frames - IN_A_ROW + 1
        self._limit = options.limit
        self._follow_ns = round(1e9 / options.follow) if options.search is not None and options.follow else 0
        self._followed = -1
        self._progress = progress
        self._wants = wants
        self._error: BaseException | None = None
        self.engine: Engine
        self.frames = 0
        self.both = 0
        self.runs_on = dict(parts.runs_on)

    def check(self) -> None:
        """Raise what was met since: the session takes no exception from its sink."""
        if self._error is not None:
            raise self._error

    def wants(self) -> Wants:
        return self._wants

    def fused(self, output: Output) -> Mapping[str, float]:
        """Do nothing yet: the figures come next."""
        return {}

    def figures(self, output: Output, figures: Figures) -> None:
        if self._limit is not None and self.frames >= self._limit:
            return
        number = self.frames
        self.frames += 1
        is_followed = self._is_followed(output)
        self.both += output.fused.mode in (FUSED_MODE, HELD)
        self._progress.update()
        engine = self.engine
        status = {
            "model": engine.model_name, "scale": engine.scale, "device": engine.device, "precision": engine.precision,
        }  # fmt: skip
        where = runs_on(engine)
        if self.runs_on.setdefault(engine.model_name, where) != where and self._error is None:
            self._error = ConfigError(
                f"{engine.model_name} runs in {where}, but the frames that are there were made in "
                f"{self.runs_on[engine.model_name]}; set -p backend, -p device and -p precision to that, or take "
                "another --out"
            )
        if number >= self._first and self._error is None:
            try:
                self._pipe.put(Job(number, output, figures, status, where, is_followed), bytes_of(output))
            except Exception as error:
                self._error = error

    def _is_followed(self, output: Output) -> bool:
        """Return whether objects are followed in this frame: in the first of each span of time."""
        if not self._follow_ns:
            return False
        span, self._followed = self._followed, output.fused.stamp_ns // self._follow_ns
        return span != self._followed

    def conditioned(self, thermal: Frame, conditioned: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Do nothing: this is not asked for."""

    def dropped(self, drop: Drop) -> None:
        self._tables.dropped(drop)

    def mode_changed(self, change: ModeChange, now_ns: int) -> None:
        self._tables.mode_changed(change, now_ns)

    def device_failed(self) -> None:
        self._error = DeviceError(
            "the device that computes is lost; what was finished is kept, the same command goes on from there"
        )


def _count(source: CameraSource, limit: int | None) -> int | None:
    """Return how many frames there will be, about; None where nobody knows."""
    return min((count for count in (_length(source), limit) if count is not None), default=None)


def _length(source: CameraSource) -> int | None:
    """Return how many pairs a source has, None where it has no end."""
    try:
        return len(source)
    except SourceError:
        return None


def _wants(source: CameraSource, config: PerceptionConfig) -> Wants:
    return Wants(
        camera_model=any(source.camera_model(stream) is not None for stream in (THERMAL, VISIBLE)),
        validity=config.registration.mode != NONE,
        temperature=config.temperature.is_on,
    )


def _bag(source: CameraSource) -> BagSource:
    if (bag := bag_of(source)) is None:
        raise SourceError(f"{source.name}: is no bag that could be merged; evaluate without --merge")
    return bag


def _nothing(source: CameraSource, totals: Totals, tables: StreamTables) -> str:
    """Return what to say where no pair was fused."""
    spans = tables.spans
    for stream, other in ((THERMAL, VISIBLE), (VISIBLE, THERMAL)):
        if not totals.received[stream]:
            return (
                f"{source.name}: holds {totals.received[other]} {other} images and no {stream} ones; a pair needs "
                f"both: name the topic with --{stream}-topic, or give another recording"
            )
    drops = ", ".join(f"{count} {reason}" for reason, count in sorted(totals.drops.items()))
    text = (
        f"{source.name}: of {totals.received[THERMAL]} thermal and {totals.received[VISIBLE]} visible images no two "
        f"could be fused ({drops or 'none was dropped'})"
    )
    if all(stream in spans for stream in (THERMAL, VISIBLE)):
        (first, last), (begun, ended) = spans[THERMAL], spans[VISIBLE]
        if first > ended or begun > last:
            apart = (begun - first) / 1e9
            return text + (
                f"; by their stamps, thermal begins {abs(apart):.3f} s {'before' if apart > 0 else 'after'} visible "
                f"and they do not overlap: where one clock is off, -p sync.thermal_offset:={apart:.3f}"
            )
    if unset := [stream for stream in (THERMAL, VISIBLE) if stream not in spans]:
        remedy = " ".join(f"-p sync.{stream}_stamps:=arrival" for stream in unset)
        return f"{text}; no stamp of {' and '.join(unset)} is set: go by the times of recording with {remedy}"
    if any(reason in totals.drops for reason in (bad_image(THERMAL), bad_image(VISIBLE), BAD_PAIR, NOT_REGISTERED)):
        return f"{text}; what was wrong first: {tables.trouble}"
    return text + "; look at sync.slop, sync.thermal_offset and the stamps"


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn what a disk answers into one line."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SourceError(
                f"{folder}: the disk is full; make room and run the same command again: it goes on from the last part"
            ) from error
        raise SourceError(f"{folder}: cannot be written ({error.strerror or error}); choose another --out") from error
