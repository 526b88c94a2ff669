"""Words of the command line that several verbs share."""

from __future__ import annotations

import argparse


def parse_size(text: str) -> tuple[int, int]:
    """Read ``WxH``; raises argparse's error for anything else."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected WIDTHxHEIGHT, such as 640x480")
    return int(width), int(height)
