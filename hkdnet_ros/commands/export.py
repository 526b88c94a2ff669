"""``hkdnet export``: a network as an ONNX file or a torch.export program, for runtimes beside torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import add_options, parse_size, read_options
from ..errors import CheckpointError
from ..inference.config import EngineConfig

SIZE = (320, 240)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hkdnet export``."""
    parser.add_argument(
        "--model", default="realtime", metavar="PRESET|FILE", help="one network: realtime, guided, ..., or a file"
    )
    add_options(parser, EngineConfig, skip=("model", "device", "precision", "backend", "threads"))
    parser.add_argument(
        "--precision", choices=("fp32", "fp16"), default="fp32",
        help="format computed in: fp16 is for TensorRT, in an .onnx file that is strongly typed",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=parse_size, default=argparse.SUPPRESS, metavar="WxH",
        help="size of the visible image, fixed in the exported file; if not given, guided takes images of any size and "
        "another network {}x{}".format(*SIZE),
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="file to write: NAME.onnx or NAME.pt2")


def run(arguments: argparse.Namespace) -> int:
    """Export as the command line says, and say what the file takes."""
    from ..inference.checkpoint import weights_path  # here, so that the help does not wait for torch
    from ..inference.export import BLOCK, FORMATS, export, parity, provenance
    from ..inference.precision_trial import LEAST_AGREEMENT
    from ..inference.torch_backend import load_fusing, sizes_of

    config = read_options(arguments, EngineConfig)
    weights = weights_path(config.model, config.scale)
    network = load_fusing(weights, config.scale)
    sizes = sizes_of(network)
    width, height = getattr(arguments, "size", SIZE)
    any_size = "size" not in arguments and sizes.visible == 1
    metadata = provenance(network, weights)
    precision = config.precision
    export(
        network, arguments.out, height=height, width=width, any_size=any_size, precision=precision, metadata=metadata
    )
    found = parity(network, arguments.out, height=height, width=width, precision=precision)
    written = f"wrote {arguments.out}: {FORMATS[arguments.out.suffix]}"
    if precision != "fp32":
        written += f" in {precision}"
    if found is None:
        print("not compared with torch: ONNX Runtime is not installed (pip install onnxruntime)")
    elif found.agreement < LEAST_AGREEMENT:
        raise CheckpointError(
            f"{arguments.out} agrees with torch to {found.agreement:.0f} dB only, run by {found.by}; do not use it"
        )
    else:
        written += f" (agrees with torch to {found.agreement:.0f} dB, run by {found.by})"
    if any_size:
        print(
            f"{written}, visible and output of any multiples of {BLOCK} pixels, thermal 1/{sizes.thermal} as wide and "
            "as high"
        )
        return 0
    output = sizes.output_for((width, height))
    thermal = sizes.thermal_for(output)
    print(f"{written}, thermal {thermal[0]}x{thermal[1]}, visible {width}x{height}, output {output[0]}x{output[1]}")
    return 0
