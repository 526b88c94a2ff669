"""The ``hkdnet`` command: a thin front; each verb is a file of that name in commands/.

A verb's module offers ``add_arguments(parser)`` and ``run(arguments) -> int`` (the exit status). It is imported only
when its verb is called, so that ``hkdnet fuse`` needs no ROS and ``hkdnet replay`` no training code.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from . import __version__
from .arguments import HelpFormatter
from .errors import HkdnetError

VERBS = {
    "demo": "run the node on a recording or the simulator, as pictures and figures",
    "replay": "publish a recording or the simulator as camera topics",
    "soak": "run the node under one fault after the other, every published pair checked",
    "fuse": "fuse two images, or two folders of images",
    "pairs": "write a recording's pairs as images to train and to evaluate on",
    "evaluate": "measure fusion quality on pairs and clips, baselines beside it",
    "view": "show a result of evaluate bag in a browser on this machine",
    "train": "train the high-resolution fusion teacher",
    "distill": "distil a teacher into a fusion and super-resolution student",
    "train-guided": "train the guided student: the visible image at full size, thermal coarser",
    "average": "average the weights of several checkpoints of one lineage",
    "benchmark": "time the engine on this machine",
    "fastdds": "write a Fast DDS profile with shared memory for images of a given size",
    "export": "export a student as ONNX or torch.export program",
}


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"hkdnet_ros.commands.{verb.replace('-', '_')}")


def _parser(verb: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hkdnet", description="Thermal-visible image fusion and super-resolution, offline and on ROS 2 topics."
    )
    parser.add_argument("--version", action="version", version=f"hkdnet_ros {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        sub = verbs.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=HelpFormatter,
        )
        if name == verb:
            _module(name).add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status.

    0 done, 1 an :class:`HkdnetError`, 2 wrong usage, 130 interrupted, 141 nobody reads what is printed any more.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if not word.startswith("-")), None)
    try:
        arguments = _parser(verb).parse_args(words)
        status: int = _module(arguments.verb).run(arguments)
        sys.stdout.flush()
        return status
    except HkdnetError as error:
        print(f"hkdnet: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("", "hkdnet_ros"):  # a defect
            raise
        print(f"hkdnet: {verb} needs the Python package {error.name}, which is not installed", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who read what is printed, as head does, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left to be written at the end
        return 141
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
