"""What many tests share: one Kafka and one Valkey for the whole run, and names that no other test uses.

Several processes may run the tests (`make test` takes three, since most tests wait more than they compute).
The servers are then started by the process that hands the tests out, and all use them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import settings

from foreclick.services import Services, local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics
from tests.streamer.cluster import ClusterNode, running_cluster

TEST_PARTITIONS = 3
ADDRESSES = "addresses"
SERVERS = pytest.StashKey[ExitStack]()
RUNNING = pytest.StashKey[Services]()

# The first call of a kernel may compile it, which says nothing of the example that it is called with.
settings.register_profile("foreclick", deadline=None)
settings.load_profile("foreclick")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that will run tests where the servers are; the first to be told finds them started."""
    running = node.config.stash.get(RUNNING, None)
    if running is None:
        running = node.config.stash[RUNNING] = node.config.stash[SERVERS].enter_context(local_services())
    node.workerinput[ADDRESSES] = running.kafka, running.redis_url


def pytest_configure(config: pytest.Config) -> None:
    """Make room for servers that end with the run."""
    config.stash[SERVERS] = ExitStack()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers that were started for other processes."""
    config.stash[SERVERS].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of the whole system: they take longest, and nothing should be left to wait for."""
    items.sort(key=lambda item: len(item.path.parts))


@pytest.fixture(scope="session")
def addresses(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A real Kafka's and a real Valkey's; a test that kills one starts its own with `local_services`."""
    told = getattr(request.config, "workerinput", {}).get(ADDRESSES)
    if told is not None:
        yield told
        return
    with local_services() as running:
        yield running.kafka, running.redis_url


@pytest.fixture(scope="session")
def kafka_address(addresses: tuple[str, str]) -> str:
    """The broker's bootstrap address."""
    return addresses[0]


@pytest.fixture(scope="session")
def redis_url(addresses: tuple[str, str]) -> str:
    """URL of a Redis-protocol server, shared: use keys under `unique_prefix`."""
    return addresses[1]


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
