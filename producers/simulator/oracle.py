"""The simulated shop's true probabilities, given what anybody can see: exact forward filtering.

Nobody, however good, predicts the shop's events better than this on average. A model's distance
from it is what is left to learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from producers.contract import SESSION_GAP_MS
from producers.errors import ImpossibleHistory
from producers.events import EVENT_TYPES, Event
from producers.simulator.behaviour import (
    ACTIONS,
    AGAIN,
    CART,
    ELSEWHERE,
    GAP_EDGES_MS,
    NONE,
    PURCHASE,
    REMOVE,
    SEARCH,
    SIMILAR,
    VIEW,
    Behaviour,
    Context,
)
from producers.simulator.season import Floats, Season, day_part
from producers.simulator.shop import Shop

_CODES: Final = {each: code for code, each in enumerate(EVENT_TYPES)}
_GAP_WIDTHS_MS: Final = np.diff(GAP_EDGES_MS)


@dataclass
class _Shopper:
    """What is known of one shopper: ``belief`` is P(kind, intent | events so far), shape [K, Z]."""

    belief: Floats
    event: Event
    context: Context
    item_id: str | None
    bought: bool
    action: Floats = field(default_factory=lambda: np.zeros(0))  # float64[Z, A], filled after each event


class Oracle:
    """Follows a shop's events and knows what comes next, shopper by shopper.

    Events of one shopper must come in order of time and once each.
    """

    def __init__(self, shop: Shop) -> None:
        self._behaviour: Behaviour = shop.behaviour
        self._season: Season = shop.season
        self._shoppers: dict[str, _Shopper] = {}

    def observe(self, event: Event) -> Floats:
        """Take in one event and return the probabilities of what its shopper does next.

        The result has the shape [7], in the order of `ACTIONS`. Raises `ImpossibleHistory`
        when the shop cannot have made this event.
        """
        known = self._shoppers.get(event.user_id)
        action = _CODES[event.event_type]
        if known is None:
            shopper = self._first(event, action)
        elif event.event_time_ms - known.event.event_time_ms > SESSION_GAP_MS:
            shopper = self._new_session(known, event, action)
        else:
            shopper = self._next(known, event, action)
        total = shopper.belief.sum()
        if not total > 0:
            raise ImpossibleHistory("this shop does not make such a sequence of events")
        shopper.belief = (shopper.belief / total) @ self._behaviour.change
        shopper.action = self._behaviour.next_action[:, *self._behaviour.bucketed(shopper.context)]
        self._shoppers[event.user_id] = shopper
        return np.asarray(shopper.belief.sum(axis=0) @ shopper.action)

    def silence(self, user_id: str, for_ms: int) -> float:
        """Return the probability that the user does nothing for ``for_ms`` from the last event on.

        Raises `KeyError` for a user of whom no event was observed.
        """
        shopper, tables = self._shoppers[user_id], self._behaviour
        ends = shopper.action[:, NONE]
        start_ms = shopper.event.event_time_ms + SESSION_GAP_MS + 1
        hours = 0.0
        if for_ms > SESSION_GAP_MS:
            hours = float(
                self._season.passed(shopper.event.event_time_ms + for_ms) - self._season.passed(start_ms)
            )
        leaving = tables.leaving[:, int(shopper.bought)]
        away = leaving + (1 - leaving) * np.exp(-tables.return_rate * max(hours, 0.0))[:, None]
        silent = ends * away + (1 - ends) * _gap_survival(tables.gap, for_ms)
        return float((shopper.belief * silent).sum())

    def churn(self, user_id: str, horizon_ms: int, silent_ms: int = 0) -> float:
        """Return the probability that a user silent for ``silent_ms`` stays so for ``horizon_ms`` more."""
        return self.silence(user_id, silent_ms + horizon_ms) / self.silence(user_id, silent_ms)

    def _first(self, event: Event, action: int) -> _Shopper:
        return self._started(self._behaviour.kinds, 0, event, action, None)

    def _new_session(self, known: _Shopper, event: Event, action: int) -> _Shopper:
        tables = self._behaviour
        start_ms = known.event.event_time_ms + SESSION_GAP_MS + 1
        hours = float(self._season.passed(event.event_time_ms) - self._season.passed(start_ms))
        stays = known.action[:, NONE] * (1 - tables.leaving[:, int(known.bought)])
        returns = tables.return_rate * np.exp(-tables.return_rate * hours)
        kinds = (known.belief * stays).sum(axis=1) * returns
        return self._started(kinds, known.context.basket, event, action, known.item_id)

    def _started(
        self, kinds: Floats, basket: int, event: Event, action: int, item_id: str | None
    ) -> _Shopper:
        tables, kept = self._behaviour, int(basket > 0)
        part = int(day_part(event.event_time_ms))
        belief = kinds[:, None] * tables.start_intent[:, kept, part] * tables.start_action[kept, :, action]
        context = Context(
            last=action, basket=_basket_after(basket, action), looks=int(action == VIEW), length=1
        )
        return _Shopper(belief, event, context, event.item_id or item_id, action == PURCHASE)

    def _next(self, known: _Shopper, event: Event, action: int) -> _Shopper:
        gap_ms = event.event_time_ms - known.event.event_time_ms
        bucket = int(np.searchsorted(GAP_EDGES_MS, gap_ms, side="right")) - 1
        if not 0 <= bucket < len(_GAP_WIDTHS_MS):
            raise ImpossibleHistory(f"this shop never leaves a gap of {gap_ms} ms within a session")
        likelihood = known.action[:, action] * self._behaviour.gap[:, bucket]
        before = known.context
        if action == VIEW and before.last != SEARCH:
            likelihood = likelihood * self._behaviour.relation[:, _relation(known, event)]
        looks = before.looks + 1 if action == VIEW else before.looks if action == SEARCH else 0
        context = Context(action, _basket_after(before.basket, action), looks, before.length + 1)
        bought = known.bought or action == PURCHASE
        return _Shopper(known.belief * likelihood, event, context, event.item_id or known.item_id, bought)


def true_next_action(shop: Shop, history: Iterable[Event]) -> dict[str, float]:
    """Return P(next action | the shopper's events so far); ``none`` is no further event in the session.

    ``history`` is one shopper's events from the very first on, in order of time. Raises
    `ImpossibleHistory` when it is empty or not of this shop.
    """
    oracle = Oracle(shop)
    probabilities: Sequence[float] = ()
    for event in history:
        probabilities = oracle.observe(event).tolist()
    if not probabilities:
        raise ImpossibleHistory("a history needs at least one event")
    return dict(zip(ACTIONS, probabilities, strict=True))


def _relation(known: _Shopper, event: Event) -> int:
    if event.item_id == known.item_id:
        return AGAIN
    return SIMILAR if event.category == known.event.category else ELSEWHERE


def _basket_after(basket: int, action: int) -> int:
    if action == CART:
        return basket + 1
    return max(basket - 1, 0) if action in (REMOVE, PURCHASE) else basket


def _gap_survival(gap: Floats, for_ms: int) -> Floats:
    """Return P(a gap within a session is longer than ``for_ms``) for each intent, shape [Z]."""
    # A gap is low + floor(u x width): of a bucket's ``width`` whole milliseconds, these are not over.
    passed = np.clip((for_ms + 1 - GAP_EDGES_MS[:-1]) / _GAP_WIDTHS_MS, 0.0, 1.0)
    return np.asarray(1.0 - gap @ passed)
