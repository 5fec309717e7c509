"""A simulated shop's log as CSV, of any length: the events of `producers.simulator`, row by row."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from producers.simulator.shop import Shop

if TYPE_CHECKING:
    from pathlib import Path

    from producers.events import Event

START_MS: Final = 1_736_121_600_000  # 6 January 2025
EVENTS_PER_SHOPPER: Final = 50
_COLUMNS: Final = (
    "event_id",
    "user_id",
    "event_type",
    "event_time_ms",
    "item_id",
    "session_id",
    "category",
    "price",
)


def write_log(path: Path, events: int, items: int, seed: int = 0) -> None:
    """Write the first ``events`` events of a shop of ``items`` items, with a header, in order of time.

    The shop has a shopper for each `EVENTS_PER_SHOPPER` events, so logs of any length span the same days.
    """
    shop = Shop(seed, max(events // EVENTS_PER_SHOPPER, 1), items)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(map(_cells, shop.events(START_MS, events)))


def _cells(event: Event) -> tuple[object, ...]:
    return (
        event.event_id,
        event.user_id,
        event.event_type.value,
        event.event_time_ms,
        event.item_id,
        event.session_id,
        event.category,
        event.price,
    )
