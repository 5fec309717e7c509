"""A Kafka consumer that reads in a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self, cast

from confluent_kafka import Consumer, Message, TopicPartition

from foreclick.checking.accounts import SOURCE_HEADER


class ReadingThread(ABC):
    """Reads from the `with` to its end, where the thread and the consumer are gone."""

    def __init__(self, consumer: Consumer, partitions: Sequence[TopicPartition], name: str) -> None:
        """Take a consumer of one's own, where it shall begin to read, and a name for the thread."""
        self._consumer = consumer
        self._partitions = list(partitions)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._consumer.assign(self._partitions)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._consumer.close()

    @abstractmethod
    def _read(self) -> None:
        """Read until ``_stopped`` is set."""


def dead_letter_source(message: Message) -> str | None:
    """Return the id of the source record of a dead letter; None for what is no dead letter."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    source = dict(headers).get(SOURCE_HEADER)
    return None if source is None else source.decode(errors="replace")
