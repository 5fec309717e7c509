"""The partitions that a worker owns: where each begins, how far it is, and where it goes on after a loss."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final, Protocol

from streamer.errors import StaleOwner
from streamer.history import Keeper, ScoringPlan
from streamer.inheritance import ancestors_written
from streamer.partitions import Partition
from streamer.patience import Patience
from streamer.records import SourcePartition
from streamer.window_store import WindowStore

logger = logging.getLogger(__name__)

STORE_LOOK_INTERVAL_S: Final = 2.0


class Reading(Protocol):
    """How the partitions are read."""

    def next_generation(self, partition: int) -> int:
        """Return the generation of the batches that will be read behind the next seek of ``partition``."""
        ...

    async def seek(self, partition: int, offset: int | None) -> None:
        """Read ``partition`` on from ``offset``; None is its beginning."""
        ...


class Ownership:
    """The owned partitions, by their numbers. ``keeper`` knows which version scores what."""

    def __init__(self, store: WindowStore, keeper: Keeper, reading: Reading, patience: Patience) -> None:
        self._store = store
        self._keeper = keeper
        self._reading = reading
        self._patience = patience
        self._partitions: dict[int, Partition] = {}

    def partition(self, number: int) -> Partition | None:
        """Return the owned partition; None if it is not owned."""
        return self._partitions.get(number)

    async def take_over(
        self, sources: Mapping[int, SourcePartition], generations: Mapping[int, int]
    ) -> dict[int, int | None]:
        """Own ``sources``, each from the offset that its states have reached; return these offsets.

        None is a partition before its first write. Batches of other generations will be ignored.
        """
        offsets = await asyncio.gather(*map(self._offset, sources.values()))
        starts = dict(zip(sources, offsets, strict=True))
        plans = await asyncio.gather(
            *(self._plan(source, starts[number]) for number, source in sources.items())
        )
        for (number, source), plan in zip(sources.items(), plans, strict=True):
            self._partitions[number] = Partition(source, starts[number], generations[number], plan)
        return starts

    def give_up(self) -> None:
        """Own nothing any more. What is in flight is dropped."""
        for partition in self._partitions.values():
            partition.closed = True
        self._partitions.clear()

    async def read_on_from(self, partition: Partition, reason: Exception | str) -> None:
        """Drop what is in flight for the partition, and read on from where Redis stands."""
        if partition.closed:
            return
        partition.closed = True
        number = partition.source.partition
        actual = await self._offset(partition.source)
        logger.warning("partition %d: %s; reading on from offset %s", number, reason, actual)
        published = max(partition.written or 0, partition.plan.silent_until)
        plan = await self._plan(partition.source, actual, published)
        plan.frontier = max(plan.frontier, partition.accepted)
        if self._partitions.get(number) is not partition:
            return  # it was given up meanwhile
        # Before the seek: what is read behind it is due at once.
        generation = self._reading.next_generation(number)
        self._partitions[number] = Partition(partition.source, actual, generation, plan)
        await self._reading.seek(number, actual)

    async def look_after_states(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(STORE_LOOK_INTERVAL_S)
            await self.look()

    async def look(self) -> None:
        """See whether Redis still stands where idle partitions left it; rebuild those where it does not.

        Partitions that are held go on when those that their users come from are written.
        """
        for partition in list(self._partitions.values()):
            if partition.plan.held:
                if await self._ancestors_written(partition.source, partition.plan):
                    await self.read_on_from(partition, "those that its users come from are written")
                continue
            written = partition.written
            if not partition.rests_at(written):
                continue  # what is in flight will notice
            actual = await self._offset(partition.source)
            if actual != written and partition.rests_at(written):
                await self.read_on_from(partition, StaleOwner(written, actual))

    def written_offsets(self) -> dict[int, int | None]:
        """Return, for each owned partition, the offset that Redis has confirmed; None before the first."""
        return {number: partition.written for number, partition in self._partitions.items()}

    def accepted_offsets(self) -> dict[int, int]:
        """Return, for each owned partition, the offset behind the newest batch that was taken in."""
        return {number: partition.accepted for number, partition in self._partitions.items()}

    def catching_up(self) -> list[int]:
        """Return the owned partitions that publish nothing until their states have caught up."""
        return sorted(number for number, partition in self._partitions.items() if partition.catching_up)

    def commit_floor(self, number: int) -> int:
        """Return the offset below which the group must not commit: all before it was published."""
        partition = self._partitions.get(number)
        return partition.plan.silent_until if partition is not None else 0

    async def ping_store(self) -> None:
        """Ask Redis something, once. Raises `StoreUnavailable`."""
        for partition in self._partitions.values():
            await self._store.offset(partition.source)
            return

    async def _offset(self, source: SourcePartition) -> int | None:
        return await self._patience.ask(lambda: self._store.offset(source))

    async def _plan(self, source: SourcePartition, written: int | None, published: int = 0) -> ScoringPlan:
        plan = await self._patience.ask(lambda: self._keeper.plan(source, written, published))
        plan.held = not await self._ancestors_written(source, plan)
        if plan.held:
            logger.info("partition %d waits for those that its users come from", source.partition)
        return plan

    async def _ancestors_written(self, source: SourcePartition, plan: ScoringPlan) -> bool:
        ancestors = plan.history.ancestors
        return await self._patience.ask(lambda: ancestors_written(self._store, source, ancestors))
