"""The Markdown report of an evaluation: two tables, methods as they are and stretched alike, each in order of rank."""

from __future__ import annotations

from collections.abc import Mapping

from ..metrics.fusion import FUSION_KEYS, LESS_IS_BETTER
from ..metrics.ranking import RANKED_KEYS, mean_rank
from .evaluation import STRETCHED

Means = Mapping[str, Mapping[str, float]]
"""{method: {key: mean over images}}"""

_DECIMALS = {"SD": 2, "PSNR": 2, "Nabf": 4}

_NOTE = (
    "Mean rank is over {ranked}; ↑ more is better, ↓ less. The other columns are for reading along: EN, SD, SF and AG "
    "rise with noise and with stretching, CC and PSNR favour plain averaging. A min-max stretch alone lifts MI, VIFp "
    "and Qabf, so compare stretched methods with each other."
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
    lines += [_NOTE.format(ranked=", ".join(RANKED_KEYS)), ""]
    return "\n".join(lines)


def table(means: Means) -> list[str]:
    """Return the lines of a Markdown table, methods by mean rank, the best value of each ranked measure in bold."""
    ranks = mean_rank(means)
    keys = (*RANKED_KEYS, *(key for key in FUSION_KEYS if key not in RANKED_KEYS))
    heads = [f"{key} {'↓' if key in LESS_IS_BETTER else '↑'}" if key in RANKED_KEYS else key for key in keys]
    lines = [f"| method | rank | {' | '.join(heads)} |", "|---|" + "---:|" * (len(keys) + 1)]
    for method in sorted(means, key=lambda name: ranks[name]):
        cells = []
        for key in keys:
            text = f"{means[method][key]:.{_DECIMALS.get(key, 3)}f}"
            column = [row[key] for row in means.values()]
            best = min(column) if key in LESS_IS_BETTER else max(column)
            cells.append(f"**{text}**" if key in RANKED_KEYS and means[method][key] == best else text)
        lines.append(f"| {method} | {ranks[method]:.2f} | {' | '.join(cells)} |")
    return lines
