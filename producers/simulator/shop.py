"""The seeded shop: an endless stream of events in order of time, from shoppers whose behaviour is known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np

from producers.events import EVENT_TYPES, Event
from producers.simulator.behaviour import CART, PURCHASE, SEARCH, Behaviour, default_behaviour
from producers.simulator.catalogue import Catalogue, item_id_of
from producers.simulator.season import HOUR_MS, Season
from producers.simulator.shoppers import Acts, Shoppers

_EVENTS_PER_CHUNK: Final = 20_000
_EVENTS_PER_SHOPPER_HOUR: Final = 0.25  # about what the default behaviour gives
_CHUNK_HOURS: Final = (1 / 6, 14 * 24.0)
_DEVICES: Final = ("phone", "desktop", "tablet")
_SOURCES: Final = ("direct", "search", "email", "advert")


class Shop:
    """A shop of ``users`` shoppers and ``items`` items, the same for the same ``seed``.

    When a shopper leaves for good a new one with a new id comes, so ids are endless and memory is
    not: it grows with ``users`` and ``items`` alone.
    """

    def __init__(
        self, seed: int = 0, users: int = 1_000, items: int = 2_000, behaviour: Behaviour | None = None
    ) -> None:
        if users < 1:
            raise ValueError("a shop needs at least 1 user")
        self.seed, self.users = seed, users
        self.behaviour = behaviour or default_behaviour()
        self.season = Season()
        self.catalogue = Catalogue(items, np.random.default_rng([seed, 0]))

    def events(self, start_ms: int, count: int | None = None, until_ms: int | None = None) -> Iterator[Event]:
        """Yield events from the Unix time ``start_ms`` on, in order of time, without an end of their own.

        Stops after ``count`` events, or before the first event at or after ``until_ms``. The same
        arguments give the same events; a larger ``count`` gives more of them.
        """
        return islice(self._events(start_ms, until_ms), count)

    def _events(self, start_ms: int, until_ms: int | None) -> Iterator[Event]:
        rng = np.random.default_rng([self.seed, 1])
        shoppers = Shoppers(self.users, start_ms, self.behaviour, self.catalogue, self.season, rng)
        hours = float(np.clip(_EVENTS_PER_CHUNK / (self.users * _EVENTS_PER_SHOPPER_HOUR), *_CHUNK_HOURS))
        end_ms = start_ms
        while until_ms is None or end_ms < until_ms:
            end_ms += int(hours * HOUR_MS)
            for event in self._chunk(shoppers, end_ms):
                if until_ms is not None and event.event_time_ms >= until_ms:
                    return
                yield event

    def _chunk(self, shoppers: Shoppers, end_ms: int) -> Iterator[Event]:
        """Yield all events before ``end_ms``: each round, every shopper with one left does the next."""
        rounds = []
        while len(who := np.flatnonzero(shoppers.time_ms < end_ms)):
            rounds.append(shoppers.step(who))
        if not rounds:
            return iter(())
        return self._in_order(_joined(rounds))

    def _in_order(self, acts: Acts) -> Iterator[Event]:
        order = np.lexsort((acts.ordinal, acts.shopper, acts.time_ms))
        place = acts.item % self.catalogue.size
        price = np.where(acts.item < 0, np.nan, self.catalogue.price[place])
        columns = (acts.time_ms, acts.shopper, acts.ordinal, acts.session, acts.action, acts.item,
                   acts.category, price, acts.uniform)  # fmt: skip
        names, brands = self.catalogue.category_names, self.catalogue.brand_names
        for time_ms, shopper, ordinal, session, action, item, category, cost, uniform in zip(
            *(column[order].tolist() for column in columns), strict=True
        ):
            user_id = f"u{shopper}"
            searches = action == SEARCH
            yield Event(
                event_id=f"{self.seed}-{shopper}-{ordinal}",
                user_id=user_id,
                event_type=EVENT_TYPES[action],
                event_time_ms=time_ms,
                item_id=None if searches else item_id_of(item),
                session_id=f"{user_id}-{session}",
                category=names[category],
                brand=None if searches else brands[item % self.catalogue.size],
                query=names[category].replace(".", " ") if searches else None,
                device=_DEVICES[shopper % 3],
                source=_SOURCES[(shopper + session) % 4],
                price=None if searches else cost,
                quantity=(2 if uniform < 0.1 else 1) if action in (CART, PURCHASE) else None,
            )


def _joined(rounds: list[Acts]) -> Acts:
    return Acts(*(np.concatenate(column) for column in zip(*rounds, strict=True)))
