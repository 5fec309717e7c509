"""What a worker tells of itself over HTTP."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from streamer.errors import PortTaken
from streamer.tally import Tally
from streamer.web import Lags, listen, worker_web


def answers(tally: Tally, lags: Lags, path: str) -> tuple[int, str]:
    """Return the status and the text with which the worker answers `GET path`."""

    async def ask() -> tuple[int, str]:
        server: TestServer = TestServer(worker_web(tally, lags))
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
    status, text = answers(tally, lambda: {4: 11, 0: None, 2: 0}, "/metrics")
    assert status == 200
    assert samples(text) == {
        "foreclick_predictions_total": 7,
        "foreclick_duplicate_events_total": 2,
        "foreclick_dead_letters_total not_json": 3,
        "foreclick_dead_letters_total too_late": 1,
        "foreclick_owned_partitions": 3,
        "foreclick_lag_offsets 2": 0,
        "foreclick_lag_offsets 4": 11,
    }


@pytest.mark.parametrize(("lags", "status"), [({}, 503), ({1: None}, 200)])
def test_a_worker_is_ready_while_it_owns_a_partition_and_healthy_all_along(
    lags: dict[int, int | None], status: int
) -> None:
    assert answers(Tally(), lambda: lags, "/ready")[0] == status
    assert answers(Tally(), lambda: lags, "/health")[0] == 200


def test_a_port_is_listened_on_from_loopback_only_and_a_taken_one_says_the_cure() -> None:
    with listen(0) as taken:
        host, port = taken.getsockname()
        assert host == "127.0.0.1"
        with socket.create_connection((host, port), timeout=5.0):
            pass
        with pytest.raises(PortTaken, match=f"{port}.*--web-port"):
            listen(port)
