"""The whole demo as a person starts it: a log with faults, a trained model, a worker that is killed once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from producers.simulator.shop import Shop

EVENTS = 2_500
REPEATED, LATE, NEGATIVE_PRICES = 20, 10, 5
DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z


def faulty_log(path: Path) -> None:
    """Write a simulated shop's log with faults in its last third, and a last line that is cut."""
    lines = []
    for number, event in enumerate(Shop(seed=5, users=150).events(START_MS, EVENTS)):
        fields = msgspec.to_builtins(event)
        lines.append(fields)
        place = number - 1_500
        if place % 40 == 1 and 0 <= place < 40 * REPEATED:
            lines.append(fields)
        if place % 40 == 11 and 0 <= place < 40 * LATE:
            late_ms = event.event_time_ms - 2 * DAY_MS
            lines.append({**fields, "event_id": f"late-{number}", "event_time_ms": late_ms})
        if place % 40 == 21 and 0 <= place < 40 * NEGATIVE_PRICES:
            lines.append({**fields, "event_id": f"negative-{number}", "price": -1})
    path.write_text("\n".join([*(json.dumps(line) for line in lines), '{"event_id": "cut']))


@pytest.fixture(scope="module")
def report(kafka_address: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo's last line of output."""
    place = tmp_path_factory.mktemp("demo")
    faulty_log(place / "shop.jsonl")
    options = {
        "--data": place / "shop.jsonl",
        "--format": "jsonl",
        "--kills": 1,
        "--seed": 1,
        "--full-users": 60,
        "--latency-events": 300,
        "--keep": place / "kept",
    }
    words = [str(word) for pair in options.items() for word in pair]
    done = subprocess.run(
        [sys.executable, "-m", "foreclick", "demo", "--headless", "--json", *words],
        env={**os.environ, "FORECLICK_KAFKA": kafka_address, "FORECLICK_REDIS": redis_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr[-4_000:] + done.stdout
    assert done.stdout.count("\n") == 1
    fields: dict[str, Any] = json.loads(done.stdout)
    return fields


def test_every_line_is_accounted_for(report: dict[str, Any]) -> None:
    assert report["lines"] == EVENTS + REPEATED + LATE + NEGATIVE_PRICES + 1
    assert report["lines"] == sum(report["rejected"].values()) + report["published"]
    outcomes = report["predictions"] + sum(report["dead_letters"].values()) + report["duplicate_events"]
    assert report["published"] == outcomes + report["missing"]
    assert report["disjoint"]
    assert report["inside"]
    assert (report["missing"], report["duplicated"], report["diverged"]) == (0, 0, 0)


def test_each_fault_ends_where_it_must(report: dict[str, Any]) -> None:
    assert report["rejected"] == {"price_out_of_range": NEGATIVE_PRICES, "truncated_json": 1}
    assert report["dead_letters"] == {"too_late": LATE}
    assert report["duplicate_events"] == REPEATED
    assert report["predictions"] == EVENTS


def test_every_equation_holds(report: dict[str, Any]) -> None:
    assert [name for name, holds in report["equations"].items() if not holds] == []


def test_the_output_says_at_which_event_the_kill_hit(report: dict[str, Any]) -> None:
    (kill,) = report["kills"]
    assert 0 <= kill["at_event"] <= kill["published"] <= report["published"]


def test_predictions_are_the_keras_models(report: dict[str, Any]) -> None:
    assert report["parity_by_head"]["compared"] == report["predictions"] + report["republished"]
    assert report["parity_max_abs_diff"] <= 1e-4


def test_what_it_costs_was_measured(report: dict[str, Any]) -> None:
    assert report["events_per_s"] > 0
    assert 0 < report["latency_p50_ms"] <= report["latency_p99_ms"]
    assert report["latency_events"] == 300
    assert 0 < report["worker_rss_bytes"] < 500_000_000
    assert report["redis_bytes_per_user"] > 0


def test_the_model_stands_beside_the_baselines(report: dict[str, Any]) -> None:
    for measure in ("next_action", "next_item_recall_at_20"):
        assert {"model", "repeat", "popular", "markov"} <= report["live"][measure].keys()
        assert report["live"][measure]["events"] > 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_told_to_stop_leaves_nothing_behind(sent: signal.Signals, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "foreclick", "demo", "--headless", "--events", "1000"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
    ) as demo:
        assert demo.stdout is not None
        assert any("epoch 1:" in line for line in demo.stdout)
        demo.send_signal(sent)
        demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert list(scratch.iterdir()) == []
