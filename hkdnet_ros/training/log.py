"""What a training writes down: ``log.csv`` with a row for each validation, and events for TensorBoard."""

from __future__ import annotations

import csv
import logging
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_log = logging.getLogger(__name__)


class Log:
    """The log of the training in ``folder``, from step ``start`` on; one that is resumed appends.

    TensorBoard reads the events beside the CSV (``tensorboard --logdir FOLDER``). It then hides those of later steps
    that a broken run left. Where tensorboardX is not installed, a warning says so and there are no events.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self._folder = folder
        self._began = time.monotonic()
        self._events = None
        try:
            from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
        except ImportError:
            _log.warning("tensorboardX is not installed: no events for TensorBoard, log.csv is written all the same")
        else:
            # The suffix keeps two runs apart that begin within one second, for the name holds only that besides.
            self._events = SummaryWriter(str(folder), purge_step=start + 1, filename_suffix=f".{start}")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()

    def write_losses(self, step: int, rate: float, losses: Mapping[str, float]) -> None:
        """Add the learning rate, each loss and their sum to the events."""
        if self._events is None:
            return
        self._events.add_scalar("learning_rate", rate, step)
        for name, value in (*losses.items(), ("total", sum(losses.values()))):
            self._events.add_scalar(f"loss/{name}", value, step)

    def write_measures(self, step: int, losses: Mapping[str, float], measures: Mapping[str, float]) -> None:
        """Add a row to the CSV, and the measures and the pictures of ``folder/pictures`` to the events."""
        seconds = time.monotonic() - self._began
        self._append_row({"step": step, "seconds": seconds, "loss": sum(losses.values()), **losses, **measures})
        if self._events is None:
            return
        from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

        for name, value in measures.items():
            self._events.add_scalar(f"validation/{name}", value, step)
        for path in sorted((self._folder / "pictures").glob("*.png")):
            # As the file is: add_image would need Pillow to compress it again.
            content = path.read_bytes()
            width, height = struct.unpack(">II", content[16:24])
            image = Summary.Image(width=width, height=height, colorspace=1, encoded_image_string=content)
            summary = Summary(value=[Summary.Value(tag=f"pictures/{path.stem}", image=image)])
            self._events.file_writer.add_summary(summary, step)
        self._events.flush()

    def _append_row(self, row: Mapping[str, float]) -> None:
        """Add ``row`` under the header that is there, or make its keys the header."""
        with (self._folder / "log.csv").open("a+", newline="") as file:
            file.seek(0)
            header = next(csv.reader(file), None)
            writer = csv.DictWriter(file, header or list(row), extrasaction="ignore")
            if header is None:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" for key, value in row.items()})
