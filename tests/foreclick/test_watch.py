"""`foreclick watch` on a real broker: each prediction once, in words or as it is; and whole topics."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from foreclick.checking.topics import SourcePosition, read_topic
from foreclick.cli import build_app
from foreclick.errors import CheckError
from foreclick.settings import Settings
from streamer.predictions import Churn, ModelVersion, NextItem, Prediction, encode_prediction


def prediction(offset: int) -> Prediction:
    return Prediction(
        prediction_id=f"topic-0-{offset}",
        user_id="ada@example.org",
        event_id=f"e{offset}",
        event_time_ms=1,
        scored_at_ms=2,
        model=ModelVersion("gru", "1"),
        next_action={"view": 0.75, "none": 0.25},
        churn=Churn(0.4, 86_400_000),
        next_items=[NextItem("kettle", 2.0)],
    )


@pytest.fixture
def published(fresh_topics: Settings) -> Settings:
    """Three predictions in one partition, the first two published twice, as after a crash."""
    producer = Producer({"bootstrap.servers": fresh_topics.kafka})
    for offset in (0, 1, 0, 1, 2):
        value = encode_prediction(prediction(offset))
        producer.produce(fresh_topics.predictions_topic, value, b"ada@example.org", partition=0)
    assert producer.flush(30) == 0
    return fresh_topics


def watched(settings: Settings, *options: str) -> list[str]:
    words = ["watch", "--kafka", settings.kafka, "--topic-prefix", settings.topic_prefix, *options]
    result = CliRunner().invoke(build_app(words), [*words, "--from-start", "--count", "3"])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_each_prediction_comes_once_as_it_is(published: Settings) -> None:
    lines = [json.loads(line) for line in watched(published, "--json")]

    assert [line["prediction_id"] for line in lines] == ["topic-0-0", "topic-0-1", "topic-0-2"]


def test_words_name_no_user(published: Settings) -> None:
    lines = watched(published)

    assert len(lines) == 3
    assert all("will probably view next (75 %)" in line and "ada" not in line for line in lines)


def test_the_checker_reads_every_record_to_the_end(published: Settings) -> None:
    contents = read_topic(published.kafka, published.predictions_topic)

    assert [record.position.offset for record in contents.records] == [0, 1, 2, 3, 4]
    assert {record.position.partition for record in contents.records} == {0}
    first = contents.records[0]
    assert first.key == b"ada@example.org"
    assert SourcePosition.parse(first.position.text) == first.position


def test_a_topic_that_is_not_there_is_named(kafka_address: str) -> None:
    with pytest.raises(CheckError, match="no-such-topic"):
        read_topic(kafka_address, "no-such-topic")
