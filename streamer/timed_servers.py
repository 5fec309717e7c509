"""The pipeline's view of Redis and Kafka, with how long they take to answer."""

from __future__ import annotations

from collections.abc import Sequence

from streamer.errors import StaleOwner
from streamer.publishing import Publisher
from streamer.records import SourcePartition
from streamer.scoring import ScoredBatch
from streamer.step_times import StepTimes
from streamer.window_store import Question, Snapshot, WindowStore, Write


class TimedWindowStore:
    """A `WindowStore` whose reads and writes are timed."""

    def __init__(self, store: WindowStore, times: StepTimes) -> None:
        self._store = store
        self._times = times

    async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
        """See `WindowStore.read`."""
        with self._times.timed("redis read"):
            return await self._store.read(questions)

    async def write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
        """See `WindowStore.write`."""
        with self._times.timed("redis write"):
            return await self._store.write(writes)

    async def offset(self, source: SourcePartition) -> int | None:
        """See `WindowStore.offset`."""
        return await self._store.offset(source)


class TimedPublisher:
    """A `Publisher` whose publications are timed, the brokers' acks included."""

    def __init__(self, publisher: Publisher, times: StepTimes) -> None:
        self._publisher = publisher
        self._times = times

    async def publish(self, batches: Sequence[ScoredBatch]) -> None:
        """See `Publisher.publish`."""
        with self._times.timed("publish and acks"):
            await self._publisher.publish(batches)
