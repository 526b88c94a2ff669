"""The section of a report that says what the images are good for: to a detector, to a tracker, and to odometry."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from ....images.frames import VISIBLE
from ..charts import Array, Chart, Series, points
from ..lumas import FUSED, IMAGES
from ..markup import Section, number, paragraph, shots, table
from ..reading import Result, read_panes
from ..tables import read_table
from .findings import again_shares, in_common
from .found import FoundObjects, drawn
from .objects import BOTH
from .tracks import OBJECTS, Followed


def downstream_section(result: Result) -> Section | None:
    """Return the section; None where nothing of it was measured."""
    parts = [part for part in (_features(result), _poses(result), _objects(result), _tracks(result)) if part]
    charts = [chart for _, of_part in parts for chart in of_part]
    body = "".join(body for body, _ in parts)
    return Section("downstream", "For detectors and SLAM", body, charts) if parts else None


def _length(result: Result) -> float:
    return (result.end_ns - result.start_ns) / 1e9


def _over_time(result: Result, id: str, title: str, unit: str, columns: Mapping[str, Array]) -> Chart:
    times = result.seconds(result.recorded)[result.measured]
    x, series = points(times, list(columns.items()), _length(result))
    return Chart(id, title, unit, x, series, low=0.0)


def _features(result: Result) -> tuple[str, list[Chart]] | None:
    if result.mean(f"inliers.{FUSED}") is None:
        return None
    kinds = ("corners", "matches", "inliers")
    rows = [[name, *(number(result.mean(f"{kind}.{name}"), 0) for kind in kinds)] for name in IMAGES]
    body = "<h3>Features</h3>" + paragraph(
        "ORB corners, at most 500 an image, how many of them match one in the next frame, and how many lie there where "
        "one homography puts them, within 3 pixels: what visual odometry and SLAM live on."
    )
    body += table(("image", "corners", "matched", "found again"), rows)
    columns = {name: result.measures[f"inliers.{name}"] for name in IMAGES}
    return body, [_over_time(result, "inliers", "Corners found again", "per frame", columns)]


def _poses(result: Result) -> tuple[str, list[Chart]] | None:
    if result.mean(f"pose_inliers.{FUSED}") is None:
        return None
    rows = []
    steps, turns = in_common(result, "turn_step"), in_common(result, "turn")
    for name in IMAGES:
        inliers = result.measures[f"pose_inliers.{name}"]
        parallax = result.measures[f"parallax.{name}"]
        known = np.isfinite(inliers)
        rows.append(
            [
                name, f"{100 * np.mean(inliers[known] > 0):.0f} %", f"{inliers[known].mean():.0f}",
                f"{100 * np.mean(parallax[known] == 1):.0f} %", number(turns.get(name), 3), number(steps.get(name), 3),
            ]
        )  # fmt: skip
    body = "<h3>Motion of the camera</h3>" + paragraph(
        "What the matches tell of the camera's motion since the frame before, by its camera_info. An "
        "essential matrix is taken where it explains more than a homography, within 3 pixels: there is parallax, and "
        "the direction of the translation is in frames.csv. Else the homography wins: the camera stands or turns, or "
        "all is far, and the turn alone is told, or all is flat, and nothing is. The step is by how many degrees two "
        "turns in a row differ: little where a camera moves smoothly. Means of turn and step are over the frames in "
        "which all three images tell them."
    )
    body += table(("image", "told in", "agreeing", "with parallax", "turn, deg", "step, deg"), rows)
    charts = [
        _over_time(result, f"pose-{kind}", title, unit, {name: result.measures[f"{kind}.{name}"] for name in IMAGES})
        for kind, title, unit in (
            ("pose_inliers", "Corners that agree on one motion", "per frame"),
            ("turn", "Turn of the camera", "deg per frame"),
        )
    ]
    return body, charts


def _objects(result: Result) -> tuple[str, list[Chart]] | None:
    if "objects.visible_kept" not in result.measures:
        return None
    sums = {key: float(np.nansum(values)) for key, values in result.measures.items()}
    body = "<h3>Objects</h3>" + paragraph(
        f"What {result.asked['detector']} finds on {len(result.measured)} frames. An object counts that is sure "
        "(0.5 or more) where it is sought; it is shown by another image where it is found (0.3 or more) with an "
        "IoU of 0.5."
    )
    again = again_shares(result)
    rows = [[name, f"{sums[f'objects.{name}']:.0f}", number(again.get(name), 2)] for name in IMAGES]
    body += table(
        ("image", "objects", "again in the next frame"), [*rows, ["both sources", f"{sums['objects.both']:.0f}", "–"]]
    )
    kept, lost = sums["objects.visible_kept"], sums["objects.visible_lost"]
    alone, gained = sums["objects.thermal_alone"], sums["objects.gained"]
    body += table(
        ("objects", "in all", "shown by fused", "not shown"),
        [["that visible shows", f"{kept + lost:.0f}", f"{kept:.0f}", f"{lost:.0f}"],
         ["that thermal alone shows", f"{alone:.0f}", f"{gained:.0f}", f"{alone - gained:.0f}"],
         ["that fused alone shows", f"{sums['objects.fused_alone']:.0f}", "–", "–"]],
    )  # fmt: skip
    columns = {name: result.measures[f"objects.{name}"] for name in IMAGES}
    return body, [_over_time(result, "objects", "Objects", "per frame", columns)]


def _tracks(result: Result) -> tuple[str, list[Chart]] | None:
    followed = result.followed
    if followed is None:
        return None
    body = "<h3>Objects over time</h3>" + paragraph(
        f"Objects followed through {len(followed.frames)} frames by the overlap of their boxes; a gap of up to half a "
        "second is bridged. A track is found in three frames or more, and surely in one. Shown is, of what can be "
        "followed in both sources together, from the first to the last sighting, what an image shows by itself; it "
        "breaks off where the image loses an object and finds it again."
    )
    rows = []
    for name in (*IMAGES, BOTH):
        known = followed.tracks[name] > 0
        shown = [f"{100 * followed.share(name):.0f} %", followed.breaks[name]] if name in IMAGES else ["–", "–"]
        rows.append(
            ["both sources" if name == BOTH else name, followed.tracks[name],
             f"{followed.lengths_s[name]:.2f} s" if known else "–", followed.gaps[name], *shown]
        )  # fmt: skip
    body += table(("image", "tracks", "mean length", "gaps bridged", "shown", "breaks off"), rows)
    body += table(
        ("of what can be followed", "share"),
        [[text, f"{100 * followed.share(name):.1f} %"] for name, text in _ALONE.items()],
    )
    return body + _telling_frames(result, followed), _followed_charts(result, followed)


_ALONE = {
    "fused_alone": "visible misses and fused shows",
    "visible_alone": "fused misses and visible shows",
    "none": "no image shows, in a gap",
}


def _telling_frames(result: Result, followed: Followed) -> str:
    """Return the frame in which fused shows most that visible misses, and the reverse, with what was found."""
    found = FoundObjects(result.path / OBJECTS)
    rows = []
    for key, title in (
        ("fused_alone", "Most that visible misses and fused shows"),
        ("visible_alone", "Most that fused misses and visible shows"),
    ):
        counts = followed.shown[key]
        if not counts.any():
            continue
        place = int(counts.argmax())
        frame = int(followed.frames[place])
        row = next(itertools.islice(read_table(result.path / "frames.csv"), frame, None))
        size, boxes = (int(row["width"]), int(row["height"])), found.of(frame)
        panes = read_panes(result.path, frame, int(result.asked["part"]))
        pictures = {name: drawn(image, boxes.get(name, ()), size) for name, image in panes.items()}
        seconds = float(result.seconds(result.recorded)[frame])
        heading = f"frame {frame}, {seconds:.2f} s from the start; {counts[place]} of {followed.objects[place]}"
        rows.append(f'<h3>{title}<span class="aside">{heading}</span></h3>{shots(pictures, title.lower())}')
    return "".join(rows)


def _followed_charts(result: Result, followed: Followed) -> list[Chart]:
    """Return how many objects are followed and shown over time; a line that is of no image has the colour "four"."""
    times, shown = result.seconds(result.recorded)[followed.frames], followed.shown
    charts = []
    for id, title, lines in (
        ("followed", "Followed objects", {"in both": (followed.objects, "four")} | {n: (shown[n], n) for n in IMAGES}),
        (
            "alone",
            "Followed objects that one alone shows",
            {
                "fused, not visible": (shown["fused_alone"], FUSED),
                "visible, not fused": (shown["visible_alone"], VISIBLE),
            },
        ),
    ):
        columns = [(name, values.astype(np.float64)) for name, (values, _) in lines.items()]
        x, series = points(times, columns, _length(result))
        colored = [Series(one.name, one.values, lines[one.name][1]) for one in series]
        charts.append(Chart(id, title, "per frame", x, colored, low=0.0))
    return charts
