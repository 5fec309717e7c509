"""A topic that is deleted, or made anew, under a worker that runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from foreclick.settings import Settings
from foreclick.topics import create_topics
from streamer.errors import AGAIN, BrokerUnavailable, TopicMissing, TopicReplaced
from streamer.topic_watch import TopicWatch
from streamer.topics import asks_for_topic_id
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import event
from tests.streamer.worker import PATIENCE_S, keyed, produce, read_until, running_worker


class Answers:
    """Gives one answer after the other, and the last one for ever."""

    def __init__(self, *answers: str | Exception) -> None:
        self.asked = 0
        self._answers: Iterator[str | Exception] = iter(answers)
        self._last = answers[-1]

    def __call__(self) -> str:
        self.asked += 1
        answer = next(self._answers, self._last)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_topic_that_stays_or_that_nobody_can_ask_about_is_let_be() -> None:
    answers = Answers("one", BrokerUnavailable("away"), "one")
    watch = TopicWatch("clicks", "one", answers)

    async def three_looks() -> None:
        for _ in range(3):
            await watch.look()

    asyncio.run(three_looks())
    assert answers.asked == 3


@pytest.mark.parametrize(
    ("last", "error"), [("two", TopicReplaced), (TopicMissing("no such topic"), TopicMissing)]
)
def test_looking_ends_when_the_topic_is_gone_or_another(
    last: str | Exception, error: type[Exception]
) -> None:
    answers = Answers("one", "one", last)
    with pytest.raises(error):
        asyncio.run(TopicWatch("clicks", "one", answers).run(interval_s=0.0))
    assert answers.asked == 3


def make_events_topic_anew(settings: Settings) -> None:
    """Delete the events topic and create it again."""
    ask = asks_for_topic_id(settings.kafka, {}, settings.events_topic)
    before, deadline_s = ask(), time.monotonic() + PATIENCE_S
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    admin.delete_topics([settings.events_topic])[settings.events_topic].result()
    while settings.events_topic in admin.list_topics(timeout=PATIENCE_S).topics:
        assert time.monotonic() < deadline_s
    create_topics(settings)
    assert ask() != before


def test_a_worker_whose_topic_is_made_anew_ends_and_the_next_one_reads_it_from_its_beginning(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    produce(fresh_topics, [keyed(event(f"old-{number}", at_ms=number)) for number in range(3)])
    predictions = fresh_topics.predictions_topic
    with running_worker(fresh_topics, tmp_path) as worker:
        read_until(fresh_topics, predictions, lambda found: len(found) >= 3)
        make_events_topic_anew(fresh_topics)
        said, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode in (AGAIN, TopicMissing.exit_code), said
    assert "made anew" in said or "there is no topic" in said
    produce(fresh_topics, [keyed(event("new-0", at_ms=9))])
    with running_worker(fresh_topics, tmp_path):
        found = read_until(fresh_topics, predictions, lambda found: len(found) >= 4)
    assert b'"event_id":"new-0"' in (found[-1].value() or b"")
    assert b'-0-0"' in (found[-1].value() or b"")
