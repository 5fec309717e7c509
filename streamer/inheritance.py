"""States that users left in another partition, before partitions were added. See `streamer.growth`.

They are copied with the first batch in which a user comes, and written with it under the guard. The old
copies are left to expire: whoever reads the new partition again must find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamer.errors import AncestorBehind
from streamer.growth import Ancestor
from streamer.records import SourcePartition
from streamer.window_store import Question, WindowStore


async def ancestors_written(
    store: WindowStore, source: SourcePartition, ancestors: Sequence[Ancestor]
) -> bool:
    """Return whether all of ``ancestors`` are written up to their ends. May raise `StoreUnavailable`."""
    for ancestor in ancestors:
        written = await store.offset(replace(source, partition=ancestor.partition))
        if (written or 0) < ancestor.end:
            return False
    return True


async def with_inherited(
    store: WindowStore,
    source: SourcePartition,
    ancestors: Sequence[Ancestor],
    users: Sequence[bytes],
    states: Sequence[bytes | None],
) -> list[bytes | None]:
    """Return the users' ``states`` in ``source``; where there is none, the newest one left in ``ancestors``.

    Raises `AncestorBehind` where an ancestor is not (or no longer) written up to its end, and
    `StoreUnavailable`.
    """
    completed = list(states)
    for ancestor in ancestors:
        absent = [at for at, state in enumerate(completed) if state is None]
        if not absent:
            break
        left_in = replace(source, partition=ancestor.partition)
        (snapshot,) = await store.read([Question(left_in, [users[at] for at in absent])])
        if (snapshot.offset or 0) < ancestor.end:
            raise AncestorBehind(ancestor.partition, snapshot.offset, ancestor.end)
        for at, state in zip(absent, snapshot.states, strict=True):
            completed[at] = state
    return completed
