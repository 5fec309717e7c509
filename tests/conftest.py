"""What many tests share: one Kafka and one Valkey for the whole run, and names that no other test uses."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from foreclick.services import Services, local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics
from tests.streamer.cluster import ClusterNode, running_cluster

TEST_PARTITIONS = 3

# The first call of a kernel may compile it, which says nothing of the example that it is called with.
settings.register_profile("foreclick", deadline=None)
settings.load_profile("foreclick")


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """A real Kafka and a real Valkey; a test that kills one starts its own with `local_services`."""
    with local_services() as running:
        yield running


@pytest.fixture(scope="session")
def kafka_address(services: Services) -> str:
    """The broker's bootstrap address."""
    return services.kafka


@pytest.fixture(scope="session")
def redis_url(services: Services) -> str:
    """URL of a Redis-protocol server, shared: use keys under `unique_prefix`."""
    return services.redis_url


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ClusterNode]]:
    """The three nodes of a real Redis Cluster; whoever kills one starts it again."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def redis_cluster_url(redis_cluster: list[ClusterNode]) -> str:
    """URL of one node of a Redis Cluster, shared: use keys under `unique_prefix`."""
    return redis_cluster[0].url


@pytest.fixture(scope="session")
def prefix_numbers() -> Iterator[int]:
    """Numbers that no other test of this run gets."""
    return itertools.count()


@pytest.fixture
def unique_prefix(prefix_numbers: Iterator[int]) -> str:
    """A prefix for topics, keys or groups that no other test uses."""
    return f"test-{os.getpid()}-{next(prefix_numbers)}"


@pytest.fixture
def fresh_topics(kafka_address: str, redis_url: str, unique_prefix: str) -> Settings:
    """Settings whose three topics exist and are empty, with their own Redis keys and consumer group."""
    settings = Settings(
        kafka=kafka_address,
        redis=redis_url,
        topic_prefix=unique_prefix,
        redis_prefix=unique_prefix,
        consumer_group=unique_prefix,
        partitions=TEST_PARTITIONS,
    )
    create_topics(settings)
    return settings
