"""`foreclick dlq` on a real broker: what is listed, put back once, and deleted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from foreclick.checking.topics import TopicRecord, read_topic
from foreclick.cli import build_app
from foreclick.errors import SettingsError
from foreclick.settings import Settings
from foreclick.topics import create_topics
from streamer.dead_letters import LetterBox, LetterFilter, StoredLetter
from streamer.errors import ReplayFailed
from streamer.letter_replay import LetterReplay
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import event
from tests.streamer.worker import PATIENCE_S, keyed, produce, read_until, running_worker

NOON_MS = 1_767_268_800_000  # 2026-01-01 12:00:00 UTC
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def letter(settings: Settings, number: int, reason: str, *, partition: int = 0, value: bytes = b"{") -> None:
    """Put one letter, ``number`` minutes behind noon, where a worker would."""
    headers: list[tuple[str, bytes]] = [
        ("shop", b"one"),
        ("foreclick.reason", reason.encode()),
        ("foreclick.detail", b"said so"),
        ("foreclick.source", f"topic-{partition}-{number}".encode()),
    ]
    producer = Producer({"bootstrap.servers": settings.kafka})
    producer.produce(
        settings.dead_letters_topic,
        value,
        f"user-{number}".encode(),
        partition,
        timestamp=NOON_MS + number * MINUTE_MS,
        headers=list(headers),
    )
    assert producer.flush(PATIENCE_S) == 0


@pytest.fixture
def letters(fresh_topics: Settings) -> Settings:
    """Four letters and one repeat: 1 and 2 are too_late, 3 is in another partition, 4 is not UTF-8."""
    settings = replace(
        fresh_topics,
        topic_prefix=f"{fresh_topics.topic_prefix}-kept",
        dead_letter_retention_ms=100 * 365 * 86_400_000,
    )
    create_topics(settings)
    letter(settings, 1, "too_late")
    letter(settings, 2, "too_late")
    letter(settings, 2, "too_late")
    letter(settings, 3, "tombstone", partition=2)
    letter(settings, 4, "not_json", value=b"\xff\x00raw")
    return settings


def invoke(settings: Settings, *words: str, answer: str | None = None) -> Result:
    typed = ["dlq", *words, "--kafka", settings.kafka, "--topic-prefix", settings.topic_prefix]
    return CliRunner().invoke(build_app(typed), typed, input=answer)


def ran(settings: Settings, *words: str, answer: str | None = None) -> str:
    result = invoke(settings, *words, answer=answer)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def listed(settings: Settings, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran(settings, "list", "--json", *options).splitlines()]


def events(settings: Settings, count: int) -> list[TopicRecord]:
    """Read the events topic once it holds ``count`` records: a commit shows a moment after it returns."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        found = list(read_topic(settings.kafka, settings.events_topic).records)
        if len(found) >= count or time.monotonic() > deadline_s:
            assert len(found) == count
            return found


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        ([], ["topic-0-1", "topic-0-2", "topic-0-4", "topic-2-3"]),
        (["--reason", "too_late"], ["topic-0-1", "topic-0-2"]),
        (["--reason", "tombstone", "--reason", "not_json"], ["topic-0-4", "topic-2-3"]),
        (["--partition", "2"], ["topic-2-3"]),
        (["--since", "2026-01-01T12:02"], ["topic-0-2", "topic-0-4", "topic-2-3"]),
        (["--until", "2026-01-01T13:02:00+01:00"], ["topic-0-1"]),
        (["--limit", "1"], ["topic-0-1"]),
    ],
)
def test_letters_are_chosen_by_reason_partition_and_time_each_once(
    letters: Settings, options: list[str], sources: list[str]
) -> None:
    assert [row["source"] for row in listed(letters, *options)] == sources


def test_a_list_and_the_counts_hold_no_key_and_no_value(letters: Settings) -> None:
    told = ran(letters, "list") + ran(letters, "list", "--json") + ran(letters, "stats")
    assert "user-" not in told
    assert "raw" not in told
    assert "too_late" in told


def test_counts_by_reason(letters: Settings) -> None:
    counts = json.loads(ran(letters, "stats", "--json"))
    assert list(counts) == ["too_late", "not_json", "tombstone"]
    assert counts["too_late"] == {
        "letters": 2,
        "put_back": 0,
        "repeats": 1,
        "oldest_ms": NOON_MS + MINUTE_MS,
        "newest_ms": NOON_MS + 2 * MINUTE_MS,
        "partitions": {"0": 2},
    }


def test_one_letter_is_shown_with_all_its_bytes(letters: Settings) -> None:
    (row,) = listed(letters, "--reason", "not_json")
    told = json.loads(ran(letters, "show", row["letter"], "--json"))
    assert (told["key"], told["value"], told["value_base64"]) == ("user-4", None, "/wByYXc=")
    assert told["headers"][0] == ["shop", "one"]
    assert "value     \\xff\x00raw" in ran(letters, "show", row["letter"])


def test_a_letter_that_is_not_there_and_a_time_that_is_none_are_named(letters: Settings) -> None:
    for words, error in (
        (("show", "0:99"), "no dead letter 0:99"),
        (("show", "x"), "PARTITION:OFFSET"),
        (("list", "--since", "noon"), "'noon' is no time"),
        (("replay",), "--all"),
        (("purge",), "one of --before"),
        (("purge", "--up-to", "9:1"), "no partition 9"),
    ):
        result = invoke(letters, *words)
        assert isinstance(result.exception, SettingsError)
        assert error in str(result.exception)


def test_letters_are_put_back_once_with_their_bytes_key_and_history(letters: Settings) -> None:
    assert "2 would be put back, 1 were" in ran(letters, "replay", "--reason", "too_late", "--dry-run")
    assert events(letters, 0) == []
    first = json.loads(ran(letters, "replay", "--reason", "too_late", "--json"))
    assert first == {"dry_run": False, "put_back": 2, "put_back_before": 1}
    again = json.loads(ran(letters, "replay", "--all", "--json"))
    assert again == {"dry_run": False, "put_back": 2, "put_back_before": 3}
    found = events(letters, 4)
    assert sorted(record.key or b"" for record in found) == [b"user-1", b"user-2", b"user-3", b"user-4"]
    (raw,) = [record for record in found if record.key == b"user-4"]
    assert raw.value == b"\xff\x00raw"
    assert raw.timestamp_ms > NOON_MS + DAY_MS  # or retention might take it before a worker does
    assert raw.headers == (
        ("shop", b"one"),
        ("foreclick.reason", b"not_json"),
        ("foreclick.detail", b"said so"),
        ("foreclick.source", b"topic-0-4"),
        ("foreclick.timestamp-ms", str(NOON_MS + 4 * MINUTE_MS).encode()),
        ("foreclick.replays", b"1"),
    )
    assert all(row["put_back"] for row in listed(letters))


def test_an_event_goes_to_the_partition_of_its_key(letters: Settings) -> None:
    producer = Producer({"bootstrap.servers": letters.kafka, "partitioner": "murmur2_random"})
    producer.produce(letters.predictions_topic, b"", b"user-3")
    assert producer.flush(PATIENCE_S) == 0
    (sample,) = read_topic(letters.kafka, letters.predictions_topic).records
    ran(letters, "replay", "--reason", "tombstone")
    (record,) = events(letters, 1)
    assert record.position.partition == sample.position.partition


def test_a_run_that_is_killed_midway_leaves_nothing_twice_and_nothing_out(letters: Settings) -> None:
    program = (
        "import sys\n"
        "from confluent_kafka import Producer\n"
        "kafka, events, replays = sys.argv[1:]\n"
        "producer = Producer({'bootstrap.servers': kafka, 'transactional.id': replays})\n"
        "producer.init_transactions(30)\n"
        "producer.begin_transaction()\n"
        "producer.produce(events, b'{', b'user-1')\n"
        "producer.produce(replays, b'0:0', b'topic-0-1')\n"
        "producer.flush(30)\n"
        "print('sent', flush=True)\n"
        "sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program, letters.kafka, letters.events_topic, letters.replays_topic]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "sent\n"
        killed.send_signal(signal.SIGKILL)
    assert json.loads(ran(letters, "replay", "--reason", "too_late", "--json"))["put_back"] == 2
    assert sorted(record.key or b"" for record in events(letters, 2)) == [b"user-1", b"user-2"]


def test_a_replay_that_another_one_overtook_puts_nothing_back(letters: Settings) -> None:
    topics = (letters.events_topic, letters.replays_topic)
    one = StoredLetter(0, 0, NOON_MS, b"u", b"{", (("foreclick.source", b"topic-0-1"),))
    with LetterReplay.opened(letters.kafka, *topics, {}) as slow:
        ran(letters, "replay", "--reason", "too_late")
        with pytest.raises(ReplayFailed, match="another replay"):
            slow.put_back([one])
    events(letters, 2)


def test_letters_are_deleted_up_to_a_place_or_a_time_and_only_when_asked_to(letters: Settings) -> None:
    assert invoke(letters, "purge", "--all", answer="n\n").exit_code != 0
    assert len(listed(letters)) == 4
    assert "deleted 2" in ran(letters, "purge", "--up-to", "0:1", answer="y\n")
    assert [row["source"] for row in listed(letters)] == ["topic-0-2", "topic-0-4", "topic-2-3"]
    assert "deleted 2" in ran(letters, "purge", "--before", "2026-01-01T12:04", "--yes")
    assert [row["source"] for row in listed(letters)] == ["topic-0-4"]
    assert "deleted 1" in ran(letters, "purge", "--all", "--yes")
    assert "nothing to delete" in ran(letters, "purge", "--all", "--yes")


def test_an_event_that_fails_again_is_a_new_letter_with_its_history(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    produce(fresh_topics, [keyed(event("good", user="ann")), (b"ann", b"{")])
    with running_worker(fresh_topics, tmp_path):
        read_until(fresh_topics, fresh_topics.dead_letters_topic, bool)
        ran(fresh_topics, "replay", "--all")
        box = LetterBox(fresh_topics.kafka, fresh_topics.dead_letters_topic, {})
        found: list[StoredLetter] = []
        while len(found) < 2:
            found = [one for one, _ in box.letters(LetterFilter())]
    first, second = sorted(found, key=lambda one: one.replays)
    assert (first.replays, second.replays) == (0, 1)
    assert (first.key, first.value) == (second.key, second.value) == (b"ann", b"{")
    assert second.headers[: len(first.headers)] == first.headers
    assert first.source != second.source
    assert json.loads(ran(fresh_topics, "replay", "--all", "--json"))["put_back"] == 1
