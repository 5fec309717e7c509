"""A worker whose states lie in a Redis Cluster: three real nodes, each with some of the partitions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import redis

from foreclick.settings import Settings
from tests.conftest import TEST_PARTITIONS
from tests.streamer.artifacts import promote_random_model
from tests.streamer.cluster import ClusterNode
from tests.streamer.events import event
from tests.streamer.worker import keyed, produce, read_until, running_worker

EVENTS = 5


def _send(settings: Settings, first: int) -> None:
    for partition in range(TEST_PARTITIONS):
        numbers = range(first, first + EVENTS)
        events = [event(f"{partition}-{number}", f"user-{partition}", at_ms=number) for number in numbers]
        produce(settings, [keyed(one) for one in events], partition)


def _read(settings: Settings, count: int) -> None:
    for partition in range(TEST_PARTITIONS):
        topic = settings.predictions_topic
        found = read_until(settings, topic, lambda found: len(found) >= count, partition)
        assert len({message.value() for message in found}) == count


def _keys(node: ClusterNode, settings: Settings) -> list[bytes]:
    with redis.Redis.from_url(node.url) as client:
        return list(client.scan_iter(f"{settings.redis_prefix}*"))


def test_partitions_lie_on_the_nodes_of_their_slots_and_outlive_a_node_that_is_killed(
    fresh_topics: Settings, redis_cluster: list[ClusterNode], redis_cluster_url: str, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    settings = replace(fresh_topics, redis=redis_cluster_url, redis_topology="cluster")
    _send(settings, 0)
    with running_worker(settings, tmp_path):
        _read(settings, EVENTS)
        doomed = next(node for node in redis_cluster if _keys(node, settings))
        doomed.kill()
        _send(settings, EVENTS)
        doomed.start()
        _read(settings, 2 * EVENTS)

    held = [key for node in redis_cluster for key in _keys(node, settings)]
    assert len(held) == len(set(held)) == 2 * TEST_PARTITIONS  # an offset and a user each
