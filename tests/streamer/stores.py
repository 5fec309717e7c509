"""A window store in memory, for tests that need its failures or its contents."""

from __future__ import annotations

from collections.abc import Sequence

from streamer.errors import StaleOwner, StoreUnavailable
from streamer.records import SourcePartition
from streamer.window_store import BEING_EMPTIED, Question, Snapshot, Write


class InMemoryWindowStore:
    """Keeps what a Redis keeps. ``failures`` calls fail first, as an unreachable server's do."""

    def __init__(self, failures: int = 0) -> None:
        self.offsets: dict[SourcePartition, int] = {}
        self.states: dict[tuple[SourcePartition, bytes], bytes] = {}
        self.failures = failures

    async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
        self._fail()
        return [
            Snapshot(self.offsets.get(source), [self.states.get((source, user)) for user in users])
            for source, users in questions
        ]

    async def write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
        self._fail()
        return [self._write(write) for write in writes]

    def _write(self, write: Write) -> StaleOwner | None:
        found = self.offsets.get(write.source)
        if found not in (write.expected, write.reached):
            return StaleOwner(write.expected, found)
        self.offsets[write.source] = write.reached
        self.states.update({(write.source, user): state for user, state in write.states.items()})
        return None

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
