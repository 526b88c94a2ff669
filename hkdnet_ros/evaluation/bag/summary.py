"""What a page over many results shows of each: told once, by whoever evaluated it, since the tables may be long."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import SourceError
from ...files import written_whole
from ...images.frames import THERMAL, VISIBLE
from .finding import BAD
from .findings import alignment, findings
from .lumas import FUSED
from .reading import Result, drop_counts, read_result

NAME = "summary.json"


@dataclass(frozen=True, slots=True)
class Summary:
    """One result in few figures; None where there is none.

    ``to_check`` are the findings that are bad. ``skew_p95`` is in ms, ``shift`` in pixels of the output, ``flicker``
    that of the fused image over that of the source that flickers more. ``seconds`` it took on ``host``, the network
    ``engine_seconds`` of them, for ``done`` frames: fewer than ``frames`` where an earlier go had done some.
    """

    title: str
    length_s: float
    frames: int
    drops: Mapping[str, int]
    skew_p95: float | None
    fused: Mapping[str, float | None]
    average: Mapping[str, float | None]
    flicker: float | None
    shift: Sequence[float] | None
    to_check: Sequence[str]
    networks: Mapping[str, str]
    host: str
    machine: str
    done: int
    seconds: float
    engine_seconds: float


def summary_of(result: Result, keys: Sequence[str] = ("VIFp", "Qabf")) -> Summary:
    """Return the summary of a result that was made on this machine, with the means of the measures ``keys``."""
    skews = np.abs(result.skews[np.isfinite(result.skews)]) / 1e6
    flicker = result.mean(f"flicker.{FUSED}")
    source = max(result.mean(f"flicker.{name}") or 0.0 for name in (THERMAL, VISIBLE))
    apart = alignment(result)
    found = result.found
    return Summary(
        title=result.title,
        length_s=(result.end_ns - result.start_ns) / 1e9,
        frames=len(result.stamps),
        drops=dict(drop_counts(result).most_common()),
        skew_p95=float(np.percentile(skews, 95)) if len(skews) else None,
        fused={key: result.mean(f"{key}.{FUSED}") for key in keys},
        average={key: result.mean(f"{key}.average") for key in keys},
        flicker=flicker / source if flicker is not None and source else None,
        shift=(apart.x, apart.y) if apart else None,
        to_check=[finding.text for finding in findings(result) if finding.tone == BAD],
        networks=found["runs_on"],
        host=socket.gethostname(),
        machine=found["machine"],
        done=found["engine_frames"],
        seconds=found["seconds"],
        engine_seconds=found["engine_s"],
    )


def write_summary(folder: Path) -> None:
    """Write the summary of a finished result beside it, where there is none yet; raises :class:`SourceError`."""
    if (folder / NAME).is_file():
        return
    text = json.dumps(dataclasses.asdict(summary_of(read_result(folder))), indent=1)
    try:
        with written_whole(folder / NAME) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise SourceError(
            f"{folder / NAME}: cannot be written ({error.strerror}); run the same command again"
        ) from error


def read_summary(folder: Path) -> Summary:
    """Return the summary of a result; raises :class:`SourceError` where there is none to be read."""
    try:
        return Summary(**json.loads((folder / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"{folder / NAME}: cannot be read ({error})") from error
