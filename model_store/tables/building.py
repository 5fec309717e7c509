"""From events in any order to a table on disk: partitions by user, each put in order on its own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import xxhash

from model_store.sequences import Texts
from model_store.tables.partitions import Partitions
from model_store.tables.stored import StoredTable, TableFiles
from model_store.windows import pack_row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from producers.events import Event

PARTITIONS: Final = 64
_HELD_EVENTS: Final = 65_536


def build_table(
    events: Iterable[Event], directory: Path, *, partitions: int = PARTITIONS, held_events: int = _HELD_EVENTS
) -> StoredTable:
    """Write the table of ``events``, in any order, into ``directory``, and return it.

    Of a user's events with one id the first in time stays, as in `EventTable.from_events`. Users are told
    apart by 64 bits of XXH3, and stand in order of their partition, then of their first place in the log.
    At most ``held_events`` events or one partition are in memory, beside the texts of the catalogue. What an
    earlier call left in ``directory`` is removed. Raises OSError where the disk has no room.
    """
    shutil.rmtree(directory, ignore_errors=True)
    spilled = directory / "partitions"
    texts = Texts({}, {})
    with Partitions(spilled, partitions) as files:
        packed, users = bytearray(), []
        for event in events:
            packed += pack_row(event)
            users.append(xxhash.xxh3_64_intdigest(event.user_id.encode()))
            texts.add(event)
            if len(users) == held_events:
                files.add(bytes(packed), users)
                packed, users = bytearray(), []
        files.add(bytes(packed), users)
        with TableFiles(directory) as table:
            for rows, user in files.sorted():
                table.append(rows, user)
            table.write_texts(texts)
    spilled.rmdir()
    return StoredTable.open(directory)
