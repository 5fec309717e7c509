"""An event table whose arrays are memory-mapped files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from model_store.chunks import CHUNK_EVENTS, chunk_bounds
from model_store.sequences import EventTable, Ints, Mask, Texts
from model_store.tables.array_file import ArrayFile
from model_store.windows import EVENT_ROW, row_times_ms

if TYPE_CHECKING:
    from typing import Self

    from model_store.windows import Rows

_ROWS_FILE: Final = "rows.npy"
_USER_FILE: Final = "user.npy"
_TIMES_FILE: Final = "times_ms.npy"
_TEXTS_FILE: Final = "texts.json"


class TableFiles:
    """The files of a table in ``directory`` while they are written, one stretch of events after another."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._rows = ArrayFile(directory / _ROWS_FILE, EVENT_ROW)
        self._user = ArrayFile(directory / _USER_FILE, np.dtype(np.int64))
        self._times_ms = ArrayFile(directory / _TIMES_FILE, np.dtype(np.int64))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._rows, self._user, self._times_ms):
            file.close()

    def write_texts(self, texts: Texts) -> None:
        """Write what `StoredTable.open` needs to know of the texts."""
        (self.directory / _TEXTS_FILE).write_bytes(msgspec.json.encode(texts))

    def append(self, rows: Rows, user: Ints) -> None:
        """Write more events, in order of user, then of time."""
        self._rows.append(rows)
        self._user.append(user)
        self._times_ms.append(row_times_ms(rows))


@dataclass(frozen=True)
class StoredTable(EventTable):
    """A table in ``directory``. Its arrays are read-only maps of files, which must stay while it is used.

    ``known_times_ms`` [E] are the event times: cutting a log by time reads them often.
    """

    known_times_ms: Ints
    directory: Path

    @classmethod
    def open(cls, directory: Path) -> StoredTable:
        """Return the table that `build_table` wrote into ``directory``."""
        texts = msgspec.json.decode((directory / _TEXTS_FILE).read_bytes(), type=Texts)
        rows, user, times_ms = _mapped(directory)
        return cls(rows, user, texts.item_ids, texts.category_names, times_ms, directory)

    @property
    def times_ms(self) -> Ints:
        """The event times [E], Unix milliseconds."""
        return self.known_times_ms

    def where(self, kept: Mask) -> EventTable:
        """Return the table of the events in ``kept`` [E]: this one if all are, else one more on disk."""
        if kept.all():
            return self
        directory = Path(tempfile.mkdtemp(prefix="part-", dir=self.directory))
        with TableFiles(directory) as files:
            for start, end in chunk_bounds(len(self), CHUNK_EVENTS):
                chosen = kept[start:end]
                files.append(self.rows[start:end][chosen], self.user[start:end][chosen])
        rows, user, times_ms = _mapped(directory)
        return replace(self, rows=rows, user=user, known_times_ms=times_ms, directory=directory)

    def starts_user(self) -> Mask:
        """Tell which events [E] are the first of their user."""
        starts = np.ones(len(self), bool)
        for start, end in chunk_bounds(len(self), CHUNK_EVENTS):
            before = self.user[start - 1] if start else -1
            starts[start:end] = np.diff(self.user[start:end], prepend=before) != 0
        return starts


def _mapped(directory: Path) -> tuple[Any, Any, Any]:
    """Return the rows, the users and the times in ``directory``, mapped for reading."""
    rows, user, times_ms = (
        np.load(directory / name, mmap_mode="r", allow_pickle=False)
        for name in (_ROWS_FILE, _USER_FILE, _TIMES_FILE)
    )
    return rows, user, times_ms
