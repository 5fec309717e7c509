"""What the pipeline knows of one owned partition, and the order that its batches keep."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from dataclasses import dataclass, field, replace

from streamer.errors import BatchMissed
from streamer.history import ScoringPlan
from streamer.memory import PartitionMemory
from streamer.records import FetchedBatch, SourcePartition


@dataclass
class Stages:
    """How far the batches of one fetch have come, together. Those behind them wait for each stage in turn."""

    queued: asyncio.Event = field(default_factory=asyncio.Event)
    published: asyncio.Event = field(default_factory=asyncio.Event)
    written: asyncio.Event = field(default_factory=asyncio.Event)

    def finish(self) -> None:
        """Let the batches behind go on, whatever became of these."""
        self.queued.set()
        self.published.set()
        self.written.set()


class Partition:
    """One owned partition. Closed for good when it is revoked or must be read again from elsewhere.

    ``written`` is the offset that Redis has confirmed; None before the first write. ``plan`` says which
    model version scores what.
    """

    def __init__(
        self, source: SourcePartition, written: int | None, generation: int, plan: ScoringPlan
    ) -> None:
        self.source = source
        self.written = written
        self.plan = plan
        self.memory = PartitionMemory()
        self.closed = False
        self._generation = generation
        self._position = written or 0
        self._boundaries: list[int | None] = [written]
        self._newest = Stages()
        self._newest.finish()

    @property
    def accepted(self) -> int:
        """The offset behind the newest batch that was accepted."""
        return self._position

    def accept(self, batch: FetchedBatch) -> FetchedBatch | None:
        """Return the part of ``batch`` that is due, and expect what lies behind it.

        None if it is stale, or if the partition is held: then it will be read again. Raises `BatchMissed` if
        the one before it never came.
        """
        if self.closed or self.plan.held:
            return None
        if batch.generation < self._generation or batch.next_offset <= self._position:
            return None
        if batch.fetched_from > self._position:
            raise BatchMissed(self._position, batch.fetched_from)
        first = bisect_left(batch.records, self._position, key=lambda record: record.offset)
        self._position = batch.next_offset
        if first == 0:
            return batch
        return replace(batch, records=batch.records[first:])

    def rests_at(self, offset: int | None) -> bool:
        """Return whether all that was accepted is written, and Redis was left at ``offset``."""
        return not self.closed and self.written == offset and self._position == (offset or 0)

    @property
    def catching_up(self) -> bool:
        """Whether nothing is published now: it is held, or what is due only brings the states forward."""
        return self.plan.held or (self.written or 0) < self.plan.silent_until

    def line_up(self, next_offset: int, stages: Stages) -> Stages:
        """Put a batch with ``stages`` behind the newest one, whose stages are returned.

        Redis may come to stand at ``next_offset``, behind the batch.
        """
        self._boundaries.append(next_offset)
        before, self._newest = self._newest, stages
        return before

    def boundaries(self, next_offset: int) -> set[int | None]:
        """Return where Redis may stand while the batch that ends before ``next_offset`` is not written.

        That is the offset confirmed and those of the batches before. Not the batch's own: who finds that has
        lost the partition to another owner, whose states hold the batch's events already.
        """
        return set(self._boundaries[: self._boundaries.index(next_offset)])

    def confirm(self, reached: int) -> None:
        """Note that Redis stands at ``reached``."""
        self.written = reached
        del self._boundaries[: self._boundaries.index(reached)]
