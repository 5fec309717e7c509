"""How a worker ends when what it needs is gone, and that a named one is back at once: real processes."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from foreclick.services import local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics
from streamer.errors import AGAIN
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import event
from tests.streamer.test_worker_web import get, web_address
from tests.streamer.worker import PATIENCE_S, keyed, produce, read_until, running_worker


@pytest.mark.parametrize("gone", ["kafka", "redis"])
def test_a_worker_whose_server_is_gone_for_good_ends_and_says_that_another_try_may_help(
    unique_prefix: str, tmp_path: Path, gone: str
) -> None:
    promote_random_model(tmp_path, seed=1)
    with local_services() as services:
        settings = Settings(
            kafka=services.kafka,
            redis=services.redis_url,
            topic_prefix=unique_prefix,
            partitions=1,
            stall_limit_ms=10_000,
            drain_timeout_ms=500,
        )
        create_topics(settings)
        produce(settings, [keyed(event("e1"))])
        with running_worker(settings, tmp_path) as worker:
            address = web_address(worker)
            read_until(settings, settings.predictions_topic, bool)
            assert get(address, "/health") == '{"alive": true}'
            assert get(address, "/ready") == '{"partitions": [0]}'
            if gone == "redis":
                assert services.valkey is not None
                services.valkey.kill()
                assert "Redis does not answer" in get(address, "/ready")
                produce(settings, [keyed(event("e2"))])
            else:
                assert services.broker is not None
                services.broker.kill()
            said, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == AGAIN, said
    what = {"kafka": "BrokerUnavailable: the brokers have been silent", "redis": "StoreUnavailable: Redis"}
    assert f"the worker ends: {what[gone]}" in said, said


def test_a_worker_that_cannot_reach_the_brokers_at_its_start_says_so_with_the_same_code(
    redis_url: str, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    with running_worker(Settings(kafka="127.0.0.1:1", redis=redis_url), tmp_path) as worker:
        said, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == AGAIN
    assert "are they up?" in said


def test_a_champion_that_is_cut_is_refused_by_name_and_no_other_version_is_served_instead(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    version = promote_random_model(tmp_path, seed=2)
    weights = tmp_path / "gru" / "versions" / version / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-10])
    with running_worker(fresh_topics, tmp_path) as worker:
        said, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 1
    assert version in said
    assert "weights.npz" in said


def test_a_named_worker_that_was_killed_is_back_before_its_session_has_run_out(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    session_ms = int(5 * PATIENCE_S * 1_000)  # without a name, the second worker would wait for it
    settings = replace(fresh_topics, worker_instance="one", session_timeout_ms=session_ms)
    produce(settings, [keyed(event("e1"))])
    with running_worker(settings, tmp_path) as worker:
        read_until(settings, settings.predictions_topic, bool)
        worker.send_signal(signal.SIGKILL)
        worker.wait(PATIENCE_S)
    produce(settings, [keyed(event("e2", at_ms=1))])
    with running_worker(settings, tmp_path):
        found = read_until(settings, settings.predictions_topic, lambda found: len(found) > 1)
    assert len(found) == 2
