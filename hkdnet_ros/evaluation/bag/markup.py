"""Pieces of HTML that reports are made of, and the page around them: one file that needs nothing else."""

from __future__ import annotations

import base64
import functools
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .charts import Chart
from .panes import Image, jpeg, narrowed

WEB = Path(__file__).parents[1] / "web"
"""Styles and scripts of pages; uPlot (MIT, github.com/leeoniya/uPlot) draws the charts."""


_SHOWN_WIDTH = 480


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, its heading, HTML, and the charts that follow it."""

    id: str
    title: str
    html: str
    charts: Sequence[Chart] = field(default_factory=tuple)


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Return a page of ``sections`` with its styles, scripts and data inside."""
    charts = [chart.as_json() for section in sections for chart in section.charts]
    # In a script nothing is escaped; what would end it must not stand there.
    data = json.dumps(charts, separators=(",", ":")).replace("<", "\\u003c")
    links = "".join(f'<a href="#{section.id}">{html.escape(section.title)}</a>' for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>{web("uPlot.min.css")}{web("page.css")}</style>
</head>
<body>
<header><div><h1>{html.escape(title)}</h1><p>{html.escape(subtitle)}</p></div>
<button id="theme" aria-label="light or dark">◐</button></header>
<nav>{links}</nav>
<main>{"".join(map(_section, sections))}</main>
<dialog id="large"><img alt=""><p></p></dialog>
<script>{web("uPlot.iife.min.js")}</script>
<script id="charts" type="application/json">{data}</script>
<script>{web("theme.js")}{web("charts.js")}{web("report.js")}</script>
</body>
</html>
"""


def _section(section: Section) -> str:
    charts = "".join(
        f'<figure class="chart" id="{html.escape(chart.id)}"><figcaption><b>{html.escape(chart.title)}</b>'
        f"{f' [{html.escape(chart.unit)}]' if chart.unit else ''}"
        f'</figcaption><div class="plot"></div><div class="note">{html.escape(chart.note)}</div></figure>'
        for chart in section.charts
    )
    body = f'{section.html}<div class="charts">{charts}</div>' if charts else section.html
    return f'<section id="{section.id}"><h2>{html.escape(section.title)}</h2>{body}</section>'


@functools.cache
def web(name: str) -> str:
    """Return a file of WEB."""
    return (WEB / name).read_text(encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, words: bool = False) -> str:
    """Return an HTML table; the first column is text, the others are figures, or ``words``, too."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>" for row in rows)
    kind = ' class="words"' if words else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return cards of a label, a figure and a note."""
    parts = (
        f'<div class="card"><div class="label">{html.escape(label)}</div>'
        f'<div class="figure">{html.escape(figure)}</div><div class="note">{html.escape(note)}</div></div>'
        for label, figure, note in entries
    )
    return f'<div class="cards">{"".join(parts)}</div>'


def finding_list(found: Iterable[tuple[str, str]]) -> str:
    """Return sentences as a list, each with its tone."""
    words = {"good": "good", "note": "note", "bad": "check"}
    items = (
        f'<li class="{tone}"><span class="tone">{words[tone]}</span><span>{html.escape(text)}</span></li>'
        for tone, text in found
    )
    return f'<ul class="findings">{"".join(items)}</ul>'


def shots(images: Mapping[str, Image], what: str) -> str:
    """Return pictures of a frame side by side, by what each is called; a click shows one large."""
    figures = "".join(
        f'<figure><button class="shot" aria-label="enlarge {html.escape(name)}, {html.escape(what)}">'
        f'<img alt="{html.escape(name)}, {html.escape(what)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(jpeg(narrowed(image, _SHOWN_WIDTH), 80)).decode()}"></button>'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, image in images.items()
    )
    return f'<div class="shots">{figures}</div>'


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """Return a figure in words, a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}{unit}"


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
