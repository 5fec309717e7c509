"""A window store in memory, for tests that need its failures or its contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamer.errors import StaleOwner, StoreUnavailable
from streamer.records import SourcePartition
from streamer.window_store import BEING_EMPTIED, Snapshot


class InMemoryWindowStore:
    """Keeps what a Redis keeps. ``failures`` calls fail first, as an unreachable server's do."""

    def __init__(self, failures: int = 0) -> None:
        self.offsets: dict[SourcePartition, int] = {}
        self.states: dict[tuple[SourcePartition, bytes], bytes] = {}
        self.failures = failures

    async def read(self, source: SourcePartition, users: Sequence[bytes]) -> Snapshot:
        self._fail()
        return Snapshot(self.offsets.get(source), [self.states.get((source, user)) for user in users])

    async def write(
        self, source: SourcePartition, expected: int | None, reached: int, states: Mapping[bytes, bytes]
    ) -> None:
        self._fail()
        found = self.offsets.get(source)
        if found not in (expected, reached):
            raise StaleOwner(expected, found)
        self.offsets[source] = reached
        self.states.update({(source, user): state for user, state in states.items()})

    async def offset(self, source: SourcePartition) -> int | None:
        self._fail()
        found = self.offsets.get(source)
        if found == BEING_EMPTIED:
            raise StoreUnavailable("being emptied")
        return found

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("unplugged")
