"""How shoppers of the simulated shop behave: the probability tables that both the shop and its oracle read.

Within a session a shopper has an intent, which nobody sees. Before each event the intent may
change (a Markov chain); then the next action is drawn from a table that looks at the intent and at
a `Context` that anybody can count from the events. Gaps, item relations, and the way a session
starts and whether the shopper ever comes back depend on the intent, too. That makes the whole an
input-output hidden Markov model, whose next-action probabilities are exact by forward filtering
(Rabiner 1989, "A tutorial on hidden Markov models", eq. 19-21).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from producers.events import EVENT_TYPES, EventType
from producers.simulator.season import Floats

INTENTS: Final = ("browsing", "comparing", "buying", "gift")
KINDS: Final = ("loyal", "occasional", "bargain")
ACTIONS: Final = (*(str(each) for each in EVENT_TYPES), "none")
NONE: Final = len(EVENT_TYPES)
VIEW, CART, REMOVE, FAVORITE, PURCHASE, SEARCH = (
    EVENT_TYPES.index(each)
    for each in (
        EventType.VIEW,
        EventType.CART,
        EventType.REMOVE_FROM_CART,
        EventType.FAVORITE,
        EventType.PURCHASE,
        EventType.SEARCH,
    )
)
AGAIN, SIMILAR, ELSEWHERE = range(3)

MAX_BASKET: Final = 4
LOOKS_EDGES: Final = np.array([2, 4, 7])
LENGTH_EDGES: Final = np.array([3, 7, 15])
GAP_EDGES_MS: Final = np.array([1_000, 5_000, 15_000, 45_000, 120_000, 360_000, 1_500_000], dtype=np.int64)


class Context(NamedTuple):
    """What the next action depends on besides the intent. All of it can be counted from the events."""

    last: int  # the last action, an index of EVENT_TYPES
    basket: int  # items in the basket, 0 to MAX_BASKET; it outlives the session
    looks: int  # views since the last cart, removal, favourite or purchase of the session
    length: int  # events of the session so far


@dataclass(frozen=True)
class Behaviour:
    """The tables. Z intents, K kinds of shopper, A = 7 actions, the last of which is "none".

    ``next_action`` has the shape [Z, last, basket, looks bucket, length bucket, A]; the others say
    their shapes below. Each row of probabilities sums to 1.
    """

    kinds: Floats  # [K]
    start_intent: Floats  # [K, basket not empty, day part, Z]
    start_action: Floats  # [basket not empty, Z, A - 1]
    change: Floats  # [Z, Z], from and to
    next_action: Floats
    gap: Floats  # [Z, gap buckets], uniform within a bucket
    relation: Floats  # [Z, 3], of a viewed item to the one before: AGAIN, SIMILAR, ELSEWHERE
    leaving: Floats  # [K, bought in the session, Z]
    return_rate: Floats  # [K], per season hour
    arrival_rate: float  # of a new shopper, per season hour

    def bucketed(self, context: Context) -> tuple[int, int, int, int]:
        """Return the indices of ``context`` in ``next_action``, behind the intent."""
        looks = int(np.searchsorted(LOOKS_EDGES, context.looks, side="right"))
        length = int(np.searchsorted(LENGTH_EDGES, context.length, side="right"))
        return context.last, context.basket, looks, length


def default_behaviour() -> Behaviour:
    """Return the behaviour of a shop of everyday goods."""
    return Behaviour(
        kinds=np.array([0.3, 0.45, 0.25]),
        start_intent=_start_intent(),
        start_action=_start_action(),
        change=np.array(
            [
                [0.93, 0.045, 0.01, 0.015],
                [0.03, 0.90, 0.06, 0.01],
                [0.03, 0.03, 0.94, 0.0],
                [0.03, 0.03, 0.04, 0.90],
            ]
        ),
        next_action=_next_action(),
        gap=np.array(
            [
                [0.15, 0.35, 0.30, 0.12, 0.06, 0.02],
                [0.02, 0.10, 0.25, 0.35, 0.20, 0.08],
                [0.05, 0.25, 0.45, 0.18, 0.05, 0.02],
                [0.02, 0.08, 0.20, 0.25, 0.25, 0.20],
            ]
        ),
        relation=np.array([[0.05, 0.55, 0.40], [0.35, 0.60, 0.05], [0.50, 0.40, 0.10], [0.10, 0.25, 0.65]]),
        leaving=_leaving(),
        return_rate=np.array([1 / 20, 1 / 120, 1 / 48]),
        arrival_rate=1 / 24,
    )


def _start_intent() -> Floats:
    by_kind = np.array([[0.30, 0.25, 0.35, 0.10], [0.60, 0.20, 0.08, 0.12], [0.25, 0.60, 0.10, 0.05]])
    by_basket = np.array([[1.0, 1.0, 1.0, 1.0], [0.6, 1.2, 5.0, 0.4]])
    by_day_part = np.array(
        [[1.5, 0.8, 0.5, 0.5], [1.0, 1.0, 0.8, 1.6], [1.0, 1.0, 1.0, 1.0], [0.9, 1.1, 1.5, 0.9]]
    )
    weights = by_kind[:, None, None, :] * by_basket[None, :, None, :] * by_day_part[None, None, :, :]
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _start_action() -> Floats:
    empty = np.array(
        [
            [0.90, 0, 0, 0, 0, 0.10],
            [0.75, 0, 0, 0, 0, 0.25],
            [0.70, 0, 0, 0, 0, 0.30],
            [0.30, 0, 0, 0, 0, 0.70],
        ]
    )
    kept = empty * 0.6
    kept[:, REMOVE] = [0.25, 0.25, 0.05, 0.10]
    kept[:, PURCHASE] = 1 - kept.sum(axis=1)
    return np.stack([empty, kept])


def _leaving() -> Floats:
    by_kind = np.array([0.03, 0.20, 0.10])
    by_bought = np.array([1.3, 0.6])
    by_intent = np.array([1.5, 0.8, 0.6, 2.2])
    return np.asarray(by_kind[:, None, None] * by_bought[None, :, None] * by_intent[None, None, :])


def _next_action() -> Floats:
    """Return the next-action table: a softmax of added effects, with what cannot happen left out."""
    base = np.array(
        [  # view, cart, remove, favourite, purchase, search, none
            [3.0, -1.5, -1.0, 0.0, -6.0, 0.2, 1.2],
            [2.8, -1.0, -0.5, 0.6, -5.0, 0.9, -0.6],
            [1.4, 2.2, -2.5, -2.0, -0.5, 0.0, -1.0],
            [1.6, 0.8, -2.0, 0.2, -2.5, 2.2, -0.6],
        ]
    )
    shape = (len(INTENTS), len(EVENT_TYPES), MAX_BASKET + 1, len(LOOKS_EDGES) + 1, len(LENGTH_EDGES) + 1)
    logits = np.broadcast_to(base[:, None, None, None, None, :], (*shape, len(ACTIONS))).copy()
    for basket in range(1, MAX_BASKET + 1):
        logits[2, :, basket, :, :, PURCHASE] += 1.5 + 0.9 * basket
        logits[3, :, basket, :, :, PURCHASE] += 1.0 + 1.2 * basket
        logits[0, :, basket, :, :, REMOVE] += 0.8 * basket
        logits[1, :, basket, :, :, [REMOVE, NONE]] += 0.7 * basket
        logits[2:, :, basket, :, :, NONE] -= 1.0
    for looks in range(len(LOOKS_EDGES) + 1):
        logits[0, :, :, looks, :, NONE] += 0.5 * looks
        logits[1, :, :, looks, :, CART] += 1.1 * looks
        logits[1, :, :, looks, :, FAVORITE] += 0.5 * looks
        logits[3, :, :, looks, :, SEARCH] += 0.6 * looks
    logits[..., -1, NONE] += 1.0
    logits[..., 0, NONE] -= 0.5
    logits[:, PURCHASE, 1:, :, :, PURCHASE] += 4.0
    logits[:, PURCHASE, 0, :, :, NONE] += 3.0
    logits[:, [CART, FAVORITE, REMOVE], :, :, :, CART] -= 4.0
    logits[:, FAVORITE, :, :, :, FAVORITE] = -np.inf
    logits[:, SEARCH, :, :, :, [CART, FAVORITE]] = -np.inf  # nothing has been looked at yet
    logits[:, SEARCH, 0, :, :, PURCHASE] = -np.inf
    logits[:, :, 0, :, :, REMOVE] = -np.inf
    logits[:, :, MAX_BASKET, :, :, CART] = -np.inf
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
