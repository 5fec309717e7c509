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
from collections.abc import Callable, Mapping

from model_store.serving import ServedModel
from streamer.decoding import decode_batch
from streamer.errors import AncestorBehind, StaleOwner
from streamer.history import Keeper, Piece, mark_partial
from streamer.inheritance import with_inherited
from streamer.memory import Slot
from streamer.ownership import Ownership, Seek
from streamer.partitions import Dropped, Partition, Stages
from streamer.patience import Patience
from streamer.profile import Profile
from streamer.publishing import Publisher
from streamer.records import DecodedBatch, FetchedBatch, SourcePartition
from streamer.room import Room
from streamer.scorer import Scorer
from streamer.scoring import ScoredBatch
from streamer.tally import Tally
from streamer.window_store import WindowStore

logger = logging.getLogger(__name__)

STORE_RETRY_LIMIT_S = 60.0


class Pipeline:
    """Runs batches through the steps. `run` must be running while batches are submitted.

    ``owned`` are the partitions whose batches are due; for ``seek`` and ``keeper`` see `Ownership`. While
    Redis or the ledger is unavailable, calls are tried again for ``store_retry_limit_s``; then `run` ends
    with `StoreUnavailable` or `BrokerUnavailable`.
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
        self._keeper = keeper
        self._room = room
        self._tally = tally
        self._profile = profile or Profile()
        self._patience = Patience(store_retry_limit_s)
        self.owned = Ownership(store, keeper, seek, self._patience)
        self._tasks = asyncio.TaskGroup()
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled. What no retry can cure ends the run with its error."""
        async with self._tasks as tasks:
            tasks.create_task(self._scorer.run())
            tasks.create_task(self.owned.look_after_states())

    async def revoke(self, timeout_s: float) -> None:
        """Own nothing any more. What is in flight may end within ``timeout_s``; the rest is dropped."""
        await self.drain(timeout_s)
        self.owned.give_up()

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
        partition = self.owned.partition(batch.partition)
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
        except (StaleOwner, AncestorBehind) as reason:
            await self.owned.read_on_from(partition, reason)
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
            await self._patience.ask(lambda: self._keeper.announce(source, change))
        await self._publisher.publish(scored)

    async def _read(self, partition: Partition, decoded: DecodedBatch) -> Mapping[bytes, Slot]:
        users = dict.fromkeys(user for user, _, _ in decoded.events)
        slots, missing = partition.memory.claim(users)
        expected = partition.boundaries(decoded.next_offset)
        snapshot = await self._patience.ask(lambda: self._store.read(partition.source, missing))
        if snapshot.offset not in expected:
            raise StaleOwner(partition.written, snapshot.offset)
        states, ancestors = snapshot.states, partition.plan.history.ancestors
        if ancestors:
            states = await self._patience.ask(
                lambda: with_inherited(self._store, partition.source, ancestors, missing, snapshot.states)
            )
        with self._profile.measure("read"):
            for user, state in zip(missing, states, strict=True):
                slots[user].record = state
            mark_partial(partition.plan.history.cut, decoded, slots)
        return slots

    async def _write(self, partition: Partition, scored: ScoredBatch) -> None:
        await self._patience.ask(
            lambda: self._store.write(partition.source, partition.written, scored.next_offset, scored.states)
        )
        partition.confirm(scored.next_offset)


def _partial_predictions(scored: ScoredBatch, slots: Mapping[bytes, Slot]) -> int:
    return sum(slots[user].partial for user, _ in scored.predictions)


def _nothing() -> None:
    """Stand for what is done behind the last piece of a batch only."""
