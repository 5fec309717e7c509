"""Putting dead letters back into the events topic, each once, however often and however it is tried.

A letter's event and the note that it was put back are one Kafka transaction, and the transactional id is the
same in every run: a run that is killed leaves nothing behind that a reader of committed records sees, and
one that was only slow is refused as soon as another begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from confluent_kafka import KafkaException, Message, Producer

from streamer.dead_letters import StoredLetter
from streamer.errors import BrokerUnavailable, ReplayFailed
from streamer.letter_headers import REPLAYS_HEADER, TIMESTAMP_HEADER
from streamer.topic_reading import LOG_ALERTS_ONLY, TopicReader

LETTERS_PER_TRANSACTION: Final = 500
TIMEOUT_S: Final = 30.0
MAX_RECORD_BYTES: Final = 100_000_000
_BY_KEY: Final = -1


@dataclass
class ReplayCounts:
    """What became of the letters that a replay was given."""

    put_back: int = 0
    put_back_before: int = 0


class LetterReplay:
    """Puts letters back. Open one with `opened`; while it is open, no other may be."""

    def __init__(self, producer: Producer, events_topic: str, replays_topic: str, done: set[str]) -> None:
        self._producer = producer
        self._events_topic = events_topic
        self._replays_topic = replays_topic
        self._done = done
        self._failures: list[str] = []

    @classmethod
    @contextmanager
    def opened(
        cls, bootstrap: str, events_topic: str, replays_topic: str, security: Mapping[str, str]
    ) -> Iterator[LetterReplay]:
        """Fence off any other replay, and learn which letters were put back before.

        Raises `BrokerUnavailable` or `TopicMissing`.
        """
        producer = Producer(_producer_settings(bootstrap, replays_topic, security))
        try:
            producer.init_transactions(TIMEOUT_S)
        except KafkaException as error:
            said = error.args[0].str()
            raise BrokerUnavailable(f"no transaction can be begun ({said}); are the brokers up?") from error
        # Only what is read behind the fence is certain to hold all that earlier runs committed.
        yield cls(producer, events_topic, replays_topic, put_back_before(bootstrap, replays_topic, security))

    def put_back(
        self, letters: Iterable[StoredLetter], on_done: Callable[[ReplayCounts], None] = lambda _: None
    ) -> ReplayCounts:
        """Put each of ``letters`` back that was not before; ``on_done`` is told behind every transaction.

        The event keeps its key, value and headers. Its timestamp is today's, or retention could take it
        before a worker does. Its partition follows from its key; without a key it is the letter's own.
        Raises `ReplayFailed`: all earlier transactions stand then, and the failed one left nothing.
        """
        counts = ReplayCounts()
        rest = iter(letters)
        while group := list(islice(rest, LETTERS_PER_TRANSACTION)):
            fresh = {letter.source: letter for letter in group if letter.source not in self._done}
            if fresh:
                self._commit(fresh.values())
            self._done.update(fresh)
            counts.put_back += len(fresh)
            counts.put_back_before += len(group) - len(fresh)
            on_done(counts)
        return counts

    def _commit(self, letters: Iterable[StoredLetter]) -> None:
        try:
            self._producer.begin_transaction()
            for letter in letters:
                self._produce(letter)
            self._producer.commit_transaction(TIMEOUT_S)
        except KafkaException as error:
            self._abort(error)

    def _produce(self, letter: StoredLetter) -> None:
        def note_failure(error: Any, _message: Message) -> None:
            if error is not None:
                self._failures.append(f"letter {letter.place}: {error.str()}")

        headers = (
            *letter.headers,
            (TIMESTAMP_HEADER, str(letter.timestamp_ms).encode()),
            (REPLAYS_HEADER, str(letter.replays + 1).encode()),
        )
        self._producer.produce(
            self._events_topic,
            value=letter.value,
            key=letter.key,
            partition=letter.partition if letter.key is None else _BY_KEY,
            headers=list(headers),
            on_delivery=note_failure,
        )
        self._producer.produce(self._replays_topic, key=letter.source.encode(), value=letter.place.encode())

    def _abort(self, error: KafkaException) -> None:
        refused = error.args[0]
        if not refused.fatal():
            with suppress(KafkaException):  # what it leaves open, the next run ends
                self._producer.abort_transaction(TIMEOUT_S)
        what = "; ".join(self._failures[:3]) or refused.str()
        cure = (
            "another replay has begun since"
            if refused.fatal()
            else "run the same command again once that is mended; what was put back is not put back twice"
        )
        raise ReplayFailed(f"letters could not be put back: {what}; {cure}") from error


def put_back_before(bootstrap: str, replays_topic: str, security: Mapping[str, str]) -> set[str]:
    """Return the sources of all letters that were put back. Raises `BrokerUnavailable` or `TopicMissing`."""
    reader = TopicReader(bootstrap, replays_topic, security)
    return {
        (message.key() or b"").decode(errors="replace")
        for partition, (first, end) in reader.ranges().items()
        for message in reader.read(partition, first, end)
    }


def _producer_settings(bootstrap: str, replays_topic: str, security: Mapping[str, str]) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "log_level": LOG_ALERTS_ONLY,
        "transactional.id": replays_topic,
        "partitioner": "murmur2_random",
        # A letter may be larger than the brokers take uncompressed.
        "compression.type": "zstd",
        "message.max.bytes": MAX_RECORD_BYTES,
        **security,
    }
