"""`foreclick replay` and `foreclick inspect` as a person runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from foreclick.cli import main
from foreclick.settings import Settings
from producers.events import Event, decode_event

OTTO = Path(__file__).parents[1] / "data" / "otto.jsonl"
START_MS = 1_569_888_000_000  # 2019-10-01


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    return int(ended.value.code or 0)


def servers(settings: Settings) -> list[str]:
    return ["--kafka", settings.kafka, "--topic-prefix", settings.topic_prefix]


def events_in(settings: Settings) -> list[Event]:
    reader = Consumer({"bootstrap.servers": settings.kafka, "group.id": "none"})
    found: list[Event] = []
    try:
        places = [TopicPartition(settings.events_topic, place, 0) for place in range(settings.partitions)]
        wanted = sum(reader.get_watermark_offsets(place, timeout=10)[1] for place in places)
        reader.assign(places)
        while len(found) < wanted:
            message = reader.poll(10)
            assert message is not None
            found.append(decode_event(message.value(), message.key(), message.timestamp()[1]))
    finally:
        reader.close()
    return found


def last_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return line


def taobao_log(path: Path, lines: int, broken: dict[int, str] | None = None) -> Path:
    rows = [f"{number % 50},{number},7,pv,{START_MS // 1_000 + number}" for number in range(lines)]
    for number, row in (broken or {}).items():
        rows[number] = row
    path.write_text("\n".join(rows))
    return path


def test_every_line_of_a_log_is_published_or_rejected_with_a_reason(
    tmp_path: Path, fresh_topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {10: "1,2,3,pv,15", 20: "1,2,3,pv", 99: "1,2,3,pv,15698"}
    log = taobao_log(tmp_path / "log", 100, broken)
    assert (
        run("replay", str(log), "--format", "taobao", "--speed", "max", "--json", *servers(fresh_topics)) == 0
    )
    told = last_json(capsys)
    assert told["rejected"] == {"event_time_before_2000": 2, "wrong_column_count": 1}
    assert (told["lines"], told["published"], told["delivered"], told["failed"]) == (100, 97, 97, 0)
    found = events_in(fresh_topics)
    assert sorted(int(event.item_id or "") for event in found) == [n for n in range(100) if n not in broken]


def test_a_log_by_user_needs_a_sort_and_then_arrives_whole(
    fresh_topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["replay", str(OTTO), "--format", "otto", "--speed", "max", "--json", *servers(fresh_topics)]
    assert run(*words) == 1
    assert "--sort" in capsys.readouterr().err
    assert events_in(fresh_topics) == []
    assert run(*words, "--sort") == 0
    assert last_json(capsys)["delivered"] == 862
    assert len({event.event_id for event in events_in(fresh_topics)}) == 862


def test_loops_of_chosen_users_up_to_now(fresh_topics: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--sort", "--speed", "max", "--loop", "3", "--users", "5", "--shift-to-now", "--json"]
    before_ms = time.time_ns() // 1_000_000
    assert run("replay", str(OTTO), "--format", "otto", *words, *servers(fresh_topics)) == 0
    told = last_json(capsys)
    assert told["lines"] == 3 * 862 == told["left_out"] + told["published"]
    found = events_in(fresh_topics)
    assert len({event.user_id for event in found}) == 5
    assert len({event.event_id for event in found}) == told["published"]
    newest_ms = max(event.event_time_ms for event in found)
    # The log's last event happens now; the last of these five users' is at most the log's four weeks older.
    assert before_ms - 28 * 86_400_000 < newest_ms <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_replay_that_was_stopped_is_resumed(
    tmp_path: Path, fresh_topics: Settings, capsys: pytest.CaptureFixture[str], stop: signal.Signals
) -> None:
    log, place = taobao_log(tmp_path / "log", 2_000), tmp_path / "place.json"
    words = ["replay", str(log), "--format", "taobao", "--checkpoint", str(place), *servers(fresh_topics)]
    child = subprocess.Popen(
        [sys.executable, "-m", "foreclick", *words, "--rate", "400"], stderr=subprocess.PIPE
    )
    deadline_s = time.monotonic() + 60
    while not place.exists() and time.monotonic() < deadline_s:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.05)
    child.send_signal(stop)
    _, said = child.communicate(timeout=30)
    assert child.returncode == (130 if stop is signal.SIGINT else -signal.SIGKILL), said
    done = json.loads(place.read_bytes())["position"]["lines"]
    assert 0 < done < 2_000
    assert run(*words, "--speed", "max") == 1
    assert "add --resume" in capsys.readouterr().err
    assert run(*words, "--speed", "max", "--resume", "--json") == 0
    assert last_json(capsys)["lines"] == 2_000 - done
    times_sent = Counter(events_in(fresh_topics))
    assert len(times_sent) == len({event.event_id for event in times_sent}) == 2_000
    if stop is signal.SIGINT:
        assert set(times_sent.values()) == {1}
    # What came after the checkpoint is sent again after a kill: no more than about a second of it.
    assert sum(times_sent.values()) - 2_000 < 2 * 400


def test_a_checkpoint_of_another_replay_is_refused(
    tmp_path: Path, fresh_topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place.json"
    words = [
        "--format",
        "taobao",
        "--checkpoint",
        str(place),
        "--resume",
        "--speed",
        "max",
        *servers(fresh_topics),
    ]
    assert run("replay", str(taobao_log(tmp_path / "one", 10)), *words) == 0
    assert run("replay", str(taobao_log(tmp_path / "two", 11)), *words) == 1
    assert "of another replay" in capsys.readouterr().err
    assert len(events_in(fresh_topics)) == 10


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--speed", "0"], "a number over 0"),
        (["--speed", "fast"], "a number over 0"),
        (["--speed", "2", "--rate", "3"], "not both"),
        (["--rate", "0"], "over 0"),
        (["--from", "then"], "2019-10-01T00:00:00Z"),
        (["--resume"], "--checkpoint"),
        (["--mapping", "a.toml", "--map", "user_id=who"], "not both"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(
    words: list[str], cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("replay", str(OTTO), "--format", "otto", "--kafka", "127.0.0.1:1", *words) == 2
    assert cure in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_without_kafka_the_cure_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORECLICK_KAFKA", raising=False)
    assert run("replay", str(OTTO), "--format", "otto") == 1
    assert "foreclick services up" in capsys.readouterr().err


def test_inspect_tells_what_a_log_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    far = f"1,2,3,pv,{START_MS // 1_000 + 86_400 * 200}"
    log = taobao_log(tmp_path / "log", 100, {50: far, 99: "1,2,3,p"})
    assert run("inspect", str(log), "--format", "taobao", "--json") == 0
    told = last_json(capsys)
    assert (told["lines"], told["events"], told["rejected"]) == (100, 99, {"wrong_column_count": 1})
    assert (told["first_unsorted_line"], told["strays"], told["slightly_late"]) == (None, 1, 0)
    assert told["earliest_ms"] == START_MS
    assert run("inspect", str(OTTO), "--format", "otto") == 0
    words = capsys.readouterr().out
    assert "862" in words
    assert "2022-07-31 22:00:00 UTC" in words
    assert "--sort" in words
