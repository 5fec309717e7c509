"""A small client for programs downstream: each prediction once, whatever the worker published twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Message

from streamer.predictions import Prediction, decode_prediction


class PredictionConsumer:
    """Yields the predictions of a topic, each once, in order within a partition.

    A worker that died between publishing and writing publishes the same predictions again, with
    the same ids. Offsets of the source only grow within a partition, so what is not behind the last
    yielded one is a repetition and is skipped, and counted in ``repeated``.

    With a ``group``, reading goes on where the group has committed; the newest prediction that was
    yielded is committed when the next one is asked for. The last ids are not kept across restarts, so a
    repetition that straddles a restart is yielded again: keep the last ``prediction_id`` beside what
    you make of it where that matters. Without a group, reading starts at the beginning, or at
    the end with ``newest``.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str = "clickstream.predictions",
        group: str | None = None,
        *,
        newest: bool = False,
        security: Mapping[str, str] | None = None,
    ) -> None:
        self.repeated = 0
        self._last: dict[tuple[str, int], int] = {}
        self._group = group
        self._unstored: Message | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group or f"predictions-{uuid4()}",
                "auto.offset.reset": "latest" if newest else "earliest",
                "enable.auto.commit": group is not None,
                "enable.auto.offset.store": False,
                **(security or {}),
            }
        )
        self._consumer.subscribe([topic])

    def __enter__(self) -> PredictionConsumer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Prediction]:
        """Yield predictions for ever, waiting for new ones."""
        while True:
            prediction = self.poll(timeout_s=1.0)
            if prediction is not None:
                yield prediction

    def poll(self, timeout_s: float) -> Prediction | None:
        """Return the next prediction; None when none came within ``timeout_s``.

        Raises `confluent_kafka.KafkaException` when the brokers refuse, and `msgspec.DecodeError` when a
        record is no prediction.
        """
        self._store_yielded()
        while (message := self._consumer.poll(timeout_s)) is not None:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            prediction = decode_prediction(message.value() or b"")
            self._unstored = message
            if self._is_new(prediction.prediction_id):
                return prediction
            self.repeated += 1
            self._store_yielded()
        return None

    def close(self) -> None:
        """Commit and leave. The last prediction that was yielded counts as taken."""
        self._store_yielded()
        self._consumer.close()

    def _store_yielded(self) -> None:
        if self._unstored is not None and self._group is not None:
            self._consumer.store_offsets(self._unstored)
        self._unstored = None

    def _is_new(self, prediction_id: str) -> bool:
        topic_id, partition, offset = prediction_id.rsplit("-", 2)
        place = (topic_id, int(partition))
        if int(offset) <= self._last.get(place, -1):
            return False
        self._last[place] = int(offset)
        return True
