"""The ledger topic: what is known of each partition beside its records, read at each take-over.

A record's key says what it is about: ``scope|topic id|kind|offset``, and its value is JSON. The topic is
compacted, and no key is written twice with different values. A growth of the topic (`streamer.growth`) is
that of all scopes: its scope is empty, and it stands in partition 0.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from streamer.errors import BrokerUnavailable
from streamer.growth import GROWTH, GROWTH_PARTITION, Ancestor, ancestors, read_growth
from streamer.history import HistoryCut, ModelChange, PartitionHistory
from streamer.records import SourcePartition
from streamer.topic_reading import LOG_ALERTS_ONLY

TIMEOUT_S: Final = 15.0
MODEL: Final = "model"
CUT: Final = "cut"
_MESSAGES_PER_POLL: Final = 1_000
_POLL_S: Final = 0.02
_FETCH_WAIT_MS: Final = 10


def states_tag(scope: str, topic_id: str) -> str:
    """Return what marks committed offsets as those of the states of ``scope`` for the topic."""
    return f"{scope}|{topic_id}"


def committed_tag(scope: str, topic_id: str) -> str:
    """Return `states_tag` as it is committed: with an end that a reader of C strings sees."""
    return states_tag(scope, topic_id) + "\0"


class Bounds(msgspec.Struct, frozen=True):
    """Where a partition of the events topic begins and ends, and up to where all was published and written.

    ``settled`` is the consumer group's committed offset, if it was committed for the same states; else None.
    """

    begin: int
    end: int
    settled: int | None


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
        self._events_topic = events_topic
        self._topic = ledger_topic
        self._scope = scope
        client = {"bootstrap.servers": bootstrap, "log_level": LOG_ALERTS_ONLY, **security}
        self._reader_settings = {
            **client,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # The end of a partition is told only when a fetch there has waited this long.
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
        }
        self._producer_settings = {**client, "enable.idempotence": True, "linger.ms": 0}
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._lock = asyncio.Lock()
        self._next: dict[int, int] = {}
        self._seen: defaultdict[int, dict[str, bytes]] = defaultdict(dict)

    async def histories(self, sources: Iterable[SourcePartition]) -> dict[int, PartitionHistory]:
        """Return the history of each partition, with all that was acknowledged before the call."""
        wanted = {source.partition: source for source in sources}
        async with self._lock:
            await asyncio.to_thread(self._read, sorted({GROWTH_PARTITION, *wanted}))
            came_from = {one.partition for source in wanted.values() for one in self._ancestors(source)}
            if came_from - wanted.keys():
                await asyncio.to_thread(self._read, sorted(came_from - wanted.keys()))
        return {number: self._history(source) for number, source in wanted.items()}

    async def bounds(self, sources: Iterable[SourcePartition]) -> dict[int, Bounds]:
        """Return the bounds of each partition of the events topic."""
        async with self._lock:
            return await asyncio.to_thread(self._bounds, list(sources))

    async def announce(self, source: SourcePartition, change: ModelChange) -> None:
        """Return once it is acknowledged that ``change.version`` scores ``source`` from there on."""
        await self._append(source, MODEL, change.from_offset, {"version": change.version})

    async def note_cut(self, source: SourcePartition, offset: int, cut: HistoryCut) -> None:
        """Return once it is acknowledged that users' histories are cut."""
        await self._append(source, CUT, offset, {"until_ms": cut.until_ms})

    def close(self) -> None:
        """Give the connections back."""
        if self._consumer is not None:
            self._consumer.close()

    async def _append(self, source: SourcePartition, kind: str, offset: int, value: dict[str, Any]) -> None:
        key = f"{self._scope}|{source.topic_id}|{kind}|{offset}"
        await asyncio.to_thread(self._produce, source.partition, key, msgspec.json.encode(value))

    def _produce(self, partition: int, key: str, value: bytes) -> None:
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
        for key, value in self._seen[source.partition].items():
            scope, topic_id, kind, offset = key.rsplit("|", 3)
            if (scope, topic_id) != (self._scope, source.topic_id):
                continue
            if kind == MODEL:
                changes.append(ModelChange(int(offset), msgspec.json.decode(value)["version"]))
            elif kind == CUT:
                cuts.append(HistoryCut(msgspec.json.decode(value)["until_ms"]))
        return PartitionHistory.of(changes, cuts)

    def _ancestors(self, source: SourcePartition) -> tuple[Ancestor, ...]:
        about = f"|{source.topic_id}|{GROWTH}|"
        seen = self._seen[GROWTH_PARTITION].items()
        growths = [read_growth(value) for key, value in seen if key.startswith(about)]
        return ancestors(source.partition, growths)

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(self._reader_settings)
        return self._consumer

    def _reconnect(self) -> None:
        """Connect anew with the next call: a client may not know partitions that were added a while ago."""
        self.close()
        self._consumer = None

    def _read(self, partitions: list[int]) -> None:
        """Read on in each of ``partitions`` up to its present end."""
        try:
            self._read_with(self._connected(), partitions)
        except BrokerUnavailable:
            self._reconnect()
            raise

    def _read_with(self, consumer: Consumer, partitions: list[int]) -> None:
        consumer.assign(
            [TopicPartition(self._topic, one, self._next.get(one, OFFSET_BEGINNING)) for one in partitions]
        )
        unread, heard_s = set(partitions), time.monotonic()
        while unread:
            for message in consumer.consume(_MESSAGES_PER_POLL, _POLL_S):
                heard_s = time.monotonic()
                partition, error = message.partition() or 0, message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(partition)
                elif error is not None:
                    raise BrokerUnavailable(f"cannot read the ledger {self._topic}: {error.str()}")
                else:
                    self._next[partition] = (message.offset() or 0) + 1
                    key = (message.key() or b"").decode()
                    self._seen[partition].setdefault(key, message.value() or b"")
            if time.monotonic() - heard_s > TIMEOUT_S:
                raise BrokerUnavailable(f"the ledger {self._topic} did not answer; are the brokers up?")
        consumer.unassign()

    def _bounds(self, sources: list[SourcePartition]) -> dict[int, Bounds]:
        consumer = self._connected()
        places = {one: TopicPartition(self._events_topic, one.partition) for one in sources}
        try:
            committed = consumer.committed(list(places.values()), timeout=TIMEOUT_S)
            ranges = {
                one: consumer.get_watermark_offsets(place, timeout=TIMEOUT_S) for one, place in places.items()
            }
        except KafkaException as error:
            self._reconnect()
            said = error.args[0].str()
            raise BrokerUnavailable(f"the brokers did not tell offsets ({said}); are they up?") from error
        found = {place.partition: place for place in committed}
        return {
            one.partition: Bounds(*ranges[one], self._settled(found[one.partition], one)) for one in sources
        }

    def _settled(self, committed: TopicPartition, source: SourcePartition) -> int | None:
        """Return the committed offset; None if it was committed for other states or another topic."""
        same = committed.offset >= 0 and _metadata(committed) == states_tag(self._scope, source.topic_id)
        return committed.offset if same else None


def _metadata(committed: TopicPartition) -> str | None:
    """Return what was committed with an offset, up to the end that `committed_tag` gives it.

    librdkafka hands it over without its length, so that other bytes may follow.
    """
    try:
        return committed.metadata
    except UnicodeDecodeError:
        return None
