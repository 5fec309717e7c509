"""The worker as it is run: a real process, a real broker, a real Redis-protocol server."""

from __future__ import annotations

import itertools
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Message, Producer

from foreclick.settings import Settings
from producers.simulator.malformed import MALFORMED
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import event
from tests.streamer.worker import PATIENCE_S, keyed, produce, read_until, running_worker


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def values(messages: list[Message]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(message.value() or b"") for message in messages]


def test_every_malformed_record_is_a_dead_letter_with_its_bytes_and_the_good_ones_are_scored(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    records, reasons = [], []
    for number, malformed in enumerate(MALFORMED):
        good = event(f"good-{number}", at_ms=number)
        records += [keyed(good), malformed.record(event(f"bad-{number}", at_ms=number))]
        reasons.append(malformed.reason)
    produce(fresh_topics, records)
    with running_worker(fresh_topics, tmp_path) as worker:
        letters = read_until(
            fresh_topics, fresh_topics.dead_letters_topic, lambda found: len(found) >= len(MALFORMED)
        )
        predictions = read_until(
            fresh_topics, fresh_topics.predictions_topic, lambda found: len(found) >= len(MALFORMED)
        )
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0

    assert len(MALFORMED) >= 30
    assert len(set(reasons)) >= 20
    assert [(letter.key(), letter.value()) for letter in letters] == records[1::2]
    headers: list[dict[str, Any]] = [dict(letter.headers() or []) for letter in letters]
    assert [header["foreclick.reason"].decode() for header in headers] == reasons
    offsets = [int(header["foreclick.source"].rsplit(b"-", 1)[1]) for header in headers]
    assert offsets == list(range(1, 2 * len(MALFORMED), 2))
    assert [value["event_id"] for value in values(predictions)] == [
        f"good-{number}" for number in range(len(MALFORMED))
    ]


def test_records_that_fit_only_when_compressed_or_hold_nothing_at_all_are_dead_letters_too(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    bloated = b"{" + b" " * 3 * fresh_topics.dead_letter_max_bytes
    records: list[tuple[bytes | None, bytes | None]] = [(None, None), (b"u", bloated), (b"u", b"")]
    producer = Producer(
        {"bootstrap.servers": fresh_topics.kafka, "compression.type": "gzip", "message.max.bytes": 10**8}
    )
    for key, value in records:
        producer.produce(fresh_topics.events_topic, value, key, 0, headers=[("a", b"1"), ("a", None)])
    assert producer.flush(PATIENCE_S) == 0
    with running_worker(fresh_topics, tmp_path):
        letters = read_until(fresh_topics, fresh_topics.dead_letters_topic, lambda found: len(found) >= 3)
    assert [(letter.key(), letter.value()) for letter in letters] == records
    assert all(list(letter.headers() or [])[:2] == [("a", b"1"), ("a", None)] for letter in letters)
    reasons = [dict(letter.headers() or [])["foreclick.reason"] for letter in letters]
    assert reasons == [b"tombstone", b"truncated_json", b"empty_value"]


def test_aborted_transactions_are_skipped_and_the_gaps_they_leave_lose_nothing(
    fresh_topics: Settings, unique_prefix: str, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    producer = Producer({"bootstrap.servers": fresh_topics.kafka, "transactional.id": unique_prefix})
    producer.init_transactions(PATIENCE_S)
    numbers = itertools.count()
    kept = []
    for commit in (True, False, True, True, False, True):
        producer.begin_transaction()
        for _ in range(3):
            one = event(f"e{next(numbers)}")
            key, value = keyed(one)
            producer.produce(fresh_topics.events_topic, value, key, 0)
            kept += [one.event_id] if commit else []
        if commit:
            producer.commit_transaction(PATIENCE_S)
        else:
            producer.flush(PATIENCE_S)
            producer.abort_transaction(PATIENCE_S)
    with running_worker(fresh_topics, tmp_path):
        found = read_until(
            fresh_topics, fresh_topics.predictions_topic, lambda found: len(found) >= len(kept)
        )
    assert [value["event_id"] for value in values(found)] == kept


def test_a_promoted_model_serves_without_a_restart_and_a_broken_one_is_refused(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    first = promote_random_model(tmp_path, seed=1)
    numbers = itertools.count()

    def send() -> None:
        number = next(numbers)
        produce(fresh_topics, [keyed(event(f"e{number}", at_ms=number))])

    def versions(wanted: str) -> list[str]:
        """Send events until one is scored by ``wanted``; return the versions in order."""

        def enough(found: list[Message]) -> bool:
            seen = [value["model"]["version"] for value in values(found)]
            if wanted not in seen:
                send()
            return wanted in seen

        messages = read_until(fresh_topics, fresh_topics.predictions_topic, enough)
        return [value["model"]["version"] for value in values(messages)]

    with running_worker(fresh_topics, tmp_path) as worker:
        assert set(versions(first)) == {first}
        broken = promote_random_model(tmp_path, seed=3)
        weights = next(tmp_path.glob(f"gru/versions/{broken}/weights.npz"))
        weights.write_bytes(weights.read_bytes()[:-10])
        second = promote_random_model(tmp_path, seed=2)
        seen = versions(second)
        assert worker.poll() is None
    assert broken not in seen
    assert seen == sorted(seen, key=[first, second].index)


def test_a_worker_without_a_model_says_how_to_make_one(fresh_topics: Settings, tmp_path: Path) -> None:
    with running_worker(fresh_topics, tmp_path) as worker:
        said, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode not in (0, None)
    assert "foreclick train" in said


def test_a_worker_without_topics_says_how_to_make_them(
    kafka_address: str, redis_url: str, unique_prefix: str, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    settings = Settings(kafka=kafka_address, redis=redis_url, topic_prefix=unique_prefix)
    with running_worker(settings, tmp_path) as worker:
        said, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode not in (0, None)
    assert "foreclick topics" in said


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_stop_leaves_with_zero_and_nothing_behind(
    fresh_topics: Settings, tmp_path: Path, sent: signal.Signals
) -> None:
    promote_random_model(tmp_path, seed=1)
    produce(fresh_topics, [keyed(event("e1"))])
    with running_worker(fresh_topics, tmp_path) as worker:
        read_until(fresh_topics, fresh_topics.predictions_topic, bool)
        worker.send_signal(sent)
        said, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 0
    assert all(" INFO " in line for line in said.splitlines())
    tables = f"{fresh_topics.consumer_group}-data"
    assert not any((place / tables).exists() for place in (Path.cwd(), Path(tempfile.gettempdir())))


def test_a_profile_is_one_line_of_json_with_every_step(fresh_topics: Settings, tmp_path: Path) -> None:
    promote_random_model(tmp_path, seed=1)
    produce(fresh_topics, [keyed(event("e1"))])
    with running_worker(fresh_topics, tmp_path, "--profile") as worker:
        read_until(fresh_topics, fresh_topics.predictions_topic, bool)
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=PATIENCE_S)
    (line,) = [line for line in said.splitlines() if "us_per_event" in line]
    steps = msgspec.json.decode(line.encode())["us_per_event"]
    assert {"decode", "read", "windows", "network", "next items", "predictions", "publish"} <= set(steps)
