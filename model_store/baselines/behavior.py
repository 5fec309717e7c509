"""`user_behavior.csv`, the file of the naive example: a row an event, with three columns of 0 and 1.

- ``purchase``: the event is a purchase.
- ``browse``: the event is a view or a search.
- ``next_browse``: the user's next event in the same session is a view or a search; 0 too where it ended.

Rows stand in order of time, all users together, as a log has them.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.errors import TrainingError
from model_store.sequences import MASKED, labels_of
from model_store.specification import ACTION_NAMES
from producers.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from model_store.sequences import EventTable

COLUMNS: Final = ("purchase", "browse", "next_browse")
_PURCHASE: Final = ACTION_NAMES.index(EventType.PURCHASE.value)
_BROWSES: Final = [ACTION_NAMES.index(each.value) for each in (EventType.VIEW, EventType.SEARCH)]
_ROWS_AT_ONCE: Final = 50_000

Bits = npt.NDArray[np.uint8]


class Behavior(NamedTuple):
    """The columns of the file, [R] each, 0 or 1."""

    purchase: Bits
    browse: Bits
    next_browse: Bits

    @classmethod
    def of(cls, table: EventTable) -> Behavior:
        """Return a row for each event of ``table``, in order of time."""
        kinds = table.rows["event_type"]
        labels = labels_of(table, None)
        followed = labels.next_event != MASKED
        order = np.argsort(table.times_ms, kind="stable")
        columns = (
            kinds == _PURCHASE,
            np.isin(kinds, _BROWSES),
            followed & np.isin(labels.next_action, _BROWSES),
        )
        return cls(*(column[order].astype(np.uint8) for column in columns))


def write_behavior(
    path: Path, behavior: Behavior, written: Callable[[int], None] = lambda _rows: None
) -> None:
    """Write ``behavior`` as CSV with a header; ``written`` is told how many rows are in the file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        rows = np.stack(behavior, axis=1)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE].tolist()
            writer.writerows(some)
            written(start + len(some))


def read_behavior(path: Path) -> Behavior:
    """Return the columns of a file that has them. Raises `TrainingError` when it has not, or no row."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise TrainingError(f"{path} must have the columns {', '.join(COLUMNS)}: see export-behavior")
        try:
            rows = [[int(row[name]) for name in COLUMNS] for row in reader]
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{path} must hold 0 or 1 in each column: {error}") from error
    if not rows or not np.isin(rows, (0, 1)).all():
        raise TrainingError(f"{path} must hold rows of 0 and 1: make it with export-behavior")
    return Behavior(*np.array(rows, np.uint8).T)
