"""The life of an event, from a fetched record batch to a prediction, in the order that loses nothing.

1. the transport hands in one fetched batch of one partition;
2. decode; 3. read the users' states; 4. and 5. windows, states and heads, in the scoring thread;
6. publish and await the acks; 7. write the states and the offset in one guarded step; 8. done.

Batches overlap: each step runs while its neighbours run for other batches. Within a partition every step
keeps the batches' order. A batch is done only after its write; whatever dies before, the partition goes on
from the offset in Redis and publishes the same ids again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from model_store.serving import ServedModel
from streamer.decoding import decode_batch
from streamer.errors import BrokerUnavailable, StaleOwner, StoreUnavailable
from streamer.history import Keeper, Piece, ScoringPlan, mark_partial
from streamer.memory import Slot
from streamer.partitions import Dropped, Partition, Stages
from streamer.profile import Profile
from streamer.publishing import Publisher
from streamer.records import DecodedBatch, FetchedBatch, SourcePartition
from streamer.room import Room
from streamer.scorer import Scorer
from streamer.scoring import ScoredBatch
from streamer.state import unpack_states
from streamer.tally import Tally
from streamer.window_store import BEING_EMPTIED, WindowStore

logger = logging.getLogger(__name__)

Seek = Callable[[int, int | None], Awaitable[int]]
Answer = TypeVar("Answer")
STORE_RETRY_LIMIT_S = 60.0
STORE_LOOK_INTERVAL_S = 2.0


class Pipeline:
    """Runs batches through the steps. `run` must be running while batches are submitted.

    ``seek`` moves the reading of a partition to an offset (None: its beginning) and returns the
    generation that batches read from there carry. ``keeper`` knows which version scores what. While Redis
    or the ledger is unavailable, calls are tried again for
    ``store_retry_limit_s``; then `run` ends with `StoreUnavailable`.
    """

    def __init__(
        self,
        store: WindowStore,
        scorer: Scorer,
        publisher: Publisher,
        seek: Seek,
        keeper: Keeper,
        room: Room,
        tally: Tally,
        profile: Profile | None = None,
        *,
        store_retry_limit_s: float = STORE_RETRY_LIMIT_S,
    ) -> None:
        self._store = store
        self._scorer = scorer
        self._publisher = publisher
        self._seek = seek
        self._keeper = keeper
        self._room = room
        self._tally = tally
        self._profile = profile or Profile()
        self._store_retry_limit_s = store_retry_limit_s
        self._partitions: dict[int, Partition] = {}
        self._tasks = asyncio.TaskGroup()
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled. What no retry can cure ends the run with its error."""
        async with self._tasks as tasks:
            tasks.create_task(self._scorer.run())
            tasks.create_task(self._look_after_states())

    async def look(self) -> None:
        """See whether Redis still stands where idle partitions left it; rebuild those where it does not."""
        for partition in list(self._partitions.values()):
            written = partition.written
            if not partition.rests_at(written):
                continue  # what is in flight will notice
            actual = await self._offset(partition.source)
            if actual != written and partition.rests_at(written):
                await self._read_on_from(partition, StaleOwner(written, actual))

    async def start_offsets(self, sources: Mapping[int, SourcePartition]) -> dict[int, int | None]:
        """Return the offset at which each newly owned partition goes on; None before its first write."""
        offsets = await asyncio.gather(*map(self._offset, sources.values()))
        return dict(zip(sources, offsets, strict=True))

    async def plan(self, source: SourcePartition, written: int | None, published: int = 0) -> ScoringPlan:
        """Return what `assign` needs to know of a partition. See `Keeper.plan`."""
        return await self._patiently(lambda: self._keeper.plan(source, written, published))

    def assign(
        self, source: SourcePartition, written: int | None, generation: int, plan: ScoringPlan
    ) -> None:
        """Own the partition from ``written`` on; batches of other generations are ignored."""
        self._partitions[source.partition] = Partition(source, written, generation, plan)

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

    async def revoke(self, timeout_s: float) -> None:
        """Own nothing any more. What is in flight may end within ``timeout_s``; the rest is dropped."""
        await self.drain(timeout_s)
        for partition in self._partitions.values():
            partition.closed = True
        self._partitions.clear()

    async def wait_for_room(self) -> None:
        """Return when so little is in flight that more may be fetched."""
        await self._room.wait()

    async def drain(self, timeout_s: float) -> None:
        """Wait until nothing is in flight, for at most ``timeout_s``."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=timeout_s)

    def submit(self, batch: FetchedBatch, done: Callable[[], None]) -> None:
        """Take ``batch`` in; ``done`` is called behind its write. Batches that are not due are ignored.

        It never waits: ask `wait_for_room` before fetching more.
        """
        partition = self._partitions.get(batch.partition)
        due = partition.accept(batch) if partition is not None else None
        if partition is None or due is None:
            return
        serving = self._scorer.model
        *others, last = partition.plan.pieces(due, serving.version)
        for piece in others:
            self._start(partition, piece, serving, _nothing)
        self._start(partition, last, serving, done)

    def _start(
        self, partition: Partition, piece: Piece, serving: ServedModel, done: Callable[[], None]
    ) -> None:
        self._room.take(len(piece.batch.records))
        before, stages = partition.line_up(piece.batch.next_offset)
        model = serving if piece.version == serving.version else None
        task = self._tasks.create_task(self._live(partition, piece, model, before, stages, done))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _live(
        self,
        partition: Partition,
        piece: Piece,
        model: ServedModel | None,
        before: Stages,
        stages: Stages,
        done: Callable[[], None],
    ) -> None:
        try:
            await self._steps(partition, piece, model, before, stages)
            done()
        except Dropped:
            logger.info("a batch of partition %d was dropped", partition.source.partition)
        except StaleOwner as stale:
            await self._read_on_from(partition, stale)
        finally:
            stages.finish()
            self._room.give_back(len(piece.batch.records))

    async def _steps(
        self,
        partition: Partition,
        piece: Piece,
        model: ServedModel | None,
        before: Stages,
        stages: Stages,
    ) -> None:
        # No await stands between here and the claim in _read: batches claim their users in order.
        with self._profile.measure("decode"):
            decoded = decode_batch(piece.batch, partition.source)
        slots = await self._read(partition, decoded)
        model = model or await self._keeper.model(piece.version)
        await partition.turn(before.queued)
        scoring = self._scorer.score(decoded, slots, model)
        stages.queued.set()
        scored = await scoring
        await partition.turn(before.published)
        if not piece.silent:
            await self._publish(partition.source, piece, scored)
        stages.published.set()
        await partition.turn(before.written)
        await self._write(partition, scored)
        partition.memory.release(slots)
        self._profile.events += len(piece.batch.records)
        partial = _partial_predictions(scored, slots) if partition.plan.history.cut else 0
        self._tally.count(scored, partial=partial, silent=piece.silent)

    async def _publish(self, source: SourcePartition, piece: Piece, scored: ScoredBatch) -> None:
        change = piece.change
        if change is not None:
            await self._patiently(lambda: self._keeper.announce(source, change))
        await self._publisher.publish(scored)

    async def _read(self, partition: Partition, decoded: DecodedBatch) -> Mapping[bytes, Slot]:
        users = dict.fromkeys(user for user, _, _ in decoded.events)
        slots, missing = partition.memory.claim(users)
        expected = partition.boundaries()
        snapshot = await self._patiently(lambda: self._store.read(partition.source, missing))
        if snapshot.offset not in expected:
            raise StaleOwner(partition.written, snapshot.offset)
        with self._profile.measure("read"):
            for user, state in zip(missing, unpack_states(snapshot.states), strict=True):
                slots[user].state = state
            mark_partial(partition.plan.history.cut, decoded, slots)
        return slots

    async def _write(self, partition: Partition, scored: ScoredBatch) -> None:
        await self._patiently(
            lambda: self._store.write(partition.source, partition.written, scored.next_offset, scored.states)
        )
        partition.confirm(scored.next_offset)

    async def _read_on_from(self, partition: Partition, stale: StaleOwner) -> None:
        """Drop what is in flight for the partition, and read on from where Redis stands."""
        if partition.closed:
            return
        partition.closed = True
        number = partition.source.partition
        logger.warning("partition %d: %s; reading on from there", number, stale)
        actual = stale.actual if stale.actual != BEING_EMPTIED else await self._offset(partition.source)
        published = max(partition.written or 0, partition.plan.silent_until)
        plan = await self.plan(partition.source, actual, published)
        plan.frontier = max(plan.frontier, partition.accepted)
        generation = await self._seek(number, actual)
        if self._partitions.get(number) is partition:
            self.assign(partition.source, actual, generation, plan)

    async def _look_after_states(self) -> None:
        while True:
            await asyncio.sleep(STORE_LOOK_INTERVAL_S)
            await self.look()

    async def _offset(self, source: SourcePartition) -> int | None:
        return await self._patiently(lambda: self._store.offset(source))

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Await ``call``, again while Redis or the brokers are away, until the retry limit has passed."""
        give_up_s, pause_s = time.monotonic() + self._store_retry_limit_s, 0.05
        while True:
            try:
                return await call()
            except (StoreUnavailable, BrokerUnavailable) as error:
                if time.monotonic() >= give_up_s:
                    raise
                logger.warning("%s Trying again in %.2f s.", error, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)


def _partial_predictions(scored: ScoredBatch, slots: Mapping[bytes, Slot]) -> int:
    return sum(slots[user].state.partial for user, _ in scored.predictions)


def _nothing() -> None:
    """Stand for what is done behind the last piece of a batch only."""
