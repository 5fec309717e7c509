"""The client for programs downstream, on a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from confluent_kafka import Producer

from foreclick.settings import Settings
from streamer.client import PredictionConsumer
from streamer.predictions import ModelVersion, Prediction, encode_prediction
from tests.streamer.worker import PATIENCE_S


def publish(settings: Settings, prediction_ids: Iterable[str]) -> None:
    """Publish a prediction with each of the ids, in order."""
    producer = Producer({"bootstrap.servers": settings.kafka, "enable.idempotence": True})
    for prediction_id in prediction_ids:
        prediction = Prediction(
            prediction_id=prediction_id,
            user_id="ann",
            event_id="e1",
            event_time_ms=0,
            scored_at_ms=1,
            model=ModelVersion("gru", "0001-abcdefab"),
            next_action=None,
            churn=None,
            next_items=None,
        )
        producer.produce(settings.predictions_topic, encode_prediction(prediction), b"ann", 0)
    assert producer.flush(PATIENCE_S) == 0


def take(consumer: PredictionConsumer, count: int) -> list[str]:
    """Return the ids of the next ``count`` predictions. Fails after `PATIENCE_S`."""
    found: list[str] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline_s, f"only {found} came"
        prediction = consumer.poll(timeout_s=0.2)
        if prediction is not None:
            found.append(prediction.prediction_id)
    return found


def test_each_prediction_comes_once_whatever_was_published_again(fresh_topics: Settings) -> None:
    # The topic's id may hold a dash; a topic made anew and another partition count for themselves.
    once = ["a-b-0-8", "a-b-0-9", "a-b-1-8", "other-0-8"]
    publish(fresh_topics, [*once, *once, "a-b-0-10", "a-b-0-9", "a-b-0-11"])
    with PredictionConsumer(fresh_topics.kafka, fresh_topics.predictions_topic) as consumer:
        assert take(consumer, 6) == [*once, "a-b-0-10", "a-b-0-11"]
        assert consumer.repeated == 5


def test_a_group_goes_on_behind_what_it_took(fresh_topics: Settings, unique_prefix: str) -> None:
    ids = [f"t-0-{offset}" for offset in range(5)]
    publish(fresh_topics, ids)
    topic = fresh_topics.predictions_topic
    with PredictionConsumer(fresh_topics.kafka, topic, f"{unique_prefix}-readers") as consumer:
        assert take(consumer, 2) == ids[:2]
    with PredictionConsumer(fresh_topics.kafka, topic, f"{unique_prefix}-readers") as consumer:
        assert take(consumer, 3) == ids[2:]
    with PredictionConsumer(fresh_topics.kafka, topic) as consumer:
        assert take(consumer, 5) == ids


@pytest.mark.parametrize("timeout_s", [0.0, 0.1])
def test_nothing_new_is_none(fresh_topics: Settings, timeout_s: float) -> None:
    with PredictionConsumer(fresh_topics.kafka, fresh_topics.predictions_topic) as consumer:
        assert consumer.poll(timeout_s) is None
