"""The report on one recording, as a page."""

from __future__ import annotations

from .markup import page
from .reading import Result
from .sections import sections


def bag_report(result: Result) -> str:
    """Return the page, one HTML file that needs no other and no network."""
    networks = "; ".join(f"{name}, {where}" for name, where in result.found["runs_on"].items()) or "no network"
    subtitle = f"Evaluated through the node's core by hkdnet_ros {result.asked['hkdnet_ros']}: {networks}"
    return page(result.title, subtitle, sections(result))
