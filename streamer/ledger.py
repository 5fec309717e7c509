"""The ledger topic: what is known of each partition beside its records, read at each take-over.

A record's key says what it is about: ``scope|topic id|kind|offset``, and its value is JSON. The topic is
compacted, and no key is written twice with different values. How the topic grew (`streamer.growth`) is
that of all scopes: its scope is empty, and it stands in partition 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streamer.errors import BrokerUnavailable
from streamer.growth import GROWTH_PARTITION, Ancestor, GrowthRecords, ancestors, count_record
from streamer.history import HistoryCut, ModelChange, PartitionHistory
from streamer.ledger_reading import TIMEOUT_S, Bounds, LedgerReader
from streamer.records import SourcePartition
from streamer.topic_reading import LOG_ALERTS_ONLY

MODEL: Final = "model"
CUT: Final = "cut"


class Ledger:
    """Reads and writes the ledger, and asks for the bounds of the events topic.

    ``scope`` names the states: those of another Redis prefix have a history of their own. Its calls block a
    thread of the pool, never the event loop. All raise `BrokerUnavailable` when the brokers do not answer.
    """

    def __init__(
        self,
        bootstrap: str,
        events_topic: str,
        ledger_topic: str,
        group: str,
        scope: str,
        security: Mapping[str, str],
    ) -> None:
        self._topic = ledger_topic
        self._scope = scope
        client: dict[str, str | int] = {
            "bootstrap.servers": bootstrap,
            "log_level": LOG_ALERTS_ONLY,
            **security,
        }
        self._reader = LedgerReader(client, ledger_topic, events_topic, group)
        self._producer_settings = {**client, "enable.idempotence": True, "linger.ms": 0}
        self._producer: Producer | None = None
        self._lock = asyncio.Lock()
        self._asked_for: set[int] = set()

    async def histories(self, sources: Iterable[SourcePartition]) -> dict[int, PartitionHistory]:
        """Return the history of each partition, with all that was acknowledged before the call."""
        wanted = {source.partition: source for source in sources}
        await self._read_on({GROWTH_PARTITION, *wanted})
        came_from = {one.partition for source in wanted.values() for one in self._ancestors(source)}
        if came_from - wanted.keys():
            await self._read_on(came_from - wanted.keys())
        return {number: self._history(source) for number, source in wanted.items()}

    async def bounds(self, sources: Iterable[SourcePartition]) -> dict[int, Bounds]:
        """Return the bounds of each partition of the events topic."""
        async with self._lock:
            return await asyncio.to_thread(self._reader.bounds, list(sources), self._scope)

    async def partition_count(self, topic_id: str) -> tuple[int, GrowthRecords]:
        """Return how many partitions the events topic has, and what was recorded of how it got them."""
        async with self._lock:
            # The number first: a growth is recorded before the topic has its new partitions.
            count = await asyncio.to_thread(self._reader.events_partitions)
            await asyncio.to_thread(self._reader.read, [GROWTH_PARTITION])
        return count, GrowthRecords.of(topic_id, self._reader.seen(GROWTH_PARTITION))

    async def announce(self, source: SourcePartition, change: ModelChange) -> None:
        """Return once it is acknowledged that ``change.version`` scores ``source`` from there on."""
        await self._append(source, MODEL, change.from_offset, {"version": change.version})

    async def note_cut(self, source: SourcePartition, offset: int, cut: HistoryCut) -> None:
        """Return once it is acknowledged that users' histories are cut."""
        await self._append(source, CUT, offset, {"until_ms": cut.until_ms})

    async def note_partition_count(self, topic_id: str, count: int) -> None:
        """Return once it is acknowledged that a worker saw ``count`` partitions, rightly come about."""
        await asyncio.to_thread(self._produce, GROWTH_PARTITION, *count_record(topic_id, count))

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()

    async def _read_on(self, partitions: set[int]) -> None:
        """Read on in ``partitions``, together with those that others ask for meanwhile."""
        self._asked_for |= partitions
        async with self._lock:
            if not partitions & self._asked_for:
                return  # one who waited before has read them, and began behind this call
            together, self._asked_for, done = self._asked_for, set(), False
            try:
                await asyncio.to_thread(self._reader.read, sorted(together))
                done = True
            finally:
                self._asked_for |= set() if done else together

    async def _append(self, source: SourcePartition, kind: str, offset: int, value: dict[str, Any]) -> None:
        key = f"{self._scope}|{source.topic_id}|{kind}|{offset}"
        await asyncio.to_thread(self._produce, source.partition, key.encode(), msgspec.json.encode(value))

    def _produce(self, partition: int, key: bytes, value: bytes) -> None:
        producer = self._producer
        if producer is None:
            producer = self._producer = Producer(self._producer_settings)
        refused: list[KafkaError] = []

        def note(error: KafkaError | None, _message: Message | None) -> None:
            if error is not None:
                refused.append(error)

        try:
            producer.produce(self._topic, value, key, partition, on_delivery=note)
        except KafkaException as error:
            note(error.args[0], None)
        left = producer.flush(TIMEOUT_S)
        if left or refused:
            self._producer = (
                None  # one that knows the topic's partitions of a while ago may not know this one
            )
            said = refused[0].str() if refused else f"no answer for {TIMEOUT_S:g} s"
            raise BrokerUnavailable(
                f"the ledger {self._topic} did not take a record ({said}); are the brokers up?"
            )

    def _history(self, source: SourcePartition) -> PartitionHistory:
        """Return the history of ``source``: cut where one is that its users bring along."""
        came_from = self._ancestors(source)
        own = self._own_history(source)
        others = [self._own_history(replace(source, partition=one.partition)) for one in came_from]
        cuts = [one.cut for one in (own, *others) if one.cut is not None]
        return PartitionHistory.of(own.changes, cuts, came_from)

    def _own_history(self, source: SourcePartition) -> PartitionHistory:
        changes, cuts = [], []
        for key, value in self._reader.seen(source.partition).items():
            scope, topic_id, kind, offset = key.rsplit("|", 3)
            if (scope, topic_id) != (self._scope, source.topic_id):
                continue
            if kind == MODEL:
                changes.append(ModelChange(int(offset), msgspec.json.decode(value)["version"]))
            elif kind == CUT:
                cuts.append(HistoryCut(msgspec.json.decode(value)["until_ms"]))
        return PartitionHistory.of(changes, cuts)

    def _ancestors(self, source: SourcePartition) -> tuple[Ancestor, ...]:
        records = GrowthRecords.of(source.topic_id, self._reader.seen(GROWTH_PARTITION))
        return ancestors(source.partition, records.growths)
