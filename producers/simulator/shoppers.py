"""The shoppers of the simulated shop as arrays, and one step of many of them at once."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from producers.contract import SESSION_GAP_MS
from producers.simulator.behaviour import (
    AGAIN,
    CART,
    ELSEWHERE,
    GAP_EDGES_MS,
    LENGTH_EDGES,
    LOOKS_EDGES,
    MAX_BASKET,
    NONE,
    PURCHASE,
    REMOVE,
    SEARCH,
    SIMILAR,
    VIEW,
    Behaviour,
)
from producers.simulator.catalogue import SUCCESSOR_WEIGHTS, Catalogue
from producers.simulator.season import Floats, Ints, Season, day_part

_FOLLOWS_SHARE: Final = 0.75  # of similar items that are one of the last item's successors
_TASTE_SHARE: Final = 0.8  # of moves to another category that go to one of the shopper's three
_RESUMED_SHARE: Final = 0.3  # of sessions that start at the last session's item
_SIMILAR_AFTER_SEARCH: Final = np.array([0.0, 0.9, 0.1])

Bools = npt.NDArray[np.bool_]


class Acts(NamedTuple):
    """What some shoppers did, one row each; ``item`` is -1 where there is none."""

    time_ms: Ints
    shopper: Ints
    ordinal: Ints
    session: Ints
    action: Ints
    item: Ints
    category: Ints
    uniform: Floats


class Shoppers:
    """The state of ``size`` shoppers. When one leaves for good, a new one comes in its place."""

    def __init__(
        self,
        size: int,
        start_ms: int,
        behaviour: Behaviour,
        catalogue: Catalogue,
        season: Season,
        rng: np.random.Generator,
    ) -> None:
        self._behaviour, self._catalogue, self._season, self._rng = behaviour, catalogue, season, rng
        self._gap = np.cumsum(behaviour.gap, axis=-1)
        self._next_action = np.cumsum(behaviour.next_action, axis=-1)
        self._relation = np.cumsum(behaviour.relation, axis=-1)
        self._start_intent = np.cumsum(behaviour.start_intent, axis=-1)
        self._start_action = np.cumsum(behaviour.start_action, axis=-1)
        self._change = np.cumsum(behaviour.change, axis=-1)
        self._comers = 0

        def zeros() -> Ints:
            return np.zeros(size, dtype=np.int64)

        self.time_ms, self.number, self.ordinal, self.session = zeros(), zeros(), zeros(), zeros()
        self.kind, self.intent, self.action, self.last = zeros(), zeros(), zeros(), zeros()
        self.basket, self.looks, self.length, self.bought = zeros(), zeros(), zeros(), zeros()
        self.item, self.category = zeros(), zeros()
        self.taste = np.zeros((size, 3), dtype=np.int64)
        self.basket_items = np.zeros((size, MAX_BASKET), dtype=np.int64)
        everybody = np.arange(size)
        self._come_new(everybody, np.full(size, start_ms, dtype=np.int64), rng.random((size, 6)))
        self._start_session(everybody, rng.random((size, 2)))

    def step(self, who: Ints) -> Acts:
        """Let the shoppers at the places ``who`` do what they are about to, and plan what comes next."""
        uniform = self._rng.random((len(who), 15))
        self._choose_items(who, uniform[:, :6])
        self._count(who)
        acts = Acts(
            self.time_ms[who],
            self.number[who],
            self.ordinal[who],
            self.session[who],
            self.action[who],
            np.where(self.action[who] == SEARCH, -1, self.item[who]),
            self.category[who],
            uniform[:, 6],
        )
        self._plan(who, uniform[:, 7:])
        return acts

    def _choose_items(self, who: Ints, uniform: Floats) -> None:
        action = self.action[who]
        self._search(who[action == SEARCH], uniform[action == SEARCH])
        self._view(who[action == VIEW], uniform[action == VIEW])
        self._put(who[action == CART])
        self._take_out(who[action == REMOVE])
        self._buy(who[action == PURCHASE])
        moved = who[action != SEARCH]
        self.category[moved] = self._catalogue.category[self.item[moved] % self._catalogue.size]

    def _search(self, who: Ints, uniform: Floats) -> None:
        self.category[who] = self._wanted_category(who, uniform)

    def _view(self, who: Ints, uniform: Floats) -> None:
        catalogue = self._catalogue
        odds = self._relation[self.intent[who]]
        odds = np.where((self.last[who] == SEARCH)[:, None], np.cumsum(_SIMILAR_AFTER_SEARCH), odds)
        relation = np.minimum((uniform[:, :1] >= odds).sum(axis=1), ELSEWHERE)
        first = self.length[who] == 0
        resumed = (uniform[:, 0] < _RESUMED_SHARE) & (self.ordinal[who] > 0) & (self.item[who] >= 0)
        relation = np.where(first, np.where(resumed, AGAIN, ELSEWHERE), relation)

        last_place = np.maximum(self.item[who], 0) % catalogue.size
        known = (self.item[who] >= 0) & (catalogue.category[last_place] == self.category[who])
        elsewhere = self._wanted_category(who, uniform)
        stays = ~first & (elsewhere == self.category[who])
        elsewhere = np.where(stays, (elsewhere + 1) % catalogue.category_count, elsewhere)
        category = np.where(relation == ELSEWHERE, elsewhere, self.category[who])
        place = catalogue.popular(category, uniform[:, 3])
        place = np.where((place == last_place) & known, catalogue.shifted(place, 1), place)
        follower = np.searchsorted(np.cumsum(SUCCESSOR_WEIGHTS)[:-1], uniform[:, 4], side="right")
        follows = (relation == SIMILAR) & known & (uniform[:, 5] < _FOLLOWS_SHARE)
        place = np.where(follows, catalogue.successors[last_place, follower], place)
        number = catalogue.numbers(place, self.time_ms[who])
        self.item[who] = np.where(relation == AGAIN, self.item[who], number)

    def _wanted_category(self, who: Ints, uniform: Floats) -> Ints:
        tastes = self.taste[who, np.minimum((uniform[:, 2] * 3).astype(np.int64), 2)]
        popular = np.searchsorted(self._catalogue.category_popularity, uniform[:, 2], side="right")
        popular = np.minimum(popular, self._catalogue.category_count - 1)
        return np.where(uniform[:, 1] < _TASTE_SHARE, tastes, popular)

    def _put(self, who: Ints) -> None:
        self.basket_items[who, self.basket[who]] = self.item[who]
        self.basket[who] += 1

    def _take_out(self, who: Ints) -> None:
        self.basket[who] -= 1
        self.item[who] = self.basket_items[who, self.basket[who]]

    def _buy(self, who: Ints) -> None:
        """Buy what has been longest in the basket, or the last item straight away."""
        who = who[self.basket[who] > 0]
        self.item[who] = self.basket_items[who, 0]
        self.basket_items[who, :-1] = self.basket_items[who, 1:]
        self.basket[who] -= 1

    def _count(self, who: Ints) -> None:
        action = self.action[who]
        looks = self.looks[who] + (action == VIEW)
        self.looks[who] = np.where((action == VIEW) | (action == SEARCH), looks, 0)
        self.bought[who] |= action == PURCHASE
        self.length[who] += 1
        self.ordinal[who] += 1
        self.last[who] = action

    def _plan(self, who: Ints, uniform: Floats) -> None:
        """Draw each shopper's next intent, next action and its time; at a session's end, the return."""
        self.intent[who] = _drawn(self._change[self.intent[who]], uniform[:, 0])
        looks = np.searchsorted(LOOKS_EDGES, self.looks[who], side="right")
        length = np.searchsorted(LENGTH_EDGES, self.length[who], side="right")
        odds = self._next_action[self.intent[who], self.last[who], self.basket[who], looks, length]
        action = _drawn(odds, uniform[:, 1])
        self.action[who] = action
        bucket = _drawn(self._gap[self.intent[who]], uniform[:, 2])
        low, high = GAP_EDGES_MS[bucket], GAP_EDGES_MS[bucket + 1]
        gap_ms = low + (uniform[:, 3] * (high - low)).astype(np.int64)
        ends = action == NONE
        self.time_ms[who] += np.where(ends, SESSION_GAP_MS + 1, gap_ms)
        self._leave_or_return(who[ends], uniform[ends, 2:])

    def _leave_or_return(self, who: Ints, uniform: Floats) -> None:
        leaving = self._behaviour.leaving[self.kind[who], self.bought[who], self.intent[who]]
        leaves = uniform[:, 0] < leaving
        left, back = who[leaves], who[~leaves]
        self._come_new(left, self.time_ms[left], uniform[leaves])
        waits = -np.log1p(-uniform[~leaves, 1]) / self._behaviour.return_rate[self.kind[back]]
        self.time_ms[back] = self._later(self.time_ms[back], waits)
        self._start_session(who, uniform[:, 2:])

    def _later(self, time_ms: Ints, season_hours: Floats) -> Ints:
        # Rounding may not carry a return back into the session that ended.
        return np.maximum(self._season.time_at(self._season.passed(time_ms) + season_hours), time_ms)

    def _come_new(self, who: Ints, from_ms: Ints, uniform: Floats) -> None:
        self.number[who] = self._comers + np.arange(len(who))
        self._comers += len(who)
        waits = -np.log1p(-uniform[:, 1]) / self._behaviour.arrival_rate
        self.time_ms[who] = self._later(from_ms, waits)
        kinds = np.cumsum(self._behaviour.kinds)
        self.kind[who] = np.minimum(np.searchsorted(kinds, uniform[:, 4], side="right"), len(kinds) - 1)
        self.ordinal[who] = self.session[who] = self.basket[who] = 0
        self.item[who] = self.category[who] = -1
        # The three tastes come from one draw: its digits to the base of the number of categories.
        count = self._catalogue.category_count
        digits = (uniform[:, 5] * count**3).astype(np.int64)
        self.taste[who] = np.stack([digits % count, digits // count % count, digits // count**2], axis=1)

    def _start_session(self, who: Ints, uniform: Floats) -> None:
        kept = (self.basket[who] > 0).astype(np.int64)
        part = day_part(self.time_ms[who])
        self.intent[who] = _drawn(self._start_intent[self.kind[who], kept, part], uniform[:, 0])
        self.action[who] = _drawn(self._start_action[kept, self.intent[who]], uniform[:, 1])
        self.session[who] += 1
        self.length[who] = self.looks[who] = self.bought[who] = 0
        self.last[who] = -1


def _drawn(cumulative: Floats, uniform: Floats) -> npt.NDArray[Any]:
    """Return one index for each row of cumulated probabilities, whose last entry is taken as 1."""
    return np.asarray((uniform[:, None] >= cumulative[:, :-1]).sum(axis=1), dtype=np.int64)
