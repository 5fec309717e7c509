"""The whole demo as a person starts it: a simulated shop, a trained model, a worker that is killed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

EVENTS = 2_500


@pytest.fixture(scope="module")
def report(kafka_address: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo's last line of output."""
    place = tmp_path_factory.mktemp("demo")
    options = {
        "--events": EVENTS,
        "--users": 150,
        "--kills": 1,
        "--seed": 1,
        "--full-users": 60,
        "--latency-events": 300,
        "--keep": place,
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
    assert report["lines"] == EVENTS
    assert report["lines"] == sum(report["rejected"].values()) + report["published"]
    outcomes = report["predictions"] + sum(report["dead_letters"].values()) + report["duplicate_events"]
    assert report["published"] == outcomes + report["missing"]
    assert report["disjoint"]
    assert report["inside"]
    assert (report["missing"], report["duplicated"], report["diverged"]) == (0, 0, 0)


def test_every_equation_holds(report: dict[str, Any]) -> None:
    assert [name for name, holds in report["equations"].items() if not holds] == []


def test_the_output_says_at_which_event_the_kill_hit(report: dict[str, Any]) -> None:
    (kill,) = report["kills"]
    assert 0 <= kill["at_event"] <= kill["published"] <= EVENTS


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
