"""One page over the results of several recordings, with a link to the report of each."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...images.frames import THERMAL, VISIBLE
from .findings import BAD, alignment, findings
from .lumas import FUSED
from .markup import Section, cards, duration, finding_list, number, page, paragraph, table
from .reading import Result, drop_counts, read_result


def overview_page(results: Sequence[Path], failures: Mapping[str, str]) -> str:
    """Return the page over finished results, and over recordings that gave none, by name with what was wrong.

    The page is to lie in the folder that has those of the results in it.
    """
    rows, worst = [], []
    frames = drops = 0
    length = 0.0
    for path in results:
        result = read_result(path)
        bad = [finding.text for finding in findings(result) if finding.tone == BAD]
        worst += [(BAD, f"{result.title}: {text}") for text in bad]
        rows.append(_row(path, result, len(bad)))
        frames += len(result.stamps)
        drops += sum(drop_counts(result).values())
        length += (result.end_ns - result.start_ns) / 1e9
    heads = (
        "recording",
        "length",
        "frames",
        "dropped",
        "skew p95",
        "Qabf",
        "of average",
        "flicker",
        "shift",
        "to check",
    )
    worst += [(BAD, f"{name}: {error}") for name, error in failures.items()]
    entries = [
        (
            "recordings",
            str(len(results)),
            f"{len(failures)} more could not be evaluated" if failures else "all evaluated",
        ),
        ("length", duration(length), "in all"),
        ("fused", str(frames), "frames"),
        ("dropped", str(drops), "images and pairs"),
    ]
    text = (
        "Qabf: edges of both inputs that the fused image has, beside that of the inputs' average. flicker: that of the "
        "fused image over that of the source that flickers more. shift: pixels by which thermal lies off the visible "
        "image."
    )
    sections = [
        Section("summary", "In short", cards(entries) + finding_list(worst[:200])),
        Section("recordings", "Recordings", _linked(heads, rows, results) + paragraph(text)),
    ]
    return page(f"{len(results)} recordings", "Evaluated through the node's core by hkdnet_ros", sections)


def _row(path: Path, result: Result, bad: int) -> list[object]:
    skews = np.abs(result.skews[np.isfinite(result.skews)]) / 1e6
    skew = f"{np.percentile(skews, 95):.1f} ms" if len(skews) else "–"
    flicker = result.mean(f"flicker.{FUSED}")
    source = max(result.mean(f"flicker.{name}") or 0.0 for name in (THERMAL, VISIBLE))
    apart = alignment(result)
    return [
        path.name,
        duration((result.end_ns - result.start_ns) / 1e9),
        len(result.stamps),
        sum(drop_counts(result).values()),
        skew,
        number(result.mean(f"Qabf.{FUSED}")),
        number(result.mean("Qabf.average")),
        number(flicker / source if flicker is not None and source else None, 2),
        f"{apart.x:+.1f}, {apart.y:+.1f}" if apart else "–",
        bad,
    ]


def _linked(heads: Sequence[str], rows: Sequence[Sequence[object]], results: Sequence[Path]) -> str:
    """Return the table with the first cell of each row a link to the report."""
    text = table(heads, rows)
    for path in results:
        name = html.escape(path.name)
        link = f'<td><a href="{html.escape(path.name, quote=True)}/report.html">{name}</a></td>'
        text = text.replace(f"<tr><td>{name}</td>", f"<tr>{link}", 1)
    return text
