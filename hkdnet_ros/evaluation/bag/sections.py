"""The sections of a report on one recording: tables, charts and pictures, each with what it means."""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping

import numpy as np

from ...images.frames import THERMAL, VISIBLE
from ...perception.misalignment import CERTAIN
from .charts import BARS, FEWEST, Chart, Series, bins, color, counts, middles, per_span, points
from .downstream.section import downstream_section
from .findings import alignment, findings, offset_of, pace, ranked_frames
from .lumas import FUSED, IMAGES
from .markup import Section, cards, duration, finding_list, number, paragraph, shots, table
from .measures import FLICKER_KEYS, METHODS, QUALITY_KEYS
from .reading import Result, drop_counts, read_panes

_SKEW_BARS = 41
_STAGES = 6


def sections(result: Result) -> list[Section]:
    """Return all sections of a result, in order."""
    parts = [_summary(result), _frames(result), _input(result), _pairs(result), _latency(result), _quality(result)]
    parts += [_alignment(result), downstream_section(result), _run(result)]
    return [part for part in parts if part is not None]


def _length(result: Result) -> float:
    return (result.end_ns - result.start_ns) / 1e9


def _summary(result: Result) -> Section:
    drops = sum(drop_counts(result).values())
    paces = {stream: pace(result, stream) for stream in (THERMAL, VISIBLE)}
    rates = " and ".join(f"{own.rate:.1f}" if own else "–" for own in paces.values())
    skews = np.abs(result.skews[np.isfinite(result.skews)]) / 1e6
    quality = [(key, result.mean(f"{key}.{FUSED}"), result.mean(f"{key}.average")) for key in ("Qabf", "VIFp")]
    skew = f"{np.percentile(skews, 50):.1f} ms" if len(skews) else "–"
    entries = [
        ("recording", duration(_length(result)), f"thermal and visible at {rates} Hz"),
        ("fused", f"{len(result.stamps)}", "frames, of every pair"),
        ("dropped", f"{drops}", "images and pairs, with their reasons below"),
        ("skew", skew, f"half of the pairs; 95 % within {np.percentile(skews, 95):.1f} ms" if len(skews) else ""),
    ]
    for key, ours, theirs in quality:
        if ours is not None:
            entries.append((key, number(ours), f"average of the inputs: {number(theirs)}"))
    found = [(finding.tone, finding.text) for finding in findings(result)]
    return Section("summary", "In short", cards(entries) + finding_list(found))


def _frames(result: Result) -> Section | None:
    chosen = ranked_frames(result)
    if not chosen:
        return None
    keys = [key for key in QUALITY_KEYS if f"{key}.{FUSED}" in result.measures]
    rows = []
    for name, frame in chosen.items():
        place = int(np.searchsorted(result.measured, frame))
        measured = ", ".join(f"{key} {result.measures[f'{key}.{FUSED}'][place]:.3f}" for key in keys)
        seconds = float(result.seconds(result.recorded)[frame])
        panes = read_panes(result.path, frame, int(result.asked["part"]))
        pictures = shots(panes, f"the {name} frame")
        rows.append(
            f'<h3>{name.capitalize()}<span class="aside">frame {frame}, {seconds:.2f} s from the start; {measured}'
            f"</span></h3>{pictures}"
        )
    text = "Measured frames by the mean rank of the fused image over all measures. Thermal is shown as it was fused."
    return Section("frames", "Best, median and worst", paragraph(text) + "".join(rows))


def _input(result: Result) -> Section:
    length = _length(result)
    rows = []
    for stream in (THERMAL, VISIBLE):
        own = pace(result, stream)
        if own is None:
            rows.append([stream, len(result.streams[stream].stamps), *["–"] * 5])
            continue
        rows.append(
            [
                stream, own.count, f"{own.rate:.2f} Hz", f"± {own.jitter_s * 1e3:.1f} ms", own.gaps,
                f"{own.longest_s:.3f} s", own.out_of_order,
            ]
        )  # fmt: skip
    heads = ("stream", "images", "rate", "jitter (p95)", "gaps", "longest interval", "not rising")
    contents = result.found.get("contents") or []
    inside = table(("topic", "type", "messages"), contents, words=True) if contents else ""
    edges = bins(length, 1.0)
    rates = [
        Series(stream, counts(result.seconds(result.streams[stream].arrived), edges, per_second=True), stream)
        for stream in (THERMAL, VISIBLE)
    ]
    rates.append(Series(FUSED, counts(result.seconds(result.recorded), edges, per_second=True), FUSED))
    charts = [Chart("rates", "Rate", "Hz", middles(edges), rates, low=0.0)]
    intervals = []
    for stream in (THERMAL, VISIBLE):
        images = result.streams[stream]
        is_set = images.stamps > 0
        steps = np.diff(images.stamps[is_set]) / 1e6
        times = result.seconds(images.arrived[is_set])[1:]
        intervals.append(Series(stream, per_span(times, steps, edges, percentile=100), stream))
    note = "The longest time from one stamp to the next, in each span; below zero where stamps go back."
    charts.append(Chart("intervals", "Longest interval", "ms", middles(edges), intervals, note=note))
    text = "What arrived, by the stamps that images bear. A gap is an interval of more than 1.5 usual ones."
    return Section("input", "What the recording holds", inside + paragraph(text) + table(heads, rows), charts)


def _pairs(result: Result) -> Section:
    length = _length(result)
    charts = []
    skews = result.skews[np.isfinite(result.skews)] / 1e6
    body = ""
    if len(skews):
        reach = max(float(np.abs(skews).max()), 0.5)
        edges = np.linspace(-reach, reach, _SKEW_BARS + 1)
        found, _ = np.histogram(skews, edges)
        labels = [f"{low:.1f} to {high:.1f} ms" for low, high in itertools.pairwise(edges)]
        x = [round(float(value), 3) for value in (edges[1:] + edges[:-1]) / 2]
        bars = Series("pairs", [float(count) for count in found], "fused")
        note = "Thermal minus visible stamp, in ms, with the offsets that were set."
        charts.append(
            Chart(
                "skews", "Skew of pairs", "pairs", x, [bars], kind=BARS, note=note, axis="skew", labels=labels, low=0.0
            )
        )
        edges = bins(length, FEWEST * length / len(result.skews))
        recorded = result.seconds(result.recorded)
        over_time = [
            Series(f"p{percentile}", per_span(recorded, np.abs(result.skews) / 1e6, edges, percentile), name)
            for percentile, name in ((50, "one"), (95, "two"))
        ]
        note = "How far apart the two images of a pair are, either way."
        charts.append(Chart("skew", "Skew over time", "ms", middles(edges), over_time, note=note, low=0.0))
    offset = offset_of(result)
    if offset is not None:
        body += table(
            ("clocks", "offset", "95 % of resamples", "windows that agree"),
            [["thermal minus visible", f"{offset.offset_s * 1e3:+.1f} ms",
              f"{offset.low_s * 1e3:+.1f} to {offset.high_s * 1e3:+.1f} ms",
              f"{offset.windows} of {offset.windows_in_all}"]],
        )  # fmt: skip
    drift = result.found.get("drift_ppm")
    if drift is not None:
        body += paragraph(f"The thermal camera's clock runs {drift:+.1f} us per s against the visible one's.")
    edges = bins(length, 1.0)
    unit = f"in {edges[1]:.3g} s"
    times_of = {
        mode: result.seconds(result.recorded[result.mode_of == place]) for place, mode in enumerate(result.modes)
    }
    fused = [Series(mode, counts(at, edges), color(mode, place)) for place, (mode, at) in enumerate(times_of.items())]
    charts.append(Chart("frames-by-mode", "Frames by mode", unit, middles(edges), fused, low=0.0))
    drops = drop_counts(result)
    if drops:
        body += table(("dropped", "count"), [[reason, count] for reason, count in drops.most_common()])
        times = {reason: [] for reason in drops}  # type: dict[str, list[int]]
        for arrived_ns, reason in result.drops:
            times[reason].append(arrived_ns)
        series = [
            Series(reason, counts(result.seconds(np.array(times[reason], np.int64)), edges), color("", place))
            for place, (reason, _) in enumerate(drops.most_common(6))
        ]
        charts.append(Chart("drops", "Drops", unit, middles(edges), series, low=0.0))
    return Section("pairs", "Pairs, drops and modes", _modes(result, length) + body, charts)


def _modes(result: Result, length: float) -> str:
    """Return the modes over time as a strip, and the changes as a table."""
    spans = []
    begun, mode = 0.0, "fused"
    for arrived_ns, changed, _ in [*result.changes, (result.end_ns, "", "")]:
        end = float(np.clip((arrived_ns - result.start_ns) / 1e9, 0, length))
        if end > begun:
            spans.append((begun, end, mode))
        begun, mode = end, changed
    pieces = "".join(
        f'<span class="mode-{html.escape(mode)}" style="flex-grow:{end - begun:.3f}" '
        f'title="{html.escape(mode)}, {begun:.1f} to {end:.1f} s"></span>'
        for begun, end, mode in spans
    )
    legend = "".join(
        f'<span><i class="mode-{html.escape(mode)}"></i>{html.escape(mode)}</span>'
        for mode in dict.fromkeys(mode for _, _, mode in spans)
    )
    strip = f'<h3>Modes</h3><div class="modes">{pieces}</div><div class="legend">{legend}</div>'
    if result.changes:
        rows = [[f"{(at - result.start_ns) / 1e9:.2f} s", mode, cause] for at, mode, cause in result.changes[:50]]
        strip += table(("from", "mode", "because"), rows, words=True)
    return strip


def _latency(result: Result) -> Section | None:
    stages = {name: values for name, values in result.timings.items() if np.isfinite(values).any()}
    if not stages:
        return None
    total = np.nansum(np.stack([values for name, values in stages.items() if name != "queue"]), axis=0)
    rows = []
    for name, values in (*stages.items(), ("all but the queue", total)):
        p50, p95, most = np.nanpercentile(values, (50, 95, 100))
        rows.append([name, f"{p50:.2f}", f"{p95:.2f}", f"{most:.2f}"])
    times = result.seconds(result.recorded)[: len(total)]
    edges = bins(_length(result), FEWEST * _length(result) / len(total))
    series = [
        Series(f"p{percentile}", per_span(times, total, edges, percentile), name)
        for percentile, name in ((50, "one"), (95, "two"))
    ]
    found = result.found
    own = found["engine_frames"] / found["engine_s"] if found["engine_s"] else 0.0
    whole = found["engine_frames"] / found["seconds"] if found["seconds"] else 0.0
    text = (
        "Measured on the machine that evaluated, where decoding, measuring and writing went on beside; a robot's own "
        f"are in its status. {found['engine_frames']} frames took {duration(found['seconds'])}, {whole:.2f} per "
        f"second; the network alone gave {own:.2f} per second."
        + (f" An earlier go had done {found['begun_at']} frames." if found["begun_at"] else "")
    )
    largest = sorted(stages, key=lambda name: -float(np.nanmedian(stages[name])))[:_STAGES]
    by_stage = [
        Series(name, per_span(times, stages[name][: len(times)], edges, 50), color("", place))
        for place, name in enumerate(largest)
    ]
    per_frame = Chart("latency", "Time per frame", "ms", middles(edges), series, low=0.0)
    note = f"The median of each of the {len(largest)} longest."
    per_stage = Chart("stages", "Time by stage", "ms", middles(edges), by_stage, note=note, low=0.0)
    return Section("latency", "Time by stage", paragraph(text) + table(("stage", "p50 ms", "p95 ms", "most ms"), rows),
                   [per_frame, per_stage])  # fmt: skip


def _quality(result: Result) -> Section | None:
    keys = [key for key in QUALITY_KEYS if result.mean(f"{key}.{FUSED}") is not None]
    if not keys:
        return None
    rows = [[method, *(number(result.mean(f"{key}.{method}")) for key in keys)] for method in METHODS]
    every = result.asked["every"]
    text = (
        f"Means over {len(result.measured)} frames, one in {every}, against both inputs: more is better. MI: shared "
        "information; VIFp: visual fidelity; Qabf: edges carried over; SSIM: structure. average and laplacian are what "
        "needs no network: the mean of the inputs, and a Laplacian pyramid."
    )
    body = paragraph(text) + table(("image", *keys), rows)
    times = result.seconds(result.recorded)[result.measured]
    length = _length(result)
    charts = []
    for key in keys:
        columns = [(method, result.measures[f"{key}.{method}"]) for method in METHODS]
        x, series = points(times, columns, length)
        charts.append(Chart(f"quality-{key}", key, "", x, series))
    levels = [[name, *(number(result.mean(f"{key}.{name}")) for key in FLICKER_KEYS)] for name in IMAGES]
    if result.mean(f"flicker.{FUSED}") is not None:
        body += "<h3>Flicker</h3>" + paragraph(
            "What a frame changes and the next takes back, in gray levels of 255: less is better. still: where nothing "
            "moves; unexplained: change of the fused image that weighing the inputs cannot give."
        )
        body += table(("image", *FLICKER_KEYS), levels)
        x, series = points(times, [(name, result.measures[f"flicker.{name}"]) for name in IMAGES], length)
        charts.append(Chart("flicker", "Flicker", "gray levels", x, series, low=0.0))
    return Section("quality", "Quality and flicker", body, charts)


def _alignment(result: Result) -> Section | None:
    apart = alignment(result)
    if apart is None:
        return None
    times = result.seconds(result.recorded)[result.measured]
    certain = result.measures["shift_certainty"] >= CERTAIN
    columns = [(f"{axis}", np.where(certain, result.measures[f"shift_{axis}"], np.nan)) for axis in "xy"]
    x, series = points(times, columns, _length(result))
    text = (
        f"The edges of thermal fit those of the visible image best when moved by ({apart.x:+.2f}, {apart.y:+.2f}) "
        f"pixels (median of {apart.certain} of {apart.measured} measured frames, 90 % within {apart.spread:.2f} pixels "
        "of that). Up to about one pixel is as good as it can be told: heat and light have other edges."
    )
    chart = Chart("shift", "Shift of thermal", "px", x, series)
    return Section("alignment", "Registration", paragraph(text), [chart])


def _run(result: Result) -> Section:
    asked, found = result.asked, result.found
    facts: Mapping[str, object] = {
        "recording": f"{asked['source']} ({asked['recording']['bytes'] / 1e6:.1f} MB)",
        "network": "; ".join(f"{name}, {where}" for name, where in found["runs_on"].items()) or "none was needed",
        "weights": asked["weights"] or "those of the package",
        "calibration": found["calibration"],
        "hkdnet_ros": asked["hkdnet_ros"],
        "versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        "machine": found["machine"],
        "measured": f"one frame in {asked['every']}",
        "video": f"side_by_side.mp4, {found['video']}" if found["video"] else "not written",
        "Parquet": "frames.parquet" if found["has_parquet"] else "not written: pyarrow is not installed",
    }
    defaults = asked["defaults"]
    parameters = sorted(asked["parameters"].items(), key=lambda item: item[1] == defaults[item[0]])
    rows = [[name, _shown(value), "" if value == defaults[name] else "changed"] for name, value in parameters]
    log = [[f"{(at - result.start_ns) / 1e9:.2f} s", severity, line] for at, severity, line in result.log[:200]]
    body = table(("what", ""), facts.items())
    if log:
        body += f"<details><summary>What the core logged ({len(result.log)} lines)</summary>"
        body += table(("at", "", "line"), log) + "</details>"
    changed = sum(value != defaults[name] for name, value in parameters)
    body += f"<details><summary>Parameters ({changed} changed of {len(rows)})</summary>"
    body += table(("parameter", "value", ""), rows) + "</details>"
    return Section("run", "How it was made", body)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
