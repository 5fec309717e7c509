"""What the ledger says, read with a client that blocks, and where the events topic's partitions stand."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streamer.errors import BrokerUnavailable
from streamer.records import SourcePartition

TIMEOUT_S: Final = 15.0
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


class LedgerReader:
    """Reads on in the ledger's partitions, and remembers what it read. Its calls block.

    ``client`` is librdkafka's configuration. All calls raise `BrokerUnavailable` when the brokers do not
    answer.
    """

    def __init__(
        self, client: Mapping[str, str | int], ledger_topic: str, events_topic: str, group: str
    ) -> None:
        self._topic = ledger_topic
        self._events_topic = events_topic
        self._settings = {
            **client,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # The end of a partition is told only when a fetch there has waited this long.
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
        }
        self._consumer: Consumer | None = None
        self._next: dict[int, int] = {}
        self._seen: defaultdict[int, dict[str, bytes]] = defaultdict(dict)

    def seen(self, partition: int) -> Mapping[str, bytes]:
        """Return what was read of a partition of the ledger, by key; the first value of a key counts."""
        return self._seen[partition]

    def close(self) -> None:
        """Give the connections back; the next call connects anew."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def read(self, partitions: Sequence[int]) -> None:
        """Read on in each of ``partitions`` up to its present end."""
        try:
            self._read_with(self._connected(), partitions)
        except BrokerUnavailable:
            self.close()  # a client may not know partitions that were added a while ago
            raise

    def bounds(self, sources: Sequence[SourcePartition], scope: str) -> dict[int, Bounds]:
        """Return the bounds of each partition of the events topic, for the states of ``scope``."""
        places = {one: TopicPartition(self._events_topic, one.partition) for one in sources}
        consumer = self._connected()
        try:
            committed = consumer.committed(list(places.values()), timeout=TIMEOUT_S)
            ranges = {
                one: consumer.get_watermark_offsets(place, timeout=TIMEOUT_S) for one, place in places.items()
            }
        except KafkaException as error:
            self.close()
            raise _unanswered(error) from error
        found = {place.partition: place for place in committed}
        return {
            one.partition: Bounds(*ranges[one], _settled(found[one.partition], one, scope)) for one in sources
        }

    def events_partitions(self) -> int:
        """Ask how many partitions the events topic has now."""
        try:
            topics = self._connected().list_topics(self._events_topic, timeout=TIMEOUT_S).topics
        except KafkaException as error:
            self.close()
            raise _unanswered(error) from error
        return len(topics[self._events_topic].partitions)

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(self._settings)
        return self._consumer

    def _read_with(self, consumer: Consumer, partitions: Iterable[int]) -> None:
        unread, heard_s = set(partitions), time.monotonic()
        starts = {one: self._next.get(one, OFFSET_BEGINNING) for one in sorted(unread)}
        consumer.assign([TopicPartition(self._topic, one, start) for one, start in starts.items()])
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


def _unanswered(error: KafkaException) -> BrokerUnavailable:
    return BrokerUnavailable(f"the brokers did not tell offsets ({error.args[0].str()}); are they up?")


def _settled(committed: TopicPartition, source: SourcePartition, scope: str) -> int | None:
    """Return the committed offset; None if it was committed for other states or another topic."""
    same = committed.offset >= 0 and _metadata(committed) == states_tag(scope, source.topic_id)
    return committed.offset if same else None


def _metadata(committed: TopicPartition) -> str | None:
    """Return what was committed with an offset, up to the end that `committed_tag` gives it.

    librdkafka hands it over without its length, so that other bytes may follow.
    """
    try:
        return committed.metadata
    except UnicodeDecodeError:
        return None
