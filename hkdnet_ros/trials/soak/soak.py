"""A soak from its settings to its report."""

from __future__ import annotations

from ...errors import MissingDependencyError
from ...files import make_folder, write_file
from ..children import keep_to_this_machine, termination_interrupts
from ..machine import machine
from .config import SoakConfig
from .report import Soak, to_csv, to_markdown


def soak(config: SoakConfig) -> Soak:
    """Soak as ``config`` says, write report.md and memory.csv, whatever happened, and return what was measured.

    Raises :class:`MissingDependencyError` without ROS, :class:`~hkdnet_ros.errors.ProcessError` where the node or a
    camera cannot be started, :class:`~hkdnet_ros.errors.SourceError` for a folder that cannot be written.
    """
    try:
        from .run import run_soak
    except ImportError as error:
        raise MissingDependencyError(
            f"the soak needs ROS 2 for Python and this package's messages ({error}); run `make soak`, or source a "
            "ROS 2 workspace in which this package is built"
        ) from error
    keep_to_this_machine()
    make_folder(config.out)
    width, height = config.size
    result = Soak(
        {
            "cameras": f"{width}x{height}, {config.rate:g} Hz each, numbered images",
            "each fault lasts": f"{config.hold:g} s",
            "seed": str(config.seed),
            "machine": machine(),
        }
    )
    with termination_interrupts():
        try:
            run_soak(config, result)
        except KeyboardInterrupt:
            result.interrupted = True
        write_file(config.out / "report.md", to_markdown(result).encode())
        write_file(config.out / "memory.csv", to_csv(result.memory).encode())
    return result
