"""What `foreclick clean` does: read, fit, sift, write, and say what each rule touched."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from foreclick.errors import ForeclickError
from foreclick.progress import shown_progress
from foreclick.survey_report import read_with_progress
from model_store.cleaning.learning import fit_cleaning
from model_store.cleaning.report import CleaningReport, report_on
from model_store.cleaning.rules import Rule
from model_store.cleaning.sifting import KEPT, Sieve, sift_rows
from model_store.parts import time_at_share
from model_store.windows import (
    category_fingerprint,
    pack_row,
    row_times_ms,
    rows_of,
)
from producers.events import Event, encode_event
from producers.readers import LineCount, ReadEvent

if TYPE_CHECKING:
    from foreclick.log_options import LogSource
    from model_store.cleaning.pipeline import Cleaning
    from model_store.windows import Rows

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_DECIMALS: Final = 2  # a filled price is known to three digits or so


@dataclass(frozen=True)
class CleaningJob:
    """One call of the command. The rules learn from the log's time before the share ``train_until``."""

    rules: tuple[Rule, ...]
    window_size: int
    train_until: float
    out: Path
    report: Path | None


@dataclass(frozen=True)
class _Log:
    """The events [E] of a log in its own order, their users as numbers, and the lines that they stand in."""

    rows: Rows
    user: Ints
    line: Ints
    category_names: dict[int, str]
    count: LineCount

    @classmethod
    def read(cls, source: LogSource) -> _Log:
        packed, users, lines = bytearray(), [], []
        numbers: dict[str, int] = {}
        names: dict[int, str] = {}
        count = LineCount()
        for found in count.count(read_with_progress(source, "reading")):
            if isinstance(found, ReadEvent):
                event = found.event
                packed += pack_row(event)
                users.append(numbers.setdefault(event.user_id, len(numbers)))
                lines.append(found.line_number)
                if event.category is not None:
                    names.setdefault(category_fingerprint(event.category), event.category)
        return cls(rows_of(bytes(packed)), np.array(users, np.int64), np.array(lines, np.int64), names, count)

    def first_of_ids(self) -> Mask:
        """Tell which events [E] are the first of their user with their id, in order of time."""
        high = self.rows["event_high"].astype(np.uint64) << np.uint64(32)
        ids = self.rows["event_low"].astype(np.uint64) | high
        order = np.lexsort((row_times_ms(self.rows), ids, self.user))
        again = (np.diff(ids[order]) == 0) & (np.diff(self.user[order]) == 0)
        first = np.ones(len(order), bool)
        first[order[1:][again]] = False
        return first


def run_cleaning(source: LogSource, job: CleaningJob) -> None:
    """Clean ``source``, write what is left, and show the report.

    Raises ProducerError, ModelStoreError, and ForeclickError where a file cannot be written.
    """
    log = _Log.read(source)
    if not len(log.rows):
        raise ForeclickError(f"{source.path} holds no event: see why with `foreclick inspect`")
    first = log.first_of_ids()
    order = np.lexsort((row_times_ms(log.rows), log.user))
    order = order[first[order]]
    rows, user = log.rows[order], log.user[order]
    cleaning = _fitted(job, rows, user)
    with shown_progress("cleaning", 1.0) as update:
        sieve = Sieve(cleaning, job.window_size)
        sifted = sift_rows(sieve, rows, user, lambda share: update(share, f"{len(rows):,} events"))
    report = report_on(
        cleaning, rows, user, sifted, log.line[order], repeated_ids=int(np.count_nonzero(~first))
    )
    kept = np.zeros(len(log.rows), bool)
    kept[order] = sifted.outcome == KEPT
    with _written(job.out) as file:
        for event in _cleaned(source, log, kept, cleaning):
            file.write(encode_event(event) + b"\n")
    document = {"lines": log.count.lines, "rejected": dict(log.count.rejected), **report.as_fields()}
    if job.report is not None:
        with _written(job.report) as file:
            file.write(json.dumps(document, indent=2).encode() + b"\n")
    _show(report, log.count, job)


def _fitted(job: CleaningJob, rows: Rows, user: Ints) -> Cleaning:
    training = np.ones(len(rows), bool)
    if job.train_until < 1:
        times_ms = row_times_ms(rows)
        training = times_ms < time_at_share(times_ms, job.train_until)
    return fit_cleaning(job.rules, rows[training], user[training], job.window_size)


def _cleaned(source: LogSource, log: _Log, kept: Mask, cleaning: Cleaning) -> Iterator[Event]:
    """Yield the kept events in the log's order, with what the rules repair."""
    repaired = cleaning.repaired(log.rows)
    changed = (repaired["category"] != log.rows["category"]) | _other_price(repaired, log.rows)
    events = (line.event for line in read_with_progress(source, "writing") if isinstance(line, ReadEvent))
    for place, event in enumerate(events):
        if kept[place]:
            yield _filled(event, repaired[place], log) if changed[place] else event


def _other_price(rows: Rows, others: Rows) -> Mask:
    price, other = rows["log_price"], others["log_price"]
    differs: Mask = (price != other) & ~(np.isnan(price) & np.isnan(other))
    return differs


def _filled(event: Event, row: Any, log: _Log) -> Event:
    """Return ``event`` with the category and the price of its repaired row."""
    category, log_price = int(row["category"]), float(row["log_price"])
    fields: dict[str, Any] = {}
    if category_fingerprint(event.category) != category:
        fields["category"] = log.category_names.get(category)
    if rows_of(pack_row(event))["log_price"][0] != row["log_price"]:
        fields["price"] = None if np.isnan(log_price) else round(float(np.expm1(log_price)), _DECIMALS)
    return msgspec.structs.replace(event, **fields)


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that stands at ``path`` once the block has ended well; ``.gz`` is gzipped.

    Raises `ForeclickError` where it cannot be written.
    """
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as plain:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=plain, mode="wb", mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]
            else:
                yield plain
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise ForeclickError(f"cannot write {path}: {error.strerror}; name another file") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _show(report: CleaningReport, count: LineCount, job: CleaningJob) -> None:
    console = Console()
    console.print(f"{count.lines:,} lines, {report.events:,} events of {report.users:,} users")
    for reason, lines in count.rejected.most_common():
        console.print(f"  rejected {reason}: {lines:,}")
    lacking = ", ".join(f"{number:,} without {name}" for name, number in report.missing.items())
    console.print(f"{report.repeated_ids:,} repeated ids; {lacking}")
    table = Table("rule", "columns", "action", "met", "dropped", "filled", "first at lines")
    for rule in report.rules:
        filled = ", ".join(f"{number:,} {source}" for source, number in rule.filled.items())
        table.add_row(
            rule.rule,
            ", ".join(rule.columns),
            rule.action,
            f"{rule.met:,}" if rule.learned else "learned nothing",
            f"{rule.dropped:,}",
            filled,
            ", ".join(str(line) for line in rule.examples),
        )
    console.print(table)
    console.print(
        f"{report.kept:,} events kept, {report.flagged:,} of them flagged: {job.out}", soft_wrap=True
    )
