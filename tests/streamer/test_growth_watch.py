"""Partitions that were added with another tool than ours: a worker says so, and of no others."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from hypothesis import given
from hypothesis import strategies as st

from foreclick.growing import grow_topics
from foreclick.settings import Settings
from streamer.growth import Growth, GrowthRecords, count_record, explained, growth_record
from streamer.growth_watch import GrowthWatch
from streamer.records import SourcePartition
from streamer.topics import topic_ids
from tests.streamer.test_ledger import ledger


@given(st.integers(1, 12), st.lists(st.integers(2, 4), min_size=1, max_size=4), st.data())
def test_a_number_is_explained_if_the_growth_from_the_newest_that_was_seen_was_recorded(
    first_count: int, factors: list[int], data: st.DataObject
) -> None:
    counts = [first_count]
    for factor in factors:
        counts.append(factor * counts[-1])
    recorded = data.draw(st.sets(st.sampled_from(counts[:-1])))
    newest_seen = data.draw(st.integers(0, len(factors)))
    growths = [Growth((7,) * count) for count in recorded]
    right = newest_seen == len(factors) or counts[newest_seen] in recorded
    assert explained(counts[-1], counts[: newest_seen + 1], growths) == right


@pytest.mark.parametrize(("count", "right"), [(3, True), (4, False), (6, True), (7, False), (2, True)])
def test_a_recorded_growth_explains_a_multiple_and_no_older_number_is_wrong(count: int, right: bool) -> None:
    assert explained(count, [3], [Growth((1, 2, 3))]) == right


def test_a_first_look_takes_what_it_finds_for_right_but_for_what_the_records_contradict() -> None:
    assert explained(6, [], [])
    assert explained(6, [], [Growth((1, 2, 3))])
    assert not explained(7, [], [Growth((1, 2, 3))])


def test_only_the_topics_own_records_count() -> None:
    records = [
        growth_record("a", [1, 2]),
        count_record("a", 2),
        growth_record("b", [1]),
        count_record("b", 1),
    ]
    seen = {key.decode(): value for key, value in records} | {"scope|a|model|0": b"{}"}
    assert GrowthRecords.of("a", seen) == GrowthRecords((Growth((1, 2)),), frozenset({2}))


def look_of_a_new_worker(settings: Settings, partitions: int) -> str | None:
    topic_id = topic_ids(settings.kafka, {}, [settings.events_topic])[settings.events_topic]

    async def scenario() -> str | None:
        own = ledger(settings)
        watch = GrowthWatch(own)
        await asyncio.gather(*(watch.look(SourcePartition(topic_id, at)) for at in range(partitions)))
        own.close()
        return watch.notice

    return asyncio.run(scenario())


def test_partitions_added_by_kafkas_own_tools_are_noticed_and_ours_are_not(fresh_topics: Settings) -> None:
    assert look_of_a_new_worker(fresh_topics, 3) is None
    grow_topics(fresh_topics, 6)
    assert look_of_a_new_worker(fresh_topics, 6) is None
    admin = AdminClient({"bootstrap.servers": fresh_topics.kafka})
    for added in admin.create_partitions([NewPartitions(fresh_topics.events_topic, 12)]).values():
        added.result()
    for _ in range(2):
        notice = look_of_a_new_worker(fresh_topics, 12)
        assert notice is not None
        assert "has 12 partitions and had 6" in notice
