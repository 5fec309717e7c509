"""The second pass: what full windows cost in Redis, then the latency at a steady rate.

It has topics, a consumer group and Redis keys of its own, so the accounts of the first pass stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from foreclick.checking.window_rule import rule_on
from foreclick.demo.full_pass import PATIENCE_S, require_delivery
from foreclick.demo.live_board import LiveBoard
from foreclick.demo.pass_progress import PassProgress
from foreclick.demo.publishing import DemoPublisher
from foreclick.demo.redis_memory import memory_at_rest_bytes
from foreclick.topics import create_topics
from producers.events import Event
from producers.pacing import AtOnce, FixedRate
from producers.publisher import Publisher
from producers.readers import ReadEvent
from producers.replay import replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foreclick.demo.observer import Observer
    from foreclick.demo.shop_log import ShopLog
    from foreclick.demo.stage import Stage
    from foreclick.demo.view import View
    from foreclick.demo.worker_process import WorkerProcess

RATE_EVENTS_PER_S: Final = 500.0
_BETWEEN_FILL_EVENTS_MS: Final = 60_000


@dataclass(frozen=True)
class PacedPass:
    """What the second pass came to. Latency is from the scheduled sending of an event to its prediction.

    ``missing`` are events of the pass that got neither a prediction nor a dead letter.
    """

    latency_events: int
    latency_p50_ms: float
    latency_p99_ms: float
    redis_bytes_per_user: float
    missing: int
    worker_rss_bytes: int


def run_paced_pass(stage: Stage, log: ShopLog, view: View, *, full_users: int, events: int) -> PacedPass:
    """Fill the windows of ``full_users`` users, weigh them, then send ``events`` of ``log`` at 500 a second.

    Raises ForeclickError and ProducerError when the pass cannot be run.
    """
    create_topics(stage.settings)
    board = LiveBoard()
    with stage.observer(board.see) as observer, stage.worker() as worker:
        worker.wait_until_ready()
        empty_bytes = memory_at_rest_bytes(stage.settings)
        fill = filling_events(log.events, full_users, stage.settings.window_size)
        require_delivery(replay(lambda: fill, _fill_publisher(stage), AtOnce()))
        _wait_for_all(stage, observer, worker)
        full_bytes = memory_at_rest_bytes(stage.settings)
        paced = tuple(islice((line for line in log.lines if isinstance(line, ReadEvent)), events))
        progress = PassProgress(view, "at 500 events/s", board, observer, len(paced))
        report = replay(
            lambda: paced,
            DemoPublisher(stage, board),
            FixedRate(RATE_EVENTS_PER_S),
            progress=lambda _: progress.show(),
        )
        require_delivery(report)
        missing = _wait_for_all(stage, observer, worker)
        latencies_ms = _latencies_ms(stage, observer, {line.event.event_id for line in paced})
        rss_bytes = worker.peak_rss_bytes
    p50_ms, p99_ms = np.percentile(latencies_ms, [50, 99]) if latencies_ms else (np.nan, np.nan)
    return PacedPass(
        latency_events=len(latencies_ms),
        latency_p50_ms=float(p50_ms),
        latency_p99_ms=float(p99_ms),
        redis_bytes_per_user=(full_bytes - empty_bytes) / full_users,
        missing=missing,
        worker_rss_bytes=rss_bytes,
    )


def _fill_publisher(stage: Stage) -> Publisher:
    """Return a publisher whose events are none of the board's business."""
    settings = stage.settings
    return Publisher(settings.kafka, settings.events_topic, client_settings=stage.client_settings)


def filling_events(events: Sequence[Event], users: int, window_size: int) -> list[ReadEvent]:
    """Return events that fill the windows of ``users`` new users to the brim, each user's in turn.

    Items and categories are those of ``events``; times go on from the last of them.
    """
    start_ms = max(event.event_time_ms for event in events)
    samples = [event for event in events if event.item_id is not None] or events
    filling: list[ReadEvent] = []
    for step in range(window_size):
        for user in range(users):
            sample = samples[(step * users + user) % len(samples)]
            event = Event(
                event_id=f"fill-{user}-{step}",
                user_id=f"fill-{user}",
                event_type=sample.event_type,
                event_time_ms=start_ms + step * _BETWEEN_FILL_EVENTS_MS,
                item_id=sample.item_id,
                category=sample.category,
                price=sample.price,
            )
            filling.append(ReadEvent(len(filling) + 1, event))
    return filling


def _wait_for_all(stage: Stage, observer: Observer, worker: WorkerProcess) -> int:
    """Return how many records got neither a prediction nor a dead letter after all patience."""
    rulings = rule_on(stage.read(stage.settings.events_topic).records, stage.rule)
    awaited = {ruling.position.text for ruling in rulings if ruling.outcome != "repeated"}
    return observer.wait_for(awaited, PATIENCE_S, worker.check)


def _latencies_ms(stage: Stage, observer: Observer, event_ids: set[str]) -> list[float]:
    """Return how long each of the events took, from its record's timestamp, which is when it was due."""
    events = stage.read(stage.settings.events_topic).records
    due_ms = {record.position.text: record.timestamp_ms for record in events}
    rulings = rule_on(events, stage.rule)
    return [
        observer.seen_at_ms[ruling.position.text] - due_ms[ruling.position.text]
        for ruling in rulings
        if ruling.outcome == "scored"
        and ruling.position.text in observer.seen_at_ms
        and ruling.window[ruling.place].event_id in event_ids
    ]
