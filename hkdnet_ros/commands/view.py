"""``hkdnet view``: shows results of ``hkdnet evaluate bag`` in a browser on this machine."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from ..evaluation.bag.viewer import PORT, Viewer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet view``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the --out folder of `hkdnet evaluate bag`")
    parser.add_argument("--port", type=int, default=PORT, help="port on this machine; 0 takes a free one")
    parser.add_argument("--browser", action=argparse.BooleanOptionalAction, default=True, help="open a browser there")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    viewer = Viewer(arguments.folder, arguments.port)
    print(f"{viewer.address} shows {arguments.folder}; Ctrl-C ends it", flush=True)
    if arguments.browser:
        webbrowser.open(viewer.address)
    viewer.serve()
    return 0
