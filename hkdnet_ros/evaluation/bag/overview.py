"""One page over the results of several recordings, with a link to the report of each."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from ... import __version__
from .charts import BARS, Chart, Series, significant
from .finding import BAD
from .lumas import FUSED
from .markup import Section, cards, duration, finding_list, number, page, paragraph, table
from .summary import Summary, read_summary

_MOST_SAID = 200  # findings of a page over a thousand recordings


def overview_page(results: Sequence[Path], failures: Mapping[str, str]) -> str:
    """Return the page over finished results, and over recordings that gave none, by name with what was wrong.

    The page is to lie in the folder that has those of the results in it. Each result has its summary beside it: see
    :mod:`~.summary`.
    """
    found = {path.name: read_summary(path) for path in results}
    sections = [_summary(found, failures)]
    if found:
        sections += [_recordings(found), _workers(found)]
    count = len(found) + len(failures)
    subtitle = f"Evaluated through the node's core by hkdnet_ros {__version__}"
    return page(f"{count} recording{'s' * (count != 1)}", subtitle, sections)


def _summary(found: Mapping[str, Summary], failures: Mapping[str, str]) -> Section:
    drops: Counter[str] = Counter()
    for one in found.values():
        drops.update(one.drops)
    entries = [
        ("recordings", str(len(found)), f"{len(failures)} more gave no result" if failures else "all evaluated"),
        ("length", duration(sum(one.length_s for one in found.values())), "in all"),
        ("fused", str(sum(one.frames for one in found.values())), "frames"),
        ("dropped", str(drops.total()), ", ".join(f"{count} {reason}" for reason, count in drops.most_common(4))),
    ]
    said = [f"{name}: {error}" for name, error in failures.items()]
    said += [f"{name}: {text}" for name, one in found.items() for text in one.to_check]
    body = cards(entries) + finding_list((BAD, text) for text in said[:_MOST_SAID])
    if len(said) > _MOST_SAID:
        body += paragraph(f"{len(said) - _MOST_SAID} more stand in the reports below.")
    return Section("summary", "In short", body)


def _recordings(found: Mapping[str, Summary]) -> Section:
    keys = list(next(iter(found.values())).fused)
    heads = ["recording", "length", "frames", "dropped", "skew p95"]
    heads += [head for key in keys for head in (key, "of average")]
    heads += ["flicker", "shift", "to check"]
    rows = [_row(name, one, keys) for name, one in found.items()]
    text = (
        "VIFp: visual fidelity to both inputs; Qabf: edges of both that the fused image has; each beside that of the "
        "inputs' average. flicker: that of the fused image over that of the source that flickers more. shift: pixels "
        "by which thermal lies off the visible image. to check: sentences of the report that are marked so."
    )
    charts = []
    if len(found) > 1:
        for key in keys:
            gains = [_difference(one.fused[key], one.average[key]) for one in found.values()]
            bars = Series(FUSED, gains, "fused")
            places = [float(place) for place in range(1, len(found) + 1)]
            note = "Above 0 the fused image is better. Recordings stand in the order of the table."
            charts.append(
                Chart(f"gain-{key}", f"{key}, fused less average", "", places, [bars], BARS, note, "recording",
                      list(found), 0.0)
            )  # fmt: skip
    return Section("recordings", "Recordings", _linked(heads, rows) + paragraph(text), charts)


def _row(name: str, one: Summary, keys: Sequence[str]) -> list[object]:
    return [
        name,
        duration(one.length_s),
        one.frames,
        sum(one.drops.values()),
        number(one.skew_p95, 1, " ms"),
        *(number(value) for key in keys for value in (one.fused[key], one.average[key])),
        number(one.flicker, 2),
        f"{one.shift[0]:+.1f}, {one.shift[1]:+.1f}" if one.shift else "–",
        len(one.to_check),
    ]


def _workers(found: Mapping[str, Summary]) -> Section:
    rows = []
    for name, one in found.items():
        networks = "; ".join(f"{network}, {where}" for network, where in one.networks.items()) or "no network"
        speed, own = (one.done / seconds if seconds else None for seconds in (one.seconds, one.engine_seconds))
        rows.append([name, one.host, one.machine, networks, duration(one.seconds), number(speed, 2), number(own, 2)])
    heads = ("recording", "host", "processor", "network", "took", "frames per s", "of the network alone")
    text = (
        "Time and speed on the machine that evaluated, beside whatever else it did; of a recording that was gone on "
        "with, those of the last go."
    )
    return Section("workers", "Where it was evaluated", paragraph(text) + table(heads, rows, words=True))


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else significant(one - other)


def _linked(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the table with the first cell of each row a link to the report."""
    text = table(heads, rows)
    for name, *_ in rows:
        shown = html.escape(str(name))
        link = f'<td><a href="{quote(str(name))}/report.html">{shown}</a></td>'
        text = text.replace(f"<tr><td>{shown}</td>", f"<tr>{link}", 1)
    return text
