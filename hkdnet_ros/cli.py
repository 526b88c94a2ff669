"""The ``hkdnet`` command: a thin front; each verb lives with the layer that does its work.

A verb's module offers ``add_arguments(parser)`` and ``run(arguments) -> int`` (the exit status). It is imported only
when its verb is called, so that ``hkdnet fuse`` needs no ROS and ``hkdnet replay`` no training code.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from . import __version__
from .errors import HkdnetError

VERBS = {
    "demo": (
        "hkdnet_ros.commands.demo",
        "run the node on a recording or the simulator, as pictures and figures",
    ),
    "replay": ("hkdnet_ros.commands.replay", "publish a recording or the simulator as camera topics"),
    "soak": (
        "hkdnet_ros.commands.soak",
        "run the node under one fault after the other, every published pair checked",
    ),
    "fuse": ("hkdnet_ros.commands.fuse", "fuse two images, or two folders of images"),
    "pairs": ("hkdnet_ros.commands.pairs", "write a recording's pairs as images to train and to evaluate on"),
    "evaluate": ("hkdnet_ros.commands.evaluate", "measure fusion quality on pairs and clips, baselines beside it"),
    "train": ("hkdnet_ros.training.train", "train the high-resolution fusion teacher"),
    "distill": ("hkdnet_ros.training.distill", "distil a teacher into a fusion and super-resolution student"),
    "average": ("hkdnet_ros.training.average", "average the weights of several checkpoints of one lineage"),
    "benchmark": ("hkdnet_ros.commands.benchmark", "time the engine on this machine"),
    "fastdds": (
        "hkdnet_ros.commands.fastdds",
        "write a Fast DDS profile with shared memory for large images",
    ),
    "export": ("hkdnet_ros.commands.export", "export a student as ONNX or torch.export program"),
}


def _parser(verb: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hkdnet", description="Thermal-visible image fusion and super-resolution, offline and on ROS 2 topics."
    )
    parser.add_argument("--version", action="version", version=f"hkdnet_ros {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (module, summary) in VERBS.items():
        sub = verbs.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        if name == verb:
            importlib.import_module(module).add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status: 0 done, 1 an :class:`HkdnetError`, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if not word.startswith("-")), None)
    try:
        arguments = _parser(verb).parse_args(words)
        status: int = importlib.import_module(VERBS[arguments.verb][0]).run(arguments)
        return status
    except HkdnetError as error:
        print(f"hkdnet: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("", "hkdnet_ros"):  # a defect
            raise
        print(f"hkdnet: {verb} needs the Python package {error.name}, which is not installed", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
