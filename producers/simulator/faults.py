"""What goes wrong on the way from a shop to Kafka, put into a stream of good events at given rates."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, cycle
from typing import Final, Literal

import numpy as np

from producers.events import Event, EventType, encode_event
from producers.simulator.malformed import MALFORMED

Kind = Literal["genuine", "duplicate", "late", "reordered", "malformed", "bot"]
KINDS: Final[tuple[Kind, ...]] = ("genuine", "duplicate", "late", "reordered", "malformed", "bot")

BOT_USER_ID: Final = "bot"
_BOT_BURST: Final = 50  # events, one every 20 ms
_BOT_GAP_MS: Final = 20
_REORDERED_BY_MS: Final = 60_000
_DUPLICATE_AFTER_MS: Final = 120_000


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each fault happens, as a share of the good events; all from 0 to 1.

    Late and reordered events are good events held back; the other kinds are records in addition.
    """

    duplicates: float = 0.0
    late: float = 0.0
    reordered: float = 0.0
    malformed: float = 0.0
    bots: float = 0.0
    late_by_ms: int = 3_600_000  # the most that a late event is held back, in event time

    def __post_init__(self) -> None:
        for name in ("duplicates", "late", "reordered", "malformed", "bots"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"the rate of {name} must be from 0 to 1, not {getattr(self, name)}")
        if self.late + self.reordered > 1:
            raise ValueError("the rates of late and reordered events must not sum to more than 1")


@dataclass(frozen=True, slots=True)
class SimulatedRecord:
    """One record to publish, and what was done to it.

    ``sent_ms`` is the moment of sending in simulated Unix milliseconds; it never falls from record
    to record. ``event_id`` is the good event's that the record was made from. ``detail`` names the
    way in which a malformed record is wrong.
    """

    key: bytes | None
    value: bytes | None
    kind: Kind
    sent_ms: int
    event_id: str
    detail: str = ""


def with_faults(events: Iterable[Event], rates: Rates, seed: int = 0) -> Iterator[SimulatedRecord]:
    """Yield the records of ``events``, which must be in order of time, with faults at ``rates``.

    Every good event comes exactly once as ``genuine``, ``late`` or ``reordered``. The same
    arguments give the same records. Memory holds only what is held back.
    """
    rng = np.random.default_rng([seed, 2])
    held: list[tuple[int, int, SimulatedRecord]] = []
    ticket = count()
    faults = _Faults(rates, rng)
    for event in events:
        for record in faults.records(event):
            heapq.heappush(held, (record.sent_ms, next(ticket), record))
        while held and held[0][0] <= event.event_time_ms:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


class _Faults:
    def __init__(self, rates: Rates, rng: np.random.Generator) -> None:
        self._rates = rates
        self._draws = _uniforms(rng)
        self._ways = cycle(MALFORMED)
        self._bursts = count()

    def records(self, event: Event) -> Iterator[SimulatedRecord]:
        rates, now_ms = self._rates, event.event_time_ms
        key, value, event_id = event.user_id.encode(), encode_event(event), event.event_id
        draw = next(self._draws)
        if draw < rates.late:
            yield SimulatedRecord(key, value, "late", now_ms + self._delay(rates.late_by_ms), event_id)
        elif draw < rates.late + rates.reordered:
            yield SimulatedRecord(key, value, "reordered", now_ms + self._delay(_REORDERED_BY_MS), event_id)
        else:
            yield SimulatedRecord(key, value, "genuine", now_ms, event_id)
        if next(self._draws) < rates.duplicates:
            yield SimulatedRecord(
                key, value, "duplicate", now_ms + self._delay(_DUPLICATE_AFTER_MS), event_id
            )
        if next(self._draws) < rates.malformed:
            way = next(self._ways)
            yield SimulatedRecord(*way.record(event), "malformed", now_ms, event_id, way.name)
        if next(self._draws) < rates.bots / _BOT_BURST:
            yield from self._burst(event)

    def _delay(self, most_ms: int) -> int:
        return 1 + int(next(self._draws) * most_ms)

    def _burst(self, event: Event) -> Iterator[SimulatedRecord]:
        burst = next(self._bursts)
        for place in range(_BOT_BURST):
            time_ms = event.event_time_ms + place * _BOT_GAP_MS
            view = Event(
                event_id=f"{BOT_USER_ID}-{burst}-{place}",
                user_id=BOT_USER_ID,
                event_type=EventType.VIEW,
                event_time_ms=time_ms,
                item_id=f"i{place}",
            )
            yield SimulatedRecord(BOT_USER_ID.encode(), encode_event(view), "bot", time_ms, view.event_id)


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(4_096).tolist()
