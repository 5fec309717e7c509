"""The life of an event, from a fetched record to a prediction, in the order that loses nothing.

1. the transport hands in what one fetch brought: a batch of each partition that had records;
2. decode; 3. read the users' states; 4. and 5. windows, states and heads, in the scoring threads;
6. publish and await the acks; 7. write the states and the offset in one guarded step; 8. done.

The batches of a fetch go through the steps together, each a `Journey`. Fetches overlap: each step runs
while its neighbours run for other fetches. Within a partition every step keeps the batches' order. A batch is
done only after its write; whatever dies before, the partition goes on from the offset in Redis and publishes
the same ids again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Any, Final

from model_store.serving import ServedModel
from streamer.errors import AncestorBehind, BatchMissed, StaleOwner, StreamerError
from streamer.history import Keeper, Piece, mark_partial
from streamer.inheritance import with_inherited
from streamer.journey import Journey
from streamer.ownership import Ownership, Reading
from streamer.partitions import Partition, Stages
from streamer.patience import Patience
from streamer.profile import Profile
from streamer.publishing import Publisher
from streamer.records import FetchedBatch
from streamer.room import Room
from streamer.scorer import Scorer
from streamer.tally import Tally
from streamer.window_store import WindowStore

logger = logging.getLogger(__name__)

STORE_RETRY_LIMIT_S: Final = 60.0
QUEUED: Final = attrgetter("queued")
PUBLISHED: Final = attrgetter("published")
WRITTEN: Final = attrgetter("written")


class Pipeline:
    """Runs fetches through the steps. `run` must be running while they are submitted.

    ``owned`` are the partitions whose batches are due; for ``reading`` and ``keeper`` see `Ownership`. While
    Redis or the ledger is unavailable, calls are tried again for ``store_retry_limit_s``; then `run` ends
    with `StoreUnavailable` or `BrokerUnavailable`.
    """

    def __init__(
        self,
        store: WindowStore,
        scorer: Scorer,
        publisher: Publisher,
        reading: Reading,
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
        self.owned = Ownership(store, keeper, reading, self._patience)
        self._tasks = asyncio.TaskGroup()
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled. What no retry can cure ends the run with its error."""
        async with self._tasks as tasks:
            tasks.create_task(self._scorer.run())
            tasks.create_task(self.owned.look_after_states())

    async def revoke(self, timeout_s: float) -> None:
        """Own nothing any more. What is in flight may end within ``timeout_s``; the rest is dropped."""
        self._room.arrive()  # a fetch on its way here may be dropped
        await self.drain(timeout_s)
        self.owned.give_up()

    async def wait_for_room(self) -> None:
        """Return when so little is in flight that more may be fetched."""
        await self._room.wait()

    def expect(self) -> None:
        """Note that a fetch is on its way to `submit`: until it is here, or `revoke`, there is no room."""
        self._room.expect()

    async def drain(self, timeout_s: float) -> None:
        """Wait until nothing is in flight, for at most ``timeout_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._in_flight:  # what ends may have left its partition to be read on from elsewhere
                    await asyncio.wait(self._in_flight)

    def submit(self, fetch: Iterable[FetchedBatch], done: Callable[[FetchedBatch], None]) -> None:
        """Take ``fetch`` in; ``done`` is called for each batch behind its write. What is not due is ignored.

        It never waits: ask `wait_for_room` before fetching more.
        """
        self._room.arrive()
        serving = self._scorer.model
        together, stages = list[Journey](), Stages()
        for batch in fetch:
            partition = self.owned.partition(batch.partition)
            if partition is None or (due := self._due(partition, batch)) is None:
                continue
            *others, last = partition.plan.pieces(due, serving.version)
            for piece in others:
                self._start_alone(partition, piece, _nothing)
            end = partial(done, batch)
            if last.version == serving.version:
                before = partition.line_up(last.batch.next_offset, stages)
                together.append(Journey(partition, last, before, end))
            else:
                self._start_alone(partition, last, end)
        if together:
            self._start(together, stages, serving)

    def _due(self, partition: Partition, batch: FetchedBatch) -> FetchedBatch | None:
        """Return what `Partition.accept` does; let the partition be read again where a batch was missed."""
        try:
            return partition.accept(batch)
        except BatchMissed as missed:
            self._read_on(partition, missed)
            return None

    def _start_alone(self, partition: Partition, piece: Piece, done: Callable[[], None]) -> None:
        """Start a piece that another version may have to score."""
        stages, serving = Stages(), self._scorer.model
        before = partition.line_up(piece.batch.next_offset, stages)
        model = serving if piece.version == serving.version else None
        self._start([Journey(partition, piece, before, done)], stages, model)

    def _start(self, journeys: list[Journey], stages: Stages, model: ServedModel | None) -> None:
        events = sum(len(one.piece.batch.records) for one in journeys)
        self._room.take(events)
        self._go(self._live(journeys, stages, model, events))

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _live(
        self, journeys: list[Journey], stages: Stages, model: ServedModel | None, events: int
    ) -> None:
        try:
            await self._steps(journeys, stages, model)
        finally:
            stages.finish()
            self._room.give_back(events)

    async def _steps(self, journeys: list[Journey], stages: Stages, model: ServedModel | None) -> None:
        # No await stands between here and the claims in _read: batches claim their users in order.
        with self._profile.measure("decode"):
            for journey in journeys:
                journey.decode()
        journeys = await self._read(journeys)
        if journeys and model is None:
            model = await self._keeper.model(journeys[0].piece.version)
        journeys = await self._turn(journeys, QUEUED)
        if not journeys or model is None:
            return
        scoring = self._scorer.score([(one.decoded, one.slots) for one in journeys], model)
        stages.queued.set()
        for journey, scored in zip(journeys, await scoring, strict=True):
            journey.scored = scored
        journeys = await self._turn(journeys, PUBLISHED)
        await self._publish([one for one in journeys if not one.piece.silent])
        stages.published.set()
        await self._write(await self._turn(journeys, WRITTEN))

    async def _turn(self, journeys: list[Journey], stage: Callable[[Stages], asyncio.Event]) -> list[Journey]:
        """Wait for ``stage`` of the batches before; return the journeys that go on."""
        for journey in journeys:
            await stage(journey.before).wait()
        going = [one for one in journeys if not one.partition.closed]
        if len(going) < len(journeys):
            # A closed partition is another owner's, or is being read again from elsewhere.
            logger.info("%d batches were dropped: their partitions were closed", len(journeys) - len(going))
        return going

    async def _read(self, journeys: list[Journey]) -> list[Journey]:
        """Bring the states of the batches' users; return the journeys whose partitions are where expected."""
        questions = [one.claim() for one in journeys]
        expected = [one.expected() for one in journeys]
        snapshots = await self._patience.ask(lambda: self._store.read(questions))
        going = []
        for journey, offsets, snapshot in zip(journeys, expected, snapshots, strict=True):
            if snapshot.offset not in offsets:
                self._read_on(journey.partition, StaleOwner(journey.partition.written, snapshot.offset))
            elif await self._fill(journey, snapshot.states):
                going.append(journey)
        return going

    async def _fill(self, journey: Journey, states: list[bytes | None]) -> bool:
        """Put ``states`` into the slots, with those of the partition's ancestors; tell whether it goes on."""
        history = journey.partition.plan.history
        if history.ancestors:
            source, missing = journey.partition.source, journey.missing
            try:
                states = await self._patience.ask(
                    lambda: with_inherited(self._store, source, history.ancestors, missing, states)
                )
            except AncestorBehind as behind:
                self._read_on(journey.partition, behind)
                return False
        with self._profile.measure("read"):
            for user, state in zip(journey.missing, states, strict=True):
                journey.slots[user].record = state
            mark_partial(history.cut, journey.decoded, journey.slots)
        return True

    async def _publish(self, journeys: list[Journey]) -> None:
        for journey in journeys:
            source, change = journey.partition.source, journey.piece.change
            if change is not None:
                await self._patience.ask(partial(self._keeper.announce, source, change))
        if journeys:
            await self._publisher.publish([one.scored for one in journeys])

    async def _write(self, journeys: list[Journey]) -> None:
        if not journeys:
            return
        writes = [one.write() for one in journeys]
        refusals = await self._patience.ask(lambda: self._store.write(writes))
        for journey, refusal in zip(journeys, refusals, strict=True):
            if refusal is not None:
                self._read_on(journey.partition, refusal)
                continue
            self._tally.count(
                journey.scored, partial=journey.partial_predictions(), silent=journey.piece.silent
            )
            self._profile.events += len(journey.piece.batch.records)
            journey.end()

    def _read_on(self, partition: Partition, reason: StreamerError) -> None:
        """Let the partition be read on from where Redis stands, beside what goes on of the fetch."""
        self._go(self.owned.read_on_from(partition, reason))


def _nothing() -> None:
    """Stand for what is done behind the last piece of a batch only."""
