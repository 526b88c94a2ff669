"""What the executables of nodes answer to words on the command line that are not ROS's; no ROS here."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from ..schema import Schema

_WIDTH = 100


def answer(arguments: Sequence[str], usage: Callable[[str], str]) -> int | None:
    """Answer command line ``arguments``, the first of which names the executable, and return the exit status.

    ``--help`` prints ``usage`` of that name. A word that is not ROS's is refused: such an executable has none of its
    own, and what was meant would be passed over. None where there is nothing to answer and the node may start.
    """
    name = os.path.basename(arguments[0])
    if {"-h", "--help"} & set(arguments):
        try:
            print(usage(name), flush=True)
        except BrokenPipeError:  # read no further, as by `| head`; the interpreter's end would stumble over it, too
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    words = own_words(arguments)
    if words:
        print(
            f"{name}: {' '.join(words)!r} is nothing that it knows; give parameters as `--ros-args -p NAME:=VALUE`, "
            "--help lists them",
            file=sys.stderr,
        )
        return 2
    return None


def own_words(arguments: Sequence[str]) -> list[str]:
    """Return the command line's words that are not ROS's: those outside of ``--ros-args ... --``, but for remaps.

    ROS still takes a remap ``FROM:=TO`` outside, with a warning.
    """
    words, is_for_ros = [], False
    for word in arguments[1:]:
        if word == "--ros-args":
            is_for_ros = True
        elif is_for_ros:
            is_for_ros = word != "--"
        elif ":=" not in word:
            words.append(word)
    return words


def refusal(error: Exception) -> str:
    """Return in one line what is wrong with the arguments that made ROS raise ``error``."""
    line = " ".join(str(error).split())
    # Its message is the list alone; rclpy offers the class under a private name only.
    return f"ROS does not know the arguments {line}" if type(error).__name__ == "UnknownROSArgsError" else line


def usage(name: str, summary: str, schema: Schema[Any]) -> str:
    """Return the help of executable ``name``: how it is called, ``summary``, and every parameter of ``schema``."""
    lines = [
        f"usage: {name} [--ros-args [-p NAME:=VALUE] [--params-file FILE] [-r FROM:=TO] [--log-level LEVEL]]",
        "",
        *textwrap.wrap(summary, _WIDTH),
        "",
        "parameters:",
    ]
    for spec in schema.specs:
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        shown = str(default).lower() if spec.kind is bool else repr(default) if spec.kind is str else default
        text = f"{spec.info.description} {spec.limits and f'({spec.limits}) '}Default: {shown}"
        lines += [f"  {spec.name}", *textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)]
    return "\n".join(lines)
