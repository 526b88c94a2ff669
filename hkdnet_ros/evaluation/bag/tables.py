"""Tables with a row for each frame: CSV files, put together from parts, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ...files import sync, written_whole

Row = Mapping[str, object]


def cell(value: object) -> str:
    """Return a value as it stands in a table: floats to nine digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.9g}" if isinstance(value, float) else str(value)


class TableWriter:
    """Appends rows to a CSV file, which has its name once :meth:`finish` has returned."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._partial = path.with_suffix(path.suffix + ".partial")
        self._columns = columns
        self._file = self._partial.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(columns)

    def write(self, row: Row) -> None:
        """Append a row; a column that it lacks is empty."""
        self._writer.writerow([cell(row.get(column)) for column in self._columns])

    def finish(self) -> None:
        """Complete the file."""
        self._file.close()
        sync(self._partial)
        self._partial.replace(self._path)

    def abandon(self) -> None:
        """Leave nothing of the file."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a CSV file, whole or not at all."""
    writer = TableWriter(path, columns)
    try:
        for row in rows:
            writer.write(row)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


def read_table(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def columns_of(path: Path) -> list[str]:
    """Return the names of the columns of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def join_tables(path: Path, parts: Sequence[Path]) -> None:
    """Write the rows of several CSV files into one, with every column that any of them has."""
    columns = list(dict.fromkeys(column for part in parts for column in columns_of(part)))
    write_table(path, columns, (row for part in parts for row in read_table(part)))


def write_parquet(table: Path) -> bool:
    """Write a CSV table beside itself as Parquet, in bounded memory; return False where pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        return False
    import pyarrow.csv
    import pyarrow.parquet

    convert = pyarrow.csv.ConvertOptions(column_types={name: _type(name) for name in columns_of(table)})
    with written_whole(table.with_suffix(".parquet")) as partial, pyarrow.csv.open_csv(
        table, convert_options=convert
    ) as reader, pyarrow.parquet.ParquetWriter(partial, reader.schema) as writer:  # fmt: skip
        for batch in reader:
            writer.write_batch(batch)
    return True


def _type(column: str) -> str:
    """Return Arrow's type of a column of frames.csv."""
    if column in ("mode", "crc32", "model", "runs_on"):
        return "string"
    is_whole = column.endswith("_ns") or column in ("frame", "live", "width", "height")
    return "int64" if is_whole else "float64"
