"""The Markdown report of an evaluation: methods in order of rank, and videos with their flicker beside the sources'."""

from __future__ import annotations

from collections.abc import Mapping

from ..images.frames import THERMAL, VISIBLE
from ..metrics.fidelity import FIDELITY_KEYS
from ..metrics.flicker import FLICKER_KEYS
from ..metrics.fusion import FUSION_KEYS, LESS_IS_BETTER
from ..metrics.ranking import RANKED_KEYS, mean_rank
from ..metrics.target import TARGET_KEYS
from .measurements import ENLARGED, STRETCHED

Means = Mapping[str, Mapping[str, float]]
"""{method: {key: mean over images}}"""

_DECIMALS = {"SD": 2, "PSNR": 2, "Nabf": 4, "SR_PSNR": 2}

_RELATED_KEYS = ("flicker", "still")
"""The measures of flicker that are set in relation to the sources'."""

_NOTE = (
    "Mean rank is over {ranked}; ↑ more is better, ↓ less. The other columns are for reading along: EN, SD, SF and AG "
    "rise with noise and with stretching, CC and PSNR favour plain averaging. A min-max stretch alone lifts MI, VIFp "
    "and Qabf, so compare stretched methods with each other."
)
_FIDELITY_NOTE = (
    "SR_PSNR (dB) and SR_SSIM compare with what the teacher makes of the pair at full size. They are not ranked: they "
    "tell how much of the teacher's image comes back, and only a student of this teacher was to bring it back."
)
_FLICKER_NOTE = (
    "Means over pixels and frames in gray levels of 255, at the size of the fused image. Flicker is the part of a "
    "frame-to-frame change that the next frame takes back, the same measure for sources and fused images; still is "
    "flicker where no input moves; unexplained is change outside of what weighing the inputs can give; brightness is "
    "the change of the frame's mean; change is all of it, motion included. {columns}: the measure before, over that of "
    "the more flickering {names}; 1.00 or less says that the fused video flickers no more than its flickering source "
    "does."
)

_PEOPLE_NOTE = (
    "Means over people. Contrast is the person's mean level minus that of the surroundings, in gray levels of 255, "
    "below 0 where the person is darker. SCR, the signal-to-clutter ratio, is its magnitude over the standard deviation"
    " of the surroundings; distinct is the share of people for whom that is 1 or more."
)

_DETECTION_NOTES = {
    "Kept": "Of the objects found in the visible image, the share that is found in each image.",
    "Gained": "Of the objects found in thermal and not in the visible image, the share that is found in each image.",
    "Labelled": "Of the labelled objects, the share that is found in each image; precision is the share of what is "
    "found that is labelled.",
}
_DETECTION_NOTE = (
    "An object is found where a box of its class covers it by an IoU of 0.5 or more, one to one. Behind a kind stands "
    "how many objects are of it; small, medium and large are COCO's, with limits at 32x32 and 96x96 pixels. thermal "
    "and visible are the sources at full size; a detector also finds what is not there, so that their shares tell what "
    "to expect of each alone."
)


def report(title: str, facts: Mapping[str, str], measured: Means, peers: Means) -> str:
    """Return the report: ``facts`` as a list, then the tables.

    The first table holds the ``measured`` methods as they are and every one of ``peers`` (published values) not
    measured so; the second all the stretched ones.
    """
    as_is = {method: row for method, row in measured.items() if not method.endswith(STRETCHED)}
    others = {method: row for method, row in peers.items() if method not in as_is}
    stretched = {method: row for method, row in {**peers, **measured}.items() if method.endswith(STRETCHED)}
    lines = [f"# {title}", "", *(f"- {name}: {text}" for name, text in facts.items()), ""]
    lines += ["## As they are", "", *table({**as_is, **others}), ""]
    lines += ["## Stretched alike", "", *table(stretched), ""]
    lines += [_NOTE.format(ranked=", ".join(_ranked(as_is))), ""]
    if any(key in row for row in measured.values() for key in FIDELITY_KEYS):
        lines += [_FIDELITY_NOTE, ""]
    return "\n".join(lines)


def video_report(title: str, facts: Mapping[str, str], means: Means) -> str:
    """Return the report on a clip: ``facts``, the table of flicker, and the one of quality where it was measured."""
    columns = " and ".join(f"/ {source}" for source in _flickering_sources(means))
    names = "recorded or enlarged source" if THERMAL in means else "enlarged source"
    lines = [f"# {title}", "", *(f"- {name}: {text}" for name, text in facts.items()), ""]
    lines += ["## Flicker", "", *flicker_table(means), "", _FLICKER_NOTE.format(columns=columns, names=names), ""]
    measured = {method: row for method, row in means.items() if FUSION_KEYS[0] in row}
    if measured:
        lines += ["## Quality", "", *table(measured), "", _NOTE.format(ranked=", ".join(_ranked(measured))), ""]
    return "\n".join(lines)


def people_report(title: str, facts: Mapping[str, str], everybody: Means, bright: Means, bright_count: int) -> str:
    """Return the report on how people stand out: all, and the ``bright_count`` in front of bright ground."""
    lines = [f"# {title}", "", *(f"- {name}: {text}" for name, text in facts.items()), ""]
    for heading, means in (("Everybody", everybody), (f"In front of bright ground ({bright_count})", bright)):
        lines += [f"## {heading}", "", f"| image | {' | '.join(TARGET_KEYS)} |", "|---|" + "---:|" * len(TARGET_KEYS)]
        for name, row in means.items():
            lines.append(f"| {name} | {row['contrast']:.1f} | {row['SCR']:.2f} | {row['distinct']:.2f} |")
        lines.append("")
    return "\n".join([*lines, _PEOPLE_NOTE, ""])


def detection_report(
    title: str, facts: Mapping[str, str], tables: Mapping[str, Mapping[str, tuple[int, Mapping[str, float]]]],
    found: Mapping[str, int],
) -> str:  # fmt: skip
    """Return the report on objects: for each of ``tables`` the share found in each image, by kind of object.

    A table is {kind: (number of objects, {image: share})}, under Kept, Gained or Labelled; the first kind is all of
    them. ``found`` says how many objects were found in each image, right or wrong.
    """
    lines = [f"# {title}", "", *(f"- {name}: {text}" for name, text in facts.items()), ""]
    for heading, kinds in tables.items():
        lines += [f"## {heading}", ""]
        if not kinds:
            lines += ["There are none.", ""]
            continue
        heads = ["image", *(f"{kind} ({count})" for kind, (count, _) in kinds.items()), "found"]
        heads += ["precision"] if heading == "Labelled" else []
        lines += [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
        for name, number in found.items():
            cells = [f"{row[name]:.2f}" for _, row in kinds.values()] + [str(number)]
            if heading == "Labelled":
                count, row = kinds["all"]
                cells.append(f"{row[name] * count / number:.2f}" if number else "–")
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines += ["", _DETECTION_NOTES[heading], ""]
    return "\n".join([*lines, _DETECTION_NOTE, ""])


def flicker_table(means: Means) -> list[str]:
    """Return the lines of a Markdown table of :data:`FLICKER_KEYS`, streams in their order."""
    sources = _flickering_sources(means)
    heads = ["stream"]
    for key in FLICKER_KEYS:
        heads += [f"{key} ↓", *(f"/ {source}" for source in sources)] if key in _RELATED_KEYS else [key]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for stream, row in means.items():
        cells = []
        for key in FLICKER_KEYS:
            value = row.get(key)
            cells.append("–" if value is None else f"{value:.3f}")
            for base in (means[source].get(key) for source in sources if key in _RELATED_KEYS):
                cells.append("–" if value is None or not base else f"{value / base:.2f}")
        lines.append(f"| {stream} | {' | '.join(cells)} |")
    return lines


def _flickering_sources(means: Means) -> list[str]:
    """Return which source flickers more, of those as recorded where they were measured, and of those enlarged."""
    pairs = [[prefix + stream for stream in (THERMAL, VISIBLE)] for prefix in ("", ENLARGED)]
    return [max(pair, key=lambda source: means[source]["flicker"]) for pair in pairs if pair[0] in means]


def _ranked(means: Means) -> tuple[str, ...]:
    """Return the ranked measures that all methods have: small images lack some."""
    return tuple(key for key in RANKED_KEYS if all(key in row for row in means.values()))


def table(means: Means) -> list[str]:
    """Return the lines of a Markdown table, methods by mean rank, the best value of each ranked measure in bold."""
    ranked = _ranked(means)
    ranks = mean_rank(means, ranked)
    keys = (*ranked, *(key for key in FUSION_KEYS if key not in RANKED_KEYS))
    keys += tuple(key for key in FIDELITY_KEYS if any(key in row for row in means.values()))
    heads = [f"{key} {'↓' if key in LESS_IS_BETTER else '↑'}" if key in ranked else key for key in keys]
    lines = [f"| method | rank | {' | '.join(heads)} |", "|---|" + "---:|" * (len(keys) + 1)]
    for method in sorted(means, key=lambda name: ranks[name]):
        cells = []
        for key in keys:
            if key not in means[method]:  # a published method's fidelity to the teacher
                cells.append("–")
                continue
            text = f"{means[method][key]:.{_DECIMALS.get(key, 3)}f}"
            if key in ranked:
                column = [row[key] for row in means.values()]
                best = min(column) if key in LESS_IS_BETTER else max(column)
                text = f"**{text}**" if means[method][key] == best else text
            cells.append(text)
        lines.append(f"| {method} | {ranks[method]:.2f} | {' | '.join(cells)} |")
    return lines
