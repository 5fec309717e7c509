"""Quix Streams with a window in its own state (RocksDB and a changelog topic), with and without the model.

The window is kept by a stateful `apply`. Quix batches across keys in sinks alone, so the model stands in a
`BatchingSink`, which produces with a librdkafka client of its own; without the model the stream goes
to the topic as usual. Run with Quix's own Python: `on_quix.py KAFKA EVENTS OUT ARTIFACT (model|plain)`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.competitors.same_gru import ROW_BYTES, SameGru, encode_json, pushed

COMMIT_INTERVAL_S = 0.25
BATCH_EVENTS = 1_024


class ModelSink(BatchingSink):  # type: ignore[misc]
    """Scores what Quix has collected between two commits, a partition at a time."""

    def __init__(self, kafka: str, topic: str, model: SameGru) -> None:
        super().__init__()
        self._producer = Producer({"bootstrap.servers": kafka, "acks": "all", "linger.ms": 5})
        self._topic = topic
        self._model = model

    def write(self, batch: SinkBatch) -> None:
        for chunk in batch.iter_chunks(BATCH_EVENTS):
            self._score(chunk, batch.partition)

    def flush(self) -> None:
        super().flush()
        self._producer.flush()

    def _score(self, chunk: Iterable[Any], partition: int) -> None:
        items = list(chunk)
        asked = [(f"{partition}-{item.offset}", item.value[0], item.value[1]) for item in items]
        predictions = self._model.predictions(asked)
        self._producer.produce_batch(
            self._topic,
            [{"key": item.key, "value": value} for item, value in zip(items, predictions, strict=True)],
            partition=partition,
        )
        self._producer.poll(0)


def main(kafka: str, events_topic: str, out_topic: str, artifact: str, how: str) -> None:
    app = Application(
        broker_address=kafka,
        consumer_group=out_topic,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_INTERVAL_S,
        state_dir=tempfile.mkdtemp(prefix="quix-", dir=str(Path.cwd())),
        loglevel="WARNING",
        auto_create_topics=True,
        producer_extra_config={"acks": "all"},
    )
    model = SameGru(Path(artifact))
    events = app.topic(events_topic, value_deserializer="json", key_deserializer="bytes")
    stream = app.dataframe(events)

    def keep(event: Any, state: Any) -> tuple[Any, bytes]:
        window = pushed(state.get_bytes("window"), model.packed(event))
        state.set_bytes("window", window)
        return event, window

    stream = stream.apply(keep, stateful=True)
    if how == "model":
        stream.sink(ModelSink(kafka, out_topic, model))
    else:
        out = app.topic(out_topic, value_serializer="bytes", key_serializer="bytes")
        stream.apply(_plain).to_topic(out)
    app.run()


def _plain(kept: tuple[Any, bytes]) -> bytes:
    event, window = kept
    told = {
        "prediction_id": event["event_id"],
        "user_id": event["user_id"],
        "events_in_window": len(window) // ROW_BYTES,
    }
    record: bytes = encode_json(told)
    return record


if __name__ == "__main__":
    main(*sys.argv[1:])
