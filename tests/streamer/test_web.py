"""What a worker tells of itself over HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from streamer.errors import PortTaken
from streamer.step_times import StepTimes
from streamer.tally import Tally
from streamer.web import Status, listen, worker_web


class Told:
    """A worker's status, as a test wants it."""

    def __init__(
        self,
        lags: Mapping[int, int | None],
        trouble: str | None = None,
        unready: str | None = None,
        notice: str | None = None,
    ) -> None:
        self._lags, self._trouble, self._unready, self._notice = lags, trouble, unready, notice

    def lags(self) -> Mapping[int, int | None]:
        return self._lags

    def trouble(self) -> str | None:
        return self._trouble

    async def unready(self) -> str | None:
        return self._unready

    def notice(self) -> str | None:
        return self._notice


def answers(tally: Tally, status: Status, path: str, times: StepTimes | None = None) -> tuple[int, str]:
    """Return the status and the text with which the worker answers `GET path`."""

    async def ask() -> tuple[int, str]:
        server: TestServer = TestServer(worker_web(tally, times or StepTimes(), status))
        client: TestClient[web.Request, web.Application] = TestClient(server)
        async with client:
            answer = await client.get(path)
            return answer.status, await answer.text()

    return asyncio.run(ask())


def samples(text: str) -> dict[str, float]:
    """Return each sample's value under its name and its labels' values."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_say_what_was_counted_and_the_lags_that_are_known() -> None:
    tally = Tally()
    tally.predictions, tally.duplicate_events = 7, 2
    tally.dead_letters.update({"not_json": 3, "too_late": 1})
    status, text = answers(tally, Told({4: 11, 0: None, 2: 0}), "/metrics")
    assert status == 200
    assert samples(text) == {
        "foreclick_predictions_total": 7,
        "foreclick_duplicate_events_total": 2,
        "foreclick_partial_predictions_total": 0,
        "foreclick_rebuilt_events_total": 0,
        "foreclick_dead_letters_total not_json": 3,
        "foreclick_dead_letters_total too_late": 1,
        "foreclick_owned_partitions": 3,
        "foreclick_lag_offsets 2": 0,
        "foreclick_lag_offsets 4": 11,
    }


def test_steps_are_histograms_from_the_first_question_on() -> None:
    times = StepTimes()
    assert "foreclick_step_seconds_count decode" not in samples(
        answers(Tally(), Told({}), "/metrics", times)[1]
    )
    assert times.counting
    times.observe("decode", 0.002)
    times.observe("decode", 0.02)
    found = samples(answers(Tally(), Told({}), "/metrics", times)[1])
    assert found["foreclick_step_seconds_count decode"] == 2
    assert found["foreclick_step_seconds_sum decode"] == pytest.approx(0.022)
    assert found["foreclick_step_seconds_bucket 0.003 decode"] == 1


def test_ready_and_health_tell_what_the_worker_knows_of_itself() -> None:
    well, waiting = Told({1: None}), Told({}, unready="no partition is owned")
    stalled = Told({1: 5}, trouble="partitions [1] stand still", unready="partitions [1] stand still")
    assert answers(Tally(), well, "/ready") == (200, '{"partitions": [1]}')
    assert answers(Tally(), waiting, "/ready") == (
        503,
        '{"partitions": [], "reason": "no partition is owned"}',
    )
    assert answers(Tally(), stalled, "/ready")[0] == 503
    noticed = Told({1: None}, notice="look here")
    assert answers(Tally(), noticed, "/ready") == (200, '{"partitions": [1], "notice": "look here"}')
    assert answers(Tally(), well, "/health") == (200, '{"alive": true}')
    assert answers(Tally(), waiting, "/health")[0] == 200
    assert answers(Tally(), stalled, "/health") == (
        503,
        '{"alive": true, "trouble": "partitions [1] stand still"}',
    )


def test_a_port_is_listened_on_from_loopback_only_and_a_taken_one_says_the_cure() -> None:
    with listen(0) as taken:
        host, port = taken.getsockname()
        assert host == "127.0.0.1"
        with socket.create_connection((host, port), timeout=5.0):
            pass
        with pytest.raises(PortTaken, match=f"{port}.*--web-port"):
            listen(port)
