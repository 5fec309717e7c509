"""The events that every competitor reads, and the topic that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from producers.events import Event, EventType
from producers.publisher import Publisher

START_MS = 1_700_000_000_000
EVENT_SPACING_MS = 5
FLUSH_TIMEOUT_S = 120.0
SHARES = {EventType.VIEW: 0.88, EventType.CART: 0.07, EventType.FAVORITE: 0.02, EventType.PURCHASE: 0.03}


@dataclass(frozen=True)
class Workload:
    """``events`` events of equally busy users over items whose popularity falls as 1 / rank.

    ``prefix`` begins their ids; the first is of ``start_ms``, and each ``spacing_ms`` behind the one before.
    """

    events: int
    users: int
    items: int
    seed: int = 0
    prefix: str = "event"
    start_ms: int = START_MS
    spacing_ms: float = EVENT_SPACING_MS

    def __iter__(self) -> Iterator[Event]:
        random = np.random.default_rng(self.seed)
        users = random.integers(self.users, size=self.events).tolist()
        weights = 1.0 / np.arange(1, self.items + 1)
        items = random.choice(self.items, size=self.events, p=weights / weights.sum()).tolist()
        types = random.choice(len(SHARES), size=self.events, p=list(SHARES.values())).tolist()
        names = list(SHARES)
        for number, (user, item, kind) in enumerate(zip(users, items, types, strict=True)):
            yield Event(
                event_id=f"{self.prefix}-{number:09}",
                user_id=user_id(user),
                event_type=names[kind],
                event_time_ms=self.start_ms + int(number * self.spacing_ms),
                item_id=item_id(item),
                category=f"category-{item % 200}",
                price=float(5 + item % 95),
            )


def user_id(number: int) -> str:
    """Return the id of a user."""
    return f"user-{number:07}"


def item_id(number: int) -> str:
    """Return the id of an item."""
    return f"item-{number:07}"


def publish(workload: Workload, bootstrap: str, topic: str) -> None:
    """Publish all events of ``workload``. Raises RuntimeError unless the brokers took them all."""
    publisher = Publisher(bootstrap, topic, client_settings={})
    for event in workload:
        publisher.publish(event)
    delivery = publisher.flush(FLUSH_TIMEOUT_S)
    if delivery.delivered != workload.events:
        raise RuntimeError(f"{delivery.failed} events of {workload.events} were not delivered")
