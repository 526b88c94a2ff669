"""Two results of one recording against each other: differences paired by frame, each with an interval."""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import SourceError
from ...files import make_folder, write_file
from ...images.frames import VISIBLE
from ...metrics.fusion import LESS_IS_BETTER
from .charts import Chart, points
from .downstream.objects import COUNT_KEYS
from .finding import BAD, GOOD, NOTE
from .folder import NAME as RUN
from .lumas import FUSED
from .markup import Section, cards, finding_list, page, paragraph, shots, table
from .measures import FLICKER_KEYS, QUALITY_KEYS
from .reading import Result, drop_counts, read_panes, read_result
from .tables import write_table

_log = logging.getLogger(__name__)

FEWEST = 8
"""Frames that a difference is told of."""

_PAGE = "compare.html"

_DRAWS = 4000
_BLOCKS = 40  # of frames in a row, which are alike; an interval by single frames would be too narrow

_LESS = {*LESS_IS_BETTER, *FLICKER_KEYS, "turn_step", "objects.visible_lost", "objects.fused_alone"}


@dataclass(frozen=True, slots=True)
class Difference:
    """B minus A of one measure over frames that both have: means, and where 95 % of resamples of the mean lie."""

    measure: str
    frames: int
    a: float
    b: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` for B, or ``""`` where the interval has 0 in it or there is no better."""
        if self.low <= 0 <= self.high or self.measure.startswith(("shift", "objects.thermal_alone")):
            return ""
        is_less = self.measure.partition(".")[0] in _LESS or self.measure in _LESS
        return "better" if (self.b < self.a) == is_less else "worse"


def compare(a: Path, b: Path, out: Path) -> tuple[Path, list[Difference]]:
    """Compare two results and write compare.html and differences.csv to ``out``; return the page and what differs.

    Frames belong together that have the same stamps of thermal and visible image. Raises :class:`SourceError` where a
    result cannot be read, where they have no frames in common, and for a folder that cannot be written or that holds a
    result or another comparison. Where the recordings differ, as videos whose stamps begin at 0, page and log say so.
    """
    first, second = read_result(a), read_result(b)
    subtitle = f"A: {a}; B: {b}"
    _check_free(out, subtitle)
    pairs = _paired(first, second)
    if not len(pairs):
        raise SourceError(f"{a} and {b}: have no frame of the same stamps; compare results of one recording")
    if warning := _of_two_recordings(first, second):
        _log.warning("%s", warning)
    found = differences(first, second, pairs)
    make_folder(out)
    columns = ("measure", "frames", "a", "b", "difference", "low", "high", "verdict")
    write_table(out / "differences.csv", columns, (
        {"measure": one.measure, "frames": one.frames, "a": one.a, "b": one.b, "difference": one.b - one.a,
         "low": one.low, "high": one.high, "verdict": one.verdict} for one in found
    ))  # fmt: skip
    names = _names(first, second)
    text = page(f"{names[0]} against {names[1]}", subtitle, _sections(first, second, pairs, found, names))
    write_file(out / _PAGE, text.encode())
    return out / _PAGE, found


def _check_free(out: Path, subtitle: str) -> None:
    """Raise :class:`SourceError` for the folder of a result, and for one with a page of another subtitle."""
    if (out / RUN).is_file():
        raise SourceError(f"{out}: holds a result of `hkdnet evaluate bag`; choose another --out")
    there = out / _PAGE
    if there.is_file() and html.escape(subtitle) not in there.read_text(encoding="utf-8", errors="replace"):
        raise SourceError(f"{there}: compares other results; choose another --out, or remove it")


def _of_two_recordings(first: Result, second: Result) -> str:
    """Return what to say where two results are not of the same files, "" where they are."""
    of = [result.asked["recording"] if result.asked["recording"]["files"] else result.asked["source"]
          for result in (first, second)]  # fmt: skip
    if of[0] == of[1]:
        return ""
    return (
        f"A is of {first.asked['source']}, B of {second.asked['source']}, whose files differ: frames are paired by "
        "their stamps alone, and the differences may be those of the recordings"
    )


def differences(first: Result, second: Result, pairs: NDArray[np.int64]) -> list[Difference]:
    """Return what differs over ``pairs`` (N, 2) of frames, measures of the fused image first."""
    found = []
    for measure in _ordered(set(first.measures) & set(second.measures)):
        values = np.stack([_per_frame(result, measure)[pairs[:, side]] for side, result in ((0, first), (1, second))])
        values = values[:, np.isfinite(values).all(axis=0)]
        if values.shape[1] < FEWEST:
            continue
        low, high = mean_interval(values[1] - values[0])
        a, b = (float(side.mean()) for side in values)
        found.append(Difference(measure, values.shape[1], a, b, low, high))
    return found


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return where 95 % of the means of resamples lie: a block bootstrap, for frames in a row are alike."""
    blocks = np.array_split(values, min(_BLOCKS, len(values)))
    sums, counts = (np.array([function(block) for block in blocks], float) for function in (np.sum, len))
    draws = np.random.default_rng(0).integers(0, len(blocks), (_DRAWS, len(blocks)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _paired(first: Result, second: Result) -> NDArray[np.int64]:
    """Return the frames (N, 2) of both results that were made of images of the same stamps."""
    keys = [
        {(int(stamp), float(np.nan_to_num(skew))): frame for frame, (stamp, skew) in enumerate(pairs)}
        for pairs in (zip(result.stamps, _own_skews(result), strict=True) for result in (first, second))
    ]
    common = [(frame, keys[1][key]) for key, frame in keys[0].items() if key in keys[1]]
    return np.array(common, np.int64).reshape(-1, 2)


def _own_skews(result: Result) -> NDArray[np.float64]:
    """Return thermal minus visible stamps without the offsets that a run was given."""
    parameters: Mapping[str, float] = result.asked["parameters"]
    offset_ns = round((parameters["sync.thermal_offset"] - parameters["sync.visible_offset"]) * 1e9)
    skews: NDArray[np.float64] = result.skews - offset_ns
    return skews


def _per_frame(result: Result, measure: str) -> NDArray[np.float64]:
    values = np.full(len(result.stamps), np.nan)
    values[result.measured] = result.measures[measure]
    return values


def _ordered(measures: set[str]) -> list[str]:
    first = [f"{key}.{FUSED}" for key in (*QUALITY_KEYS, *FLICKER_KEYS)]
    first += [
        *(f"{key}.{FUSED}" for key in ("inliers", "pose_inliers", "turn_step")),
        *(key for key in COUNT_KEYS if "fused" in key or "kept" in key or "gained" in key),
    ]
    return [name for name in first if name in measures]


def _names(first: Result, second: Result) -> tuple[str, str]:
    """Return what tells two results apart: their recordings, or else their folders."""
    if first.title != second.title:
        return first.title, second.title
    return first.path.resolve().name, second.path.resolve().name


def _sections(
    first: Result, second: Result, pairs: NDArray[np.int64], found: Sequence[Difference], names: tuple[str, str]
) -> list[Section]:
    same = sum(first.checksums[a] == second.checksums[b] for a, b in pairs)
    entries = [
        ("frames of both", f"{len(pairs)}", f"A has {len(first.stamps)}, B {len(second.stamps)}"),
        ("equal to the bit", f"{same}", "fused images"),
        ("dropped", f"{sum(drop_counts(first).values())} and {sum(drop_counts(second).values())}", "by A and by B"),
    ]
    tones = {"better": GOOD, "worse": BAD, "": NOTE}
    sentences = [(tones[one.verdict], _sentence(one)) for one in found]
    if not found:
        sentences = [(NOTE, f"Fewer than {FEWEST} frames were measured in both: evaluate with the same --every.")]
    if warning := _of_two_recordings(first, second):
        sentences.insert(0, (BAD, f"{warning}."))
    body = cards(entries) + finding_list(sorted(sentences, key=lambda item: (BAD, GOOD, NOTE).index(item[0])))
    rows = [
        [one.measure, one.frames, f"{one.a:.4g}", f"{one.b:.4g}", f"{one.b - one.a:+.3g}",
         f"{one.low:+.3g} to {one.high:+.3g}", one.verdict or "–"] for one in found
    ]  # fmt: skip
    text = (
        "Means over frames that were measured in both, made of images with the same stamps. The interval has 95 % of "
        f"the means of {_DRAWS} resamples of {_BLOCKS} blocks of frames in a row; where 0 lies in it, the two cannot "
        "be told apart on this recording."
    )
    heads = ("measure", "frames", "A", "B", "B - A", "95 %", "B is")
    charts = []
    for one in found:
        values = [_per_frame(result, one.measure)[pairs[:, side]] for side, result in ((0, first), (1, second))]
        known = np.isfinite(values).all(axis=0)
        times = first.seconds(first.recorded)[pairs[:, 0]][known]
        columns = [(name, side[known]) for name, side in zip(("A", "B"), values, strict=True)]
        x, series = points(times, columns, float(times.max(initial=0.0)) + 1e-6)
        charts.append(Chart(one.measure.replace(".", "-"), one.measure, "", x, series))
    sections = [
        Section("summary", "In short", body),
        Section("measures", "Differences", paragraph(text) + table(heads, rows), charts),
        Section("settings", "What was set differently", _settings(first, second)),
    ]
    pictures = _pictures(first, second, pairs, names)
    if pictures:
        sections.insert(1, Section("frames", "Where they differ most", pictures))
    reasons = sorted({*drop_counts(first), *drop_counts(second)})
    if reasons:
        drops = [[reason, drop_counts(first)[reason], drop_counts(second)[reason]] for reason in reasons]
        sections.insert(-1, Section("drops", "Drops", table(("dropped", "A", "B"), drops)))
    return sections


def _pictures(first: Result, second: Result, pairs: NDArray[np.int64], names: tuple[str, str]) -> str:
    """Return the frames where B gains and loses most, by the mean of the quality's differences over their spread."""
    scores = np.zeros(len(pairs))
    for key in (f"{key}.{FUSED}" for key in QUALITY_KEYS):
        if key in first.measures and key in second.measures:
            step = _per_frame(second, key)[pairs[:, 1]] - _per_frame(first, key)[pairs[:, 0]]
            scores += step / max(float(np.nanstd(step)) if np.isfinite(step).any() else 0.0, 1e-9)
    known = np.flatnonzero(np.isfinite(scores) & (scores != 0))
    if not len(known):
        return ""
    order = known[np.argsort(scores[known])]
    rows = []
    for title, place in (("Best for B", order[-1]), ("Worst for B", order[0])):
        frames = pairs[place]
        panes = [
            read_panes(result.path, int(frame), int(result.asked["part"]))
            for result, frame in zip((first, second), frames, strict=True)
        ]
        images = {VISIBLE: panes[0].get(VISIBLE), f"A: {names[0]}": panes[0][FUSED], f"B: {names[1]}": panes[1][FUSED]}
        seconds = float(first.seconds(first.recorded)[frames[0]])
        heading = f'<h3>{title}<span class="aside">frame {frames[0]} of A, {seconds:.2f} s from the start</span></h3>'
        rows.append(heading + shots({name: image for name, image in images.items() if image is not None}, title))
    return "".join(rows)


def _sentence(one: Difference) -> str:
    change = f"{one.measure} is {one.a:.4g} in A and {one.b:.4g} in B"
    interval = f"{one.b - one.a:+.3g}, 95 % within {one.low:+.3g} and {one.high:+.3g}"
    if one.verdict:
        return f"B is {one.verdict}: {change} ({interval})."
    return f"No difference that can be told: {change} ({interval})."


def _settings(first: Result, second: Result) -> str:
    rows = []
    for result in ("network", "hkdnet_ros", "machine"):
        values = [_fact(one, result) for one in (first, second)]
        if values[0] != values[1]:
            rows.append([result, *values])
    ours, theirs = first.asked["parameters"], second.asked["parameters"]
    rows += [
        [name, ours.get(name, "–"), theirs.get(name, "–")]
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    return table(("", "A", "B"), rows, words=True) if rows else paragraph("Nothing: both were asked the same.")


def _fact(result: Result, name: str) -> str:
    if name == "network":
        return "; ".join(f"{model}, {where}" for model, where in result.found["runs_on"].items())
    return str(result.asked[name] if name == "hkdnet_ros" else result.found[name])
