"""The HTTP collector against a real broker: what is answered with 200 is in Kafka, and nothing else is."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientConnectionError, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from confluent_kafka import Consumer, TopicPartition

from foreclick.cli import main
from foreclick.services import local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics
from producers.acknowledged import AcknowledgedPublisher
from producers.collector import collector_app
from producers.errors import BrokersUnreachable
from producers.events import Event, decode_event
from producers.publisher import connect

NOW_MS: Final = 1_700_000_000_000
Client = TestClient[Any, Any]


class StoppedClock:
    def now_ms(self) -> float:
        return float(NOW_MS)

    def sleep_ms(self, duration_ms: float) -> None:
        raise AssertionError(f"nobody asked for {duration_ms} ms of sleep")


PUBLISHER: Final = web.AppKey("publisher", AcknowledgedPublisher)


def in_flight_of(client: Client) -> int:
    assert client.app is not None
    in_flight: int = client.app[PUBLISHER].in_flight
    return in_flight


@asynccontextmanager
async def collector(
    kafka: str,
    topic: str,
    *,
    most_in_flight: int = 1_000,
    max_body_bytes: int = 65_536,
    ack_timeout_ms: int = 10_000,
) -> AsyncIterator[Client]:
    producer = connect(kafka, topic, {"message.timeout.ms": str(ack_timeout_ms)})
    publisher = AcknowledgedPublisher(producer, topic, most_in_flight)
    app = collector_app(publisher, StoppedClock(), max_body_bytes)
    app[PUBLISHER] = publisher
    async with TestClient(TestServer(app)) as client:
        yield client
    await publisher.close(10)


def collecting(settings: Settings, talk: Callable[[Client], Awaitable[None]], **limits: int) -> None:
    async def run() -> None:
        async with collector(settings.kafka, settings.events_topic, **limits) as client:
            await talk(client)

    asyncio.run(run())


def arrived(settings: Settings, expected: int, received_ms: int | None = NOW_MS) -> list[Event]:
    """Return the events in Kafka, as a plain consumer sees them, after a look for one too many."""
    group = {"group.id": settings.consumer_group, "enable.auto.commit": False, "fetch.wait.max.ms": 50}
    consumer = Consumer({"bootstrap.servers": settings.kafka, **group})
    consumer.assign([TopicPartition(settings.events_topic, each, 0) for each in range(settings.partitions)])
    try:
        messages = consumer.consume(expected, timeout=20) if expected else []
        messages += consumer.consume(1, timeout=0.5)
    finally:
        consumer.close()
    stamps_ms = [message.timestamp()[1] for message in messages]
    assert received_ms is None or set(stamps_ms) <= {received_ms}
    return [
        decode_event(message.value(), message.key(), stamp_ms)
        for message, stamp_ms in zip(messages, stamps_ms, strict=True)
    ]


def event(number: int, **changes: Any) -> dict[str, Any]:
    about = {"event_id": f"e{number}", "user_id": f"u{number % 7}", "event_type": "view", "item_id": "i"}
    return {**about, "event_time_ms": NOW_MS + number, **changes}


def test_one_event_an_array_and_a_wrapped_array_are_published(fresh_topics: Settings) -> None:
    async def talk(client: Client) -> None:
        for body, count in [(event(0), 1), ([event(1), event(2)], 2), ({"events": [event(3)]}, 1), ([], 0)]:
            answer = await client.post("/events", json=body)
            assert (answer.status, await answer.json()) == (200, {"accepted": count})

    collecting(fresh_topics, talk)
    assert sorted(each.event_id for each in arrived(fresh_topics, 4)) == ["e0", "e1", "e2", "e3"]


def test_200_means_that_the_brokers_have_it(fresh_topics: Settings) -> None:
    """Many requests at once; each answered one is read back, though the collector is still running."""

    async def talk(client: Client) -> None:
        async def send(first: int) -> int:
            answer = await client.post("/events", json=[event(first + each) for each in range(10)])
            return answer.status

        assert set(await asyncio.gather(*(send(10 * each) for each in range(50)))) == {200}
        read = await asyncio.to_thread(arrived, fresh_topics, 500)
        assert {each.event_id for each in read} == {f"e{number}" for number in range(500)}

    collecting(fresh_topics, talk)


def test_a_request_with_a_bad_event_is_refused_whole_with_a_reason_for_each(fresh_topics: Settings) -> None:
    async def talk(client: Client) -> None:
        bad = [event(1), event(2, price=-1), 5, event(3, event_type="hover"), event(4, user_id="")]
        answer = await client.post("/events", json=bad)
        assert answer.status == 400
        body = await answer.json()
        assert body["accepted"] == 0
        assert [(each["index"], each["reason"]) for each in body["rejected"]] == [
            (1, "price_out_of_range"),
            (2, "not_an_object"),
            (3, "event_type_unknown"),
            (4, "user_id_empty"),
        ]
        assert all(each["detail"] for each in body["rejected"])

    collecting(fresh_topics, talk)
    assert arrived(fresh_topics, 0) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_value"),
        (b'{"event_id"', "truncated_json"),
        (b"event_id=1&user_id=2", "malformed_json"),
        (b"\xff\xfe", "invalid_utf8"),
        (b"[" * 50_000, "nested_too_deeply"),
        (b'[{"price": NaN}]', "number_not_finite"),
        (b'["\\ud800"]', "lone_surrogate"),
    ],
)
def test_a_body_that_is_no_json_has_its_reason(fresh_topics: Settings, body: bytes, reason: str) -> None:
    async def talk(client: Client) -> None:
        answer = await client.post("/events", data=body)
        assert answer.status == 400
        (refusal,) = (await answer.json())["rejected"]
        assert (refusal["index"], refusal["reason"]) == (None, reason)

    collecting(fresh_topics, talk)


def test_other_vocabularies_are_found_or_named(fresh_topics: Settings) -> None:
    ga4 = {"client_id": "c", "events": [{"name": "view_item", "params": {"items": [{"item_id": "g"}]}}]}
    segment = {"type": "track", "event": "Product Viewed", "userId": "s", "messageId": "m",
               "properties": {"sku": "sku"}}  # fmt: skip

    async def talk(client: Client) -> None:
        assert (await client.post("/events", json=ga4)).status == 200
        assert (await client.post("/events?vocabulary=segment", json=segment)).status == 200
        named = {"X-Foreclick-Vocabulary": "ga4"}
        wrong = await client.post("/events", json=segment, headers=named)
        assert (await wrong.json())["rejected"][0]["reason"] == "event_type_missing"
        unknown = await client.post("/events?vocabulary=esperanto", json=segment)
        assert unknown.status == 400
        assert "foreclick, ga4, segment, snowplow" in (await unknown.json())["error"]

    collecting(fresh_topics, talk)
    read = sorted((each.user_id, each.item_id, each.event_time_ms) for each in arrived(fresh_topics, 2))
    assert read == [("c", "g", NOW_MS), ("s", "sku", NOW_MS)]


def test_a_body_or_a_batch_over_the_limit_gets_413(fresh_topics: Settings) -> None:
    async def talk(client: Client) -> None:
        large = await client.post("/events", data=b" " * 65_537)
        assert (large.status, (await large.json())["accepted"]) == (413, 0)
        many = await client.post("/events", json=[event(each) for each in range(11)])
        assert many.status == 413
        assert "at most 10 events" in (await many.json())["error"]

    collecting(fresh_topics, talk, most_in_flight=10)
    assert arrived(fresh_topics, 0) == []


def test_web_pages_are_refused_and_get_no_cors_headers(fresh_topics: Settings) -> None:
    async def talk(client: Client) -> None:
        page = {"Origin": "https://shop.example"}
        answer = await client.post("/events", json=event(1), headers=page)
        assert answer.status == 403
        preflight = await client.options("/events", headers={**page, "Access-Control-Request-Method": "POST"})
        assert preflight.status == 405
        assert not [name for name in (*answer.headers, *preflight.headers) if "Access-Control" in name]

    collecting(fresh_topics, talk)
    assert arrived(fresh_topics, 0) == []


def test_a_broker_that_died_gets_429_for_what_has_no_room_and_503_for_the_rest(tmp_path: Path) -> None:
    async def run(settings: Settings, kill: Callable[[], None]) -> None:
        limits = {"most_in_flight": 5, "ack_timeout_ms": 1_500}
        async with collector(settings.kafka, settings.events_topic, **limits) as client:
            assert (await client.post("/events", json=event(0))).status == 200
            kill()
            waiting = asyncio.create_task(client.post("/events", json=[event(each) for each in range(1, 5)]))
            while in_flight_of(client) < 4:
                await asyncio.sleep(0)
            refused = await client.post("/events", json=[event(5), event(6)])
            assert (refused.status, (await refused.json())["accepted"]) == (429, 0)
            given_up = await waiting
            assert (given_up.status, (await given_up.json())["accepted"]) == (503, 0)
            assert int(refused.headers["Retry-After"]) >= int(given_up.headers["Retry-After"]) >= 1
            assert in_flight_of(client) == 0
            health = await client.get("/health")
            assert (health.status, (await health.json())["kafka"]) == (503, "unreachable")

    with local_services(tmp_path, Settings(redis="redis://127.0.0.1:1/0")) as services:
        assert services.broker is not None
        settings = Settings(kafka=services.kafka, partitions=1)
        create_topics(settings)
        asyncio.run(run(settings, services.broker.kill))


def test_health_asks_the_brokers(fresh_topics: Settings) -> None:
    async def talk(client: Client) -> None:
        answer = await client.get("/health")
        assert (answer.status, await answer.json()) == (200, {"kafka": "reachable", "in_flight": 0})

    collecting(fresh_topics, talk)


def test_sigterm_lets_what_is_under_way_end(fresh_topics: Settings) -> None:
    """Every request that was answered with 200 around the signal is in Kafka, and the exit is clean."""
    words = ["--kafka", fresh_topics.kafka, "--topic-prefix", fresh_topics.topic_prefix]
    command = [sys.executable, "-m", "foreclick", "collect", *words, "--collector-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    accepted: list[str] = []
    numbers = itertools.count()

    async def client_of(session: ClientSession, url: str) -> None:
        """Send one event after the other until the collector is gone."""
        with suppress(ClientConnectionError):
            for number in numbers:
                async with session.post(url, json=event(number)) as answer:
                    assert answer.status == 200
                    accepted.append(f"e{number}")
                    if len(accepted) == 50:
                        process.send_signal(signal.SIGTERM)

    async def talk(url: str) -> None:
        async with ClientSession() as session:
            await asyncio.gather(*(client_of(session, url) for _ in range(8)))

    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    asyncio.run(talk(address))
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (0, "", "")
    assert len(accepted) >= 50
    assert set(accepted) <= {each.event_id for each in arrived(fresh_topics, len(accepted), None)}


def test_a_port_in_use_is_said_with_its_cure(
    fresh_topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["collect", "--kafka", fresh_topics.kafka, "--topic-prefix", fresh_topics.topic_prefix]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words += ["--collector-port", str(taken.getsockname()[1])]
        with pytest.raises(SystemExit) as ended:
            main(words)
    assert ended.value.code == 1
    assert "--collector-port" in capsys.readouterr().err


class FullProducer:
    """Takes one record, then has no room; nothing is ever reported but that one's delivery."""

    def __init__(self) -> None:
        self._report: Callable[..., None] | None = None

    def produce(self, topic: str, value: bytes | None = None, key: bytes | None = None, *,
                on_delivery: Callable[..., None] | None = None, timestamp: int = 0) -> None:  # fmt: skip
        assert (topic, key, timestamp) == ("t", b"u", NOW_MS)
        assert value is not None
        if self._report is not None:
            raise BufferError("Local: Queue full")
        self._report = on_delivery

    def poll(self, _timeout_s: float, /) -> int:
        report, self._report = self._report, None
        if report is not None:
            report(None, None)
        return 0

    def flush(self, _timeout_s: float, /) -> int:
        return 0

    def list_topics(self, _topic: str, _timeout_s: float, /) -> None:
        raise AssertionError("nobody asked")


def test_a_batch_that_does_not_fit_into_the_clients_queue_is_settled_too() -> None:
    async def run() -> None:
        publisher = AcknowledgedPublisher(FullProducer(), "t")
        events = [
            decode_event(json.dumps(event(each, user_id="u")).encode(), b"u", NOW_MS) for each in range(3)
        ]
        with pytest.raises(BrokersUnreachable, match="Queue full"):
            await publisher.publish(events, NOW_MS)
        assert publisher.in_flight == 0
        await publisher.close(1)

    asyncio.run(run())
