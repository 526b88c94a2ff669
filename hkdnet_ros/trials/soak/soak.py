"""``hkdnet soak``: the node for a long time under one fault after the other, each published pair checked."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from ...arguments import parse_size
from ...errors import MissingDependencyError
from ...files import make_folder, write_file
from ...options import option_info
from ..children import keep_to_this_machine, termination_interrupts
from ..machine import machine
from .config import SoakConfig
from .faults import FAULTS
from .report import Soak, to_csv, to_markdown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet soak``."""
    for field in dataclasses.fields(SoakConfig):
        name, default = f"--{field.name}", field.default
        if field.name == "faults":
            parser.add_argument(
                "--fault", dest="faults", action="append", default=argparse.SUPPRESS, choices=list(FAULTS),
                metavar="NAME", help=f"only this one; may be repeated: {', '.join(FAULTS)}",
            )  # fmt: skip
        elif field.name == "out":
            parser.add_argument(name, type=Path, default=default, metavar="FOLDER", help="where the report goes")
        elif field.name == "size":
            text, size = option_info(field).description, "{}x{}".format(*SoakConfig().size)
            parser.add_argument(name, type=parse_size, default=size, metavar="WxH", help=text)
        else:
            info = option_info(field)
            text = info.description + (f", {info.unit}" if info.unit else "")
            parser.add_argument(name, type=type(default), default=default, metavar=name[2:].upper(), help=text)


def run(arguments: argparse.Namespace) -> int:
    """Soak, write the report, whatever happened, and say where it is; 0 where everything held, else 1 (130: Ctrl-C)."""
    names = [field.name for field in dataclasses.fields(SoakConfig)]
    given = {name: value for name, value in vars(arguments).items() if name in names}
    config = SoakConfig(**{**given, "faults": tuple(given.get("faults", ()))})
    keep_to_this_machine()
    try:
        from .run import run_soak
    except ImportError as error:
        raise MissingDependencyError(
            f"the soak needs ROS 2 for Python and this package's messages ({error}); run `make soak`, or source a "
            "ROS 2 workspace in which this package is built"
        ) from error
    make_folder(config.out)
    width, height = config.size
    soak = Soak(
        {
            "cameras": f"{width}x{height}, {config.rate:g} Hz each, numbered images",
            "each fault lasts": f"{config.hold:g} s",
            "seed": str(config.seed),
            "machine": machine(),
        }
    )
    with termination_interrupts():
        try:
            run_soak(config, soak)
        except KeyboardInterrupt:
            soak.interrupted = True
        write_file(config.out / "report.md", to_markdown(soak).encode())
        write_file(config.out / "memory.csv", to_csv(soak.memory).encode())
    found = soak.verdict()
    for text in found:
        print(f"hkdnet soak: {text}", file=sys.stderr)
    print(f"{len(soak.runs)} faults, {soak.counts['checked']} pairs checked; see {config.out / 'report.md'}")
    return 130 if soak.interrupted else int(bool(found))
