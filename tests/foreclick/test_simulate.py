"""`foreclick simulate` as a person runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from foreclick.cli import main
from foreclick.settings import Settings
from producers.events import decode_value

YEAR_2030_MS = 1_893_456_000_000


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *words])
    return int(ended.value.code or 0)


def counts_in(text: str) -> dict[str, int]:
    return {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^(\w+) +([\d,]+)", text, re.MULTILINE)
    }


def test_a_log_is_written_and_the_injected_faults_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, faults = tmp_path / "shop.jsonl", tmp_path / "faults.jsonl"
    words = ["--users", "50", "--items", "60", "--events", "2000", "--seed", "4", "--duplicates", "0.05"]
    assert run(*words, "--out", str(log), "--faults", str(faults)) == 0
    counts = counts_in(capsys.readouterr().out)
    lines = log.read_bytes().splitlines()
    noted = [json.loads(line) for line in faults.read_text().splitlines()]
    assert counts["genuine"] == 2_000
    assert counts["delivered"] == counts["sent"] == len(lines) == 2_000 + counts["duplicate"]
    assert len(noted) == counts["duplicate"] > 50
    for fault in noted:
        event = decode_value(lines[fault["record"]], YEAR_2030_MS)
        assert (fault["kind"], fault["event_id"]) == ("duplicate", event.event_id)
        assert lines[fault["record"]] in lines[: fault["record"]]


def test_events_arrive_in_kafka(fresh_topics: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    servers = ["--kafka", fresh_topics.kafka, "--topic-prefix", fresh_topics.topic_prefix]
    assert run(*servers, "--events", "300", "--users", "20", "--malformed", "0.2") == 0
    counts = counts_in(capsys.readouterr().out)
    assert counts["genuine"] == 300
    assert counts["delivered"] == 300 + counts["malformed"]


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--rate", "5", "--speed", "2", "--out", "x"], "leave one away"),
        (["--to-kafka", "--out", "x"], "leave one away"),
        (["--speed", "fast", "--out", "x"], "a number over 0 or 'max'"),
        (["--rate", "0", "--out", "x"], "--rate over 0"),
        (["--late", "0.7", "--reordered", "0.7", "--out", "x"], "sum to more than 1"),
        (["--events", "10", "--out", "no/such/place"], "name another file"),
        (["--kafka", "", "--events", "10"], "FORECLICK_KAFKA"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_cure(
    words: list[str], cure: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [str(tmp_path / word) if word in ("x", "no/such/place") else word for word in words]
    assert run(*words) == 1
    assert cure in capsys.readouterr().err


def test_a_shop_that_opens_in_the_future_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--events", "10", "--out", str(tmp_path / "shop.jsonl")]
    assert run(*words, "--start", "2100-01-01") == 0
    assert "event_time_in_future" in capsys.readouterr().err
    assert run(*words) == 0
    assert capsys.readouterr().err == ""
