"""Giving a command the options that say which log to read and how; the command gets one `LogSource`."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from producers.readers import FORMATS, LogLine, Mapping, load_mapping, mapping_of, read_log
from producers.readers.alibaba2014 import DEFAULT_YEAR
from producers.readers.log_file import ignore_bytes_read, open_log
from producers.readers.mapping import TimeUnit

_COLUMNS: Final = "The columns of csv, jsonl and parquet"


@dataclass(frozen=True)
class LogSource:
    """A log on disk and how to read it. ``now_ms`` is what times in the future are measured against."""

    path: Path
    format_name: str
    mapping: Mapping | None
    year: int
    now_ms: int

    @property
    def timed(self) -> bool:
        """Whether the log has times of its own, and not only an order."""
        log_format = FORMATS.get(self.format_name)
        return log_format is None or log_format.timed

    @property
    def resolution_ms(self) -> int:
        """How finely the log knows its times."""
        log_format = FORMATS.get(self.format_name)
        return 1 if log_format is None else log_format.resolution_ms

    def read(self, bytes_read: Callable[[int], None] = ignore_bytes_read) -> Iterator[LogLine]:
        """Read the log from its start; see `producers.readers.read_log` for what is raised."""
        return read_log(
            self.path,
            self.format_name,
            self.mapping,
            year=self.year,
            now_ms=self.now_ms,
            bytes_read=bytes_read,
        )

    def identity(self) -> str:
        """Name the log's content and the way it is read. Raises `LogUnreadable`."""
        fingerprint = open_log(self.path, self.now_ms).fingerprint
        return json.dumps([fingerprint, self.format_name, repr(self.mapping), self.year])


def reads_log(command: Callable[..., None], *, named: bool = False) -> Callable[..., None]:
    """Replace the parameter ``source: LogSource`` with the log's file and the options of `_log_source`.

    ``named`` makes the file the option --data, for a command whose own argument is something else.
    Whatever is wrong with the mapping raises `MappingError` when the command runs; the log itself is not
    opened yet.
    """
    signature = inspect.signature(command, eval_str=True)
    offered = dict(inspect.signature(_log_source, eval_str=True).parameters)
    if named:
        option = typer.Option("--data", metavar="FILE", help="The log, plain or gzipped.")
        offered["file"] = offered["file"].replace(annotation=Annotated[Path, option])
    own = [parameter for name, parameter in signature.parameters.items() if name != "source"]

    @wraps(command)
    def with_source(**options: Any) -> None:
        given = {name: options.pop(name) for name in offered}
        command(source=_log_source(**given), **options)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*offered.values(), *own]
    ]
    with_source.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_source.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_source


def _pairs(name: str, pair: str, text: str) -> Any:
    return typer.Option(name, metavar=pair, help=text, rich_help_panel=_COLUMNS)


def _log_source(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The log, plain or gzipped.")],
    format_: Annotated[str, typer.Option("--format", metavar="NAME", help=f"One of {', '.join(FORMATS)}.")],
    map_: Annotated[
        list[str] | None, _pairs("--map", "FIELD=COLUMN", "Column of an event's field; repeat.")
    ] = None,
    constant: Annotated[
        list[str] | None, _pairs("--constant", "FIELD=VALUE", "One value for every line; repeat.")
    ] = None,
    map_type: Annotated[
        list[str] | None, _pairs("--map-type", "WORD=TYPE", "Event type of a word of the log; repeat.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML file that says all of this.", rich_help_panel=_COLUMNS),
    ] = None,
    time_unit: Annotated[
        TimeUnit, typer.Option(help="Of the time; auto goes by its size.", rich_help_panel=_COLUMNS)
    ] = "auto",
    delimiter: Annotated[
        str, typer.Option(metavar="CHARACTER", help="Between columns.", rich_help_panel=_COLUMNS)
    ] = ",",
    year: Annotated[
        int, typer.Option(metavar="YEAR", help="Of the days of alibaba2014.", min=2000, max=2100)
    ] = DEFAULT_YEAR,
) -> LogSource:
    single = bool(map_ or constant or map_type or time_unit != "auto" or delimiter != ",")
    if mapping is not None and single:
        raise typer.BadParameter("give a mapping in a file or by single options, not both")
    columns = None
    if mapping is not None:
        columns = load_mapping(mapping)
    elif single:
        columns = mapping_of(map_ or (), constant or (), map_type or (), time_unit, delimiter)
    return LogSource(file, format_, columns, year, time.time_ns() // 1_000_000)
