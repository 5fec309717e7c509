"""Dead letters as an operator sees them: which there are, why, and where they came from.

The worker may publish a letter twice, when it dies between publishing and writing. Both have the same
``source``, the id of the record that the letter was made of, so here each letter counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from streamer.errors import BrokerUnavailable
from streamer.letter_headers import DETAIL_HEADER, REASON_HEADER, REPLAYS_HEADER, SOURCE_HEADER
from streamer.topic_reading import TIMEOUT_S, TopicReader

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class StoredLetter:
    """One letter as it lies in the dead-letter topic, at ``partition`` and ``offset``.

    ``source`` is the id of the record that it was made of; ``replays`` how often that record had been put
    back before. ``timestamp_ms`` is the record's own, in Unix milliseconds.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def place(self) -> str:
        """Where it lies, as a person types it: ``partition:offset``."""
        return f"{self.partition}:{self.offset}"

    @property
    def reason(self) -> str:
        """The reason code; `unknown` for a record that no worker put here."""
        return self._last(REASON_HEADER) or "unknown"

    @property
    def detail(self) -> str:
        """What the reason code leaves open."""
        return self._last(DETAIL_HEADER) or ""

    @property
    def source(self) -> str:
        """The id of the record that the letter was made of; its own place if nobody said."""
        return self._last(SOURCE_HEADER) or self.place

    @property
    def replays(self) -> int:
        """How often the record had been put back before it became this letter."""
        text = self._last(REPLAYS_HEADER) or "0"
        return int(text) if text.isdecimal() else 0

    def _last(self, name: str) -> str | None:
        """Return the last header called ``name``: what came before is the history of earlier replays."""
        values = [value for key, value in self.headers if key == name and value is not None]
        return values[-1].decode(errors="replace") if values else None


@dataclass(frozen=True)
class LetterFilter:
    """Which letters are meant. An empty collection or None means "all".

    ``since_ms`` is included, ``until_ms`` is not; both are compared with the record's own timestamp.
    ``places`` holds single letters as (partition, offset).
    """

    reasons: Collection[str] = ()
    partitions: Collection[int] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    places: Collection[tuple[int, int]] = ()

    def wants(self, letter: StoredLetter) -> bool:
        """Return whether ``letter`` is meant."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.partitions or letter.partition in self.partitions)
            and (self.since_ms is None or letter.timestamp_ms >= self.since_ms)
            and (self.until_ms is None or letter.timestamp_ms < self.until_ms)
            and (not self.places or (letter.partition, letter.offset) in self.places)
        )


class LetterBox:
    """The dead-letter topic. Every method may raise `BrokerUnavailable` or `TopicMissing`."""

    def __init__(self, bootstrap: str, topic: str, security: Mapping[str, str]) -> None:
        self.topic = topic
        self._reader = TopicReader(bootstrap, topic, security)

    def ranges(self) -> dict[int, tuple[int, int]]:
        """Return the first offset kept and the end of each partition."""
        return self._reader.ranges()

    def offsets_at(self, time_ms: int) -> dict[int, int]:
        """Return, for each partition, the offset before which every letter is older than ``time_ms``."""
        return self._reader.offsets_at(time_ms)

    def letters(
        self, wanted: LetterFilter, on_read: Callable[[int], None] = lambda _: None
    ) -> Iterator[tuple[StoredLetter, bool]]:
        """Yield the letters that ``wanted`` means, up to the topic's present end, each partition in order.

        With each comes whether it repeats one that was yielded before. ``on_read`` is told how many records
        were read so far.
        """
        seen: set[str] = set()
        count = 0
        for partition, (first, end) in sorted(self.ranges().items()):
            offsets = [offset for number, offset in wanted.places if number == partition]
            if (wanted.partitions and partition not in wanted.partitions) or (wanted.places and not offsets):
                continue
            if offsets:
                first, end = max(first, min(offsets)), min(end, max(offsets) + 1)
            for message in self._reader.read(partition, first, end):
                letter = _letter(message)
                count += 1
                on_read(count)
                if wanted.wants(letter):
                    yield letter, letter.source in seen
                    seen.add(letter.source)

    def delete_before(self, offsets: Mapping[int, int]) -> None:
        """Delete the records of each partition that lie before the given offset."""
        admin = AdminClient(self._reader.client)
        places = [TopicPartition(self.topic, number, offset) for number, offset in offsets.items()]
        for future in admin.delete_records(places, request_timeout=TIMEOUT_S).values():
            try:
                future.result(2 * TIMEOUT_S)
            except KafkaException as error:
                said = error.args[0].str()
                raise BrokerUnavailable(f"{self.topic} was not purged: the brokers said {said}") from error


def _letter(message: Message) -> StoredLetter:
    _, timestamp_ms = message.timestamp()
    headers: Any = message.headers() or ()
    return StoredLetter(
        message.partition() or 0,
        message.offset() or 0,
        timestamp_ms,
        message.key(),
        message.value(),
        tuple(headers),
    )
