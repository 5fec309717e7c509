"""The independent reader: sees every prediction and dead letter as it arrives, as any outsider would."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from foreclick.checking.predictions import SeenPrediction, read_prediction
from foreclick.demo.reading_thread import ReadingThread, dead_letter_source
from foreclick.errors import DemoError

_POLL_S: Final = 0.05


class Observer(ReadingThread):
    """Reads the two output topics in a thread of its own, from their beginning.

    `seen_at_ms` maps the id of a source record to the wall time, in Unix milliseconds, at which its
    prediction or dead letter was first seen here. Use it as a context manager.
    """

    def __init__(
        self,
        kafka: str,
        topics: Mapping[str, int],
        client_settings: Mapping[str, str],
        on_prediction: Callable[[SeenPrediction, float], None],
    ) -> None:
        """Take the brokers and the ``topics`` to read, with how many partitions each has.

        ``on_prediction`` is called in the reading thread, with the wall time of the arrival.
        """
        self.seen_at_ms: dict[str, float] = {}
        self._on_prediction = on_prediction
        self._failure: str | None = None
        consumer = Consumer(
            {
                **client_settings,
                "bootstrap.servers": kafka,
                "group.id": "foreclick-demo-observer",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        partitions = [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic, count in topics.items()
            for partition in range(count)
        ]
        super().__init__(consumer, partitions, "demo-observer")

    def __len__(self) -> int:
        """Return how many source records have been seen to end."""
        return len(self.seen_at_ms)

    def wait_for(self, wanted: Collection[str], patience_s: float, *meanwhile: Callable[[], None]) -> int:
        """Return how many of ``wanted`` are still unseen: 0, or more after ``patience_s`` without progress.

        The functions of ``meanwhile`` are called again and again. Raises `DemoError` when the topics cannot
        be read, and whatever they raise.
        """
        unseen = set(wanted)
        last_progress_s = time.monotonic()
        while unseen and time.monotonic() - last_progress_s < patience_s:
            self._stopped.wait(_POLL_S)
            self.check()
            for call in meanwhile:
                call()
            found = {one for one in unseen if one in self.seen_at_ms}
            if found:
                unseen -= found
                last_progress_s = time.monotonic()
        return len(unseen)

    def check(self) -> None:
        """Raise `DemoError` when the topics could not be read."""
        if self._failure is not None:
            raise DemoError(f"the predictions cannot be read: {self._failure}")

    def _read(self) -> None:
        while not self._stopped.is_set():
            message = self._consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                self._take(message)
            elif error.code() != KafkaError._PARTITION_EOF and not error.retriable():
                self._failure = str(error)
                return

    def _take(self, message: Message) -> None:
        at_ms = time.time() * 1000
        source = dead_letter_source(message)
        if source is None:
            try:
                prediction = read_prediction(message.value())
            except msgspec.DecodeError:
                return  # the checker counts what is unreadable
            self._on_prediction(prediction, at_ms)
            source = prediction.prediction_id
        self.seen_at_ms.setdefault(source, at_ms)
