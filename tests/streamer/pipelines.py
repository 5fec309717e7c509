"""A pipeline around a store and a topic that a test can look into, slow down and unplug."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

import msgspec

from model_store.serving import ServedModel
from streamer.errors import PublishFailed, StaleOwner
from streamer.history import HistoryCut, ModelChange, PartitionHistory, ScoringPlan
from streamer.pipeline import Pipeline
from streamer.profile import Profile
from streamer.records import FetchedBatch, SourcePartition
from streamer.rendering import RenderingSettings
from streamer.room import Room
from streamer.scorer import Scorer
from streamer.scoring import ScoredBatch, ScoringSettings
from streamer.tally import Tally
from streamer.warming import warm
from streamer.window_store import Question, Snapshot, Write
from tests.streamer.events import START_MS, Record, batch, event, record
from tests.streamer.models import random_model
from tests.streamer.stores import InMemoryWindowStore

SOURCE = SourcePartition("topicid0abcdefghijklmn", 0)
MODEL = random_model()
RETRY_LIMIT_S = 2.0  # the pauses before the sixth try add up to 1.55 s


class Topic:
    """Stands for the predictions topic: what was acknowledged, in order."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self.fail = False
        self.before_ack: Callable[[], Awaitable[None]] | None = None

    async def publish(self, batches: Sequence[ScoredBatch]) -> None:
        if self.fail:
            raise PublishFailed("unplugged")
        await asyncio.sleep(0)
        self.values += [msgspec.json.decode(value) for scored in batches for _, value in scored.predictions]
        if self.before_ack is not None:
            await self.before_ack()

    @property
    def events(self) -> list[str]:
        return [value["event_id"] for value in self.values]


class UnevenTopic(Topic):
    """A topic whose acks take turns of the event loop, as many as ``turns`` draws."""

    def __init__(self, turns: Random) -> None:
        super().__init__()
        self._turns = turns

    async def publish(self, batches: Sequence[ScoredBatch]) -> None:
        await let_others_go_first(self._turns)
        await super().publish(batches)


class UnevenStore(InMemoryWindowStore):
    """A store whose requests and answers take turns of the event loop, as many as ``turns`` draws."""

    def __init__(self, turns: Random) -> None:
        super().__init__()
        self._turns = turns

    async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
        await let_others_go_first(self._turns)
        snapshots = await super().read(questions)
        await let_others_go_first(self._turns)
        return snapshots

    async def write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
        await let_others_go_first(self._turns)
        refusals = await super().write(writes)
        await let_others_go_first(self._turns)
        return refusals


class AskedStore(InMemoryWindowStore):
    """A store that remembers the users whose states it was ``asked`` for, read by read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[bytes]] = []

    async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
        self.asked += [list(users) for _, users in questions]
        return await super().read(questions)


async def let_others_go_first(turns: Random) -> None:
    """Give up to 40 turns of the event loop away: some batches then wait long, others not at all."""
    for _ in range(turns.choice([0, 0, 5, 40])):
        await asyncio.sleep(0)


class InMemoryKeeper:
    """Stands for the ledger and the model store: what was announced, in order, and the group's offset.

    ``end`` is the end of the log when a plan is made, ``settled`` the offset that the group has committed.
    """

    def __init__(self, *models: ServedModel) -> None:
        self.changes: list[ModelChange] = []
        self.cut: HistoryCut | None = None
        self.end = 0
        self.settled = 0
        self.asked: list[str] = []
        self.before_announcing: Callable[[], Awaitable[None]] | None = None
        self._models = {model.version: model for model in models}

    async def plan(self, _source: SourcePartition, written: int | None, published: int) -> ScoringPlan:
        settled = max(self.settled, published)
        silent_until = settled if settled > (written or 0) else 0
        return ScoringPlan(PartitionHistory(tuple(self.changes), self.cut), self.end, silent_until)

    async def announce(self, _source: SourcePartition, change: ModelChange) -> None:
        if self.before_announcing is not None:
            await self.before_announcing()
        self.changes.append(change)

    async def model(self, version: str) -> ServedModel:
        self.asked.append(version)
        return self._models[version]


class Worker:
    """One worker's pipeline over a shared store and topic, and the log that it reads."""

    def __init__(
        self,
        store: InMemoryWindowStore,
        topic: Topic,
        log: Sequence[Record],
        keeper: InMemoryKeeper | None = None,
        model: ServedModel = MODEL,
    ) -> None:
        self.log = log
        self.keeper = keeper or InMemoryKeeper()
        self.before_seek: Callable[[], Awaitable[None]] | None = None
        self.seeks: list[int | None] = []
        self.done: list[int] = []
        self.tally = Tally()
        scoring = ScoringSettings(10_000, RenderingSettings(2, 0.8))
        self.scorer = Scorer(model, scoring, 1_000, lambda: START_MS, Profile())
        self.pipeline = Pipeline(
            store,
            self.scorer,
            topic,
            self,
            self.keeper,
            Room(8, 1_000, small_fetches=8),
            self.tally,
            store_retry_limit_s=RETRY_LIMIT_S,
        )
        self._rewound = asyncio.Event()
        self._generation = 1

    async def __aenter__(self) -> Worker:
        self.running = asyncio.create_task(self.pipeline.run())
        await asyncio.sleep(0)
        starts = await self.pipeline.owned.take_over({0: SOURCE}, {0: 1})
        self.start = starts[0] or 0
        return self

    async def __aexit__(self, *_: object) -> None:
        self.running.cancel()
        with suppress(asyncio.CancelledError, ExceptionGroup):
            await self.running

    def next_generation(self, _partition: int) -> int:
        return self._generation + 1

    async def seek(self, _partition: int, offset: int | None) -> None:
        self._generation += 1
        self.seeks.append(offset)
        if self.before_seek is not None:
            await self.before_seek()
        self._rewound.set()

    async def read(self, size: int, first: int | None = None, generation: int = 1) -> None:
        """Submit the log from ``first`` (default: where the worker starts) in batches of ``size``."""
        at = self.start if first is None else first
        fetched_from = at
        while at < len(self.log):
            records = self.log[at : at + size]
            at += len(records)
            await self.pipeline.wait_for_room()
            fetched = batch(records, generation, fetched_from=fetched_from)
            fetched_from = fetched.next_offset
            self.pipeline.submit([fetched], self._done)

    def _done(self, batch: FetchedBatch) -> None:
        self.done.append(batch.next_offset)

    async def settle(self) -> None:
        """Wait until nothing is in flight."""
        await self.pipeline.drain(100.0)

    async def rewound(self) -> None:
        await asyncio.wait_for(self._rewound.wait(), 5.0)


def log_of(count: int) -> list[Record]:
    users = ["ann", "bob", "cy"]
    return [record(n, event(f"e{n}", users[n % 3], n, f"item-{n % 7}")) for n in range(count)]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    compile_kernels()
    asyncio.run(asyncio.wait_for(scenario(), 120))


@cache
def compile_kernels() -> None:
    """Compile what is not in this machine's cache yet, which may take minutes and is no test's time."""
    warm(MODEL)
