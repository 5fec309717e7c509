"""Partitions that are added to a topic in use: users' states move with their keys, and no event is lost."""

from __future__ import annotations

import asyncio
import itertools
import signal
from pathlib import Path

import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from foreclick.errors import TopicsError
from foreclick.growing import grow_topics
from foreclick.settings import Settings
from streamer.growth import Ancestor, Growth, ancestors, growth_record, read_growth
from streamer.history import HistoryCut, PartitionHistory
from streamer.records import SourcePartition
from streamer.topic_reading import TopicReader
from streamer.topics import topic_ids
from tests.streamer.artifacts import promote_random_model
from tests.streamer.growing import (
    first_by_event,
    produce_by_key,
    published,
    require_order,
    require_same,
    round_of_events,
    undisturbed,
)
from tests.streamer.test_ledger import ledger
from tests.streamer.worker import PATIENCE_S, keyed, running_worker


@given(st.integers(0, 2**31 - 1), st.integers(1, 12), st.lists(st.integers(2, 4), min_size=1, max_size=4))
def test_the_ancestors_of_a_users_partition_are_the_partitions_that_the_user_was_in(
    key_hash: int, first_count: int, factors: list[int]
) -> None:
    counts = [first_count]
    for factor in factors:
        counts.append(factor * counts[-1])
    growths = [Growth(tuple(1_000 * count + p for p in range(count))) for count in counts[:-1]]
    was_in = [(key_hash % count, count) for count in reversed(counts)]
    left = [
        Ancestor(before, 1_000 * count + before)
        for (after, _), (before, count) in itertools.pairwise(was_in)
        if before != after
    ]
    assert list(ancestors(was_in[0][0], growths)) == left
    assert len({at for at, _ in was_in}) == len(left) + 1  # nobody comes back to a partition


def test_of_growths_that_were_broken_off_the_last_one_counts() -> None:
    growths = [Growth((1, 5)), Growth((9, 5)), Growth((2, 5))]
    assert ancestors(2, growths) == (Ancestor(0, 9),)
    assert ancestors(1, growths) == ()


def test_a_growth_is_read_as_it_was_recorded_and_others_have_other_keys() -> None:
    key, value = growth_record("topic", [3, 0, 7])
    assert read_growth(value) == Growth((3, 0, 7))
    others = [growth_record("topic", ends)[0] for ends in ([3, 0, 8], [5, 5], [10, 0, 0, 0])]
    assert len({key, *others}) == 4


def test_partitions_added_under_a_worker_lose_no_event_and_users_states_move(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    before, after = round_of_events(1), round_of_events(2)
    with running_worker(fresh_topics, tmp_path) as worker:
        produce_by_key(fresh_topics, before)
        published(fresh_topics, 3, len(before))
        grow_topics(fresh_topics, 6)
        produce_by_key(fresh_topics, after)
        messages = published(fresh_topics, 6, len(before) + len(after))
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0
    assert any((message.partition() or 0) >= 3 for message in messages)
    require_order(messages, [*before, *after])
    require_same(first_by_event(messages), undisturbed(fresh_topics, tmp_path, [*before, *after]))


def test_new_partitions_wait_for_the_old_ones_also_where_workers_are_killed_in_between(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    rounds = [round_of_events(number) for number in range(4)]
    with running_worker(fresh_topics, tmp_path):
        produce_by_key(fresh_topics, rounds[0])
        published(fresh_topics, 3, len(rounds[0]))
    produce_by_key(fresh_topics, rounds[1])
    grow_topics(fresh_topics, 6)
    produce_by_key(fresh_topics, rounds[2])
    with running_worker(fresh_topics, tmp_path):
        published(fresh_topics, 3, len(rounds[0]) + 1)
    produce_by_key(fresh_topics, rounds[3])
    every = [one for events in rounds for one in events]
    with running_worker(fresh_topics, tmp_path):
        messages = published(fresh_topics, 6, len(every))
    require_order(messages, every)
    require_same(first_by_event(messages), undisturbed(fresh_topics, tmp_path, every))


def test_states_that_moved_and_were_lost_are_rebuilt_without_publishing_again(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    rounds = [round_of_events(number) for number in range(3)]
    produce_by_key(fresh_topics, rounds[0])
    grow_topics(fresh_topics, 6)
    produce_by_key(fresh_topics, rounds[1])
    before = [*rounds[0], *rounds[1]]
    with running_worker(fresh_topics, tmp_path) as worker:
        published(fresh_topics, 6, len(before))
        worker.send_signal(signal.SIGTERM)  # it commits what was published
        assert worker.wait(PATIENCE_S) == 0
    client = redis.Redis.from_url(fresh_topics.redis)
    client.delete(*client.scan_iter(f"{fresh_topics.redis_prefix}*"))
    produce_by_key(fresh_topics, rounds[2])
    every = [*before, *rounds[2]]
    with running_worker(fresh_topics, tmp_path):
        messages = published(fresh_topics, 6, len(every))
    assert len(messages) == len(every)
    require_same(first_by_event(messages), undisturbed(fresh_topics, tmp_path, every))


def test_a_cut_history_is_also_that_of_the_partitions_that_users_moved_to(fresh_topics: Settings) -> None:
    grow_topics(fresh_topics, 6)
    topic_id = topic_ids(fresh_topics.kafka, {}, [fresh_topics.events_topic])[fresh_topics.events_topic]
    old, moved_to, other = [SourcePartition(topic_id, partition) for partition in (1, 4, 5)]

    async def scenario() -> None:
        own = ledger(fresh_topics)
        await own.note_cut(old, 3, HistoryCut(99))
        assert await own.histories([moved_to, other]) == {
            4: PartitionHistory((), HistoryCut(99), (Ancestor(1, 0),)),
            5: PartitionHistory((), None, (Ancestor(2, 0),)),
        }
        own.close()

    asyncio.run(scenario())


def test_topics_grow_together_and_their_old_ends_are_kept_before(fresh_topics: Settings) -> None:
    produce_by_key(fresh_topics, round_of_events(1))
    prefix = fresh_topics.topic_prefix
    names = [f"{prefix}.{end}" for end in ("ledger", "predictions", "dead-letters", "events")]
    ranges = TopicReader(fresh_topics.kafka, fresh_topics.events_topic, {}).ranges()
    assert grow_topics(fresh_topics, 6) == names
    assert grow_topics(fresh_topics, 6) == []
    topic_id = topic_ids(fresh_topics.kafka, {}, [fresh_topics.events_topic])[fresh_topics.events_topic]
    own = ledger(fresh_topics)
    found = asyncio.run(own.histories([SourcePartition(topic_id, partition) for partition in range(6)]))
    own.close()
    assert [found[partition].ancestors for partition in range(3)] == [(), (), ()]
    assert [found[3 + old].ancestors for old in range(3)] == [
        (Ancestor(old, ranges[old][1]),) for old in range(3)
    ]
    assert sum(end for _, end in ranges.values()) == 48
    topics = AdminClient({"bootstrap.servers": fresh_topics.kafka}).list_topics(timeout=10).topics
    assert {len(topics[name].partitions) for name in names} == {6}


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_a_growth_to_no_multiple_is_refused_and_told_what_would_do(
    fresh_topics: Settings, count: int
) -> None:
    with pytest.raises(TopicsError, match="6, 9"):
        grow_topics(fresh_topics, count)
    found = AdminClient({"bootstrap.servers": fresh_topics.kafka}).list_topics(timeout=10).topics
    assert len(found[fresh_topics.predictions_topic].partitions) == 3


def test_the_ends_of_transactions_are_not_waited_for(
    fresh_topics: Settings, unique_prefix: str, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    producer = Producer(
        {
            "bootstrap.servers": fresh_topics.kafka,
            "transactional.id": unique_prefix,
            "partitioner": "murmur2_random",
        }
    )
    producer.init_transactions(PATIENCE_S)
    before, after = round_of_events(1, 1), round_of_events(2, 1)
    for events, commit in ((before, True), (round_of_events(3, 5), False)):
        producer.begin_transaction()
        for one in events:
            key, value = keyed(one)
            producer.produce(fresh_topics.events_topic, value, key)
        producer.flush(PATIENCE_S)
        if commit:
            producer.commit_transaction(PATIENCE_S)
        else:
            producer.abort_transaction(PATIENCE_S)
    grow_topics(fresh_topics, 6)
    produce_by_key(fresh_topics, after)
    with running_worker(fresh_topics, tmp_path):
        found = first_by_event(published(fresh_topics, 6, len(before) + len(after)))
    require_same(found, undisturbed(fresh_topics, tmp_path, [*before, *after]))
