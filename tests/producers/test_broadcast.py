"""Sending a simulated shop's records: each when due, each counted, and the brokers' word on all of them."""

from __future__ import annotations

import io
import json
from typing import Final

import pytest
from confluent_kafka import Consumer, TopicPartition

from foreclick.settings import Settings
from producers.events import EventRejected, decode_event
from producers.pacing import AtOnce, FixedRate, LogGaps, Pacing
from producers.publisher import Delivery, Publisher
from producers.simulator.broadcast import BroadcastReport, LinesFile, broadcast, fault_line
from producers.simulator.faults import Kind, Rates, SimulatedRecord, with_faults
from producers.simulator.shop import Shop

START_MS: Final = 1_700_000_000_000


class HandClock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.time_ms = 5_000.0

    def now_ms(self) -> float:
        return self.time_ms

    def sleep_ms(self, duration_ms: float) -> None:
        self.time_ms += duration_ms


class MemorySink:
    """Keeps what is sent, and when; loses each record whose value is ``lost``."""

    def __init__(self, clock: HandClock, lost: bytes = b"") -> None:
        self._clock, self._lost = clock, lost
        self.sent: list[tuple[bytes | None, float, int | None]] = []
        self.keys: list[bytes | None] = []

    def publish_raw(self, key: bytes | None, value: bytes | None, timestamp_ms: int | None = None) -> None:
        self.keys.append(key)
        self.sent.append((value, self._clock.now_ms(), timestamp_ms))

    def poll(self) -> None:
        pass

    def flush(self) -> Delivery:
        failed = sum(value == self._lost for value, *_ in self.sent)
        return Delivery(len(self.sent) - failed, failed)


def records(*sent_ms: int, kinds: tuple[Kind, ...] = ()) -> list[SimulatedRecord]:
    return [
        SimulatedRecord(b"u", f"v{place}".encode(), (*kinds, *["genuine"] * 9)[place], ms, f"e{place}")  # type: ignore[arg-type]
        for place, ms in enumerate(sent_ms)
    ]


@pytest.mark.parametrize(
    ("pacing", "due_ms"),
    [
        (FixedRate(4), [5_000, 5_250, 5_500]),
        (LogGaps(speed=10), [5_000, 5_030, 5_130]),
        (AtOnce(), [5_000, 5_000, 5_000]),
    ],
)
def test_records_go_out_when_due(pacing: Pacing, due_ms: list[int]) -> None:
    clock = HandClock()
    sink = MemorySink(clock)
    report = broadcast(records(START_MS, START_MS + 300, START_MS + 1_300), sink, pacing, clock=clock)
    assert [at_ms for _, at_ms, _ in sink.sent] == due_ms
    stamped = [None] * 3 if isinstance(pacing, AtOnce) else due_ms
    assert [timestamp_ms for *_, timestamp_ms in sink.sent] == stamped
    assert sink.keys == [b"u"] * 3
    assert report.shop_ms == START_MS + 1_300
    assert (report.sent, report.delivered, report.failed) == (3, 3, 0)
    assert report.seconds == (due_ms[-1] - 5_000) / 1_000


def test_kinds_are_counted_and_faults_noted_with_their_places() -> None:
    clock = HandClock()
    kinds: tuple[Kind, ...] = ("genuine", "duplicate", "genuine", "bot")
    noted: list[tuple[int, str]] = []
    report = broadcast(
        records(START_MS, START_MS, START_MS, START_MS, kinds=kinds),
        MemorySink(clock),
        AtOnce(),
        clock=clock,
        note_fault=lambda place, record: noted.append((place, record.kind)),
    )
    assert report.by_kind == {"genuine": 2, "duplicate": 1, "bot": 1}
    assert noted == [(1, "duplicate"), (3, "bot")]


def test_a_lost_record_shows() -> None:
    clock = HandClock()
    report = broadcast(records(START_MS, START_MS), MemorySink(clock, lost=b"v1"), AtOnce(), clock=clock)
    assert (report.sent, report.delivered, report.failed, report.all_delivered) == (2, 1, 1, False)


def test_a_broadcast_stops_when_told_to_also_while_it_waits() -> None:
    clock = HandClock()
    sink = MemorySink(clock)
    report = broadcast(
        records(START_MS, START_MS + 3_600_000),
        sink,
        LogGaps(max_gap_s=7_200),
        clock=clock,
        stop=lambda: clock.now_ms() > 6_000,
    )
    assert (report.sent, report.delivered) == (1, 1)
    assert clock.now_ms() < 6_100


def test_progress_is_told_at_the_end_at_least() -> None:
    clock = HandClock()
    seen: list[BroadcastReport] = []
    report = broadcast(records(START_MS), MemorySink(clock), AtOnce(), clock=clock, progress=seen.append)
    assert seen == [report]


def test_a_file_gets_one_value_a_line() -> None:
    file = io.BytesIO()
    sink = LinesFile(file)
    sink.publish_raw(b"u", b"one")
    sink.publish_raw(b"u", None)
    assert sink.flush() == Delivery(2, 0)
    assert file.getvalue() == b"one\n\n"


def test_a_fault_line_names_the_event_and_not_the_user() -> None:
    record = SimulatedRecord(b"u17", b"", "malformed", START_MS, "0-17-3", "no_bytes")
    assert json.loads(fault_line(4, record)) == {
        "record": 4,
        "kind": "malformed",
        "detail": "no_bytes",
        "event_id": "0-17-3",
    }


def test_all_kinds_of_records_arrive_in_kafka_untouched(fresh_topics: Settings) -> None:
    """What a plain consumer reads is what was made: the same keys, values and counts by kind."""
    made = list(
        with_faults(
            Shop(seed=3, users=50, items=40).events(START_MS, 1_500),
            Rates(duplicates=0.02, late=0.02, malformed=0.05, bots=0.05),
            seed=1,
        )
    )
    report = broadcast(made, Publisher(fresh_topics.kafka, fresh_topics.events_topic), AtOnce())
    assert report.all_delivered
    read = read_all(fresh_topics, len(made))
    assert sorted(read, key=repr) == sorted([(each.key, each.value) for each in made], key=repr)
    refused = 0
    for key, value in read:
        try:
            decode_event(value, key, START_MS + 40 * 86_400_000)
        except EventRejected:
            refused += 1
    assert refused == report.by_kind["malformed"] > 40


def read_all(settings: Settings, count: int) -> list[tuple[bytes | None, bytes | None]]:
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": settings.consumer_group,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(settings.events_topic, each, 0) for each in range(settings.partitions)])
    try:
        messages = consumer.consume(count, timeout=30)
    finally:
        consumer.close()
    return [(message.key(), message.value()) for message in messages]
