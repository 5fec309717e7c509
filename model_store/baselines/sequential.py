"""Plain predictors of a user's next action and next item: what a network must beat on the same rows.

All of them learn and predict one event at a time. For each event of a user, in order: `Baseline.observe`
it, ask for predictions if wanted, then `Baseline.learn` what followed once that is known. Actions are
numbers below ``actions``; the last one means that the session ended. Items are fingerprints, 0 for none.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float64]

_OWN_ITEMS: Final = 100
_REFRESH_GROWTH: Final = 1.01
_ACTION_SMOOTHING: Final = 10.0
_ITEM_SMOOTHING: Final = 2.0


class Act(NamedTuple):
    """One event as the baselines see it. ``item`` is 0 where there is none."""

    action: int
    item: int
    starts_session: bool


class NextAction(NamedTuple):
    """The action that a baseline bets on, and its probabilities [actions]."""

    predicted: int
    probabilities: Probabilities


class Baseline(Protocol):
    """What all of them can do. ``user`` is any number that tells users apart."""

    def observe(self, user: int, act: Act) -> None:
        """Take note of the user's latest act. Nothing is learned from it."""

    def learn(self, user: int, next_action: int | None, next_item: int) -> None:
        """Count what followed the user's latest act: None and 0 where it is not known or there was none."""

    def next_action(self, user: int) -> NextAction:
        """Return what follows the latest act of an observed user."""

    def next_items(self, user: int, k: int) -> list[int]:
        """Return up to ``k`` different items, the likeliest first, fewer only when fewer are known."""


class Popular:
    """Predicts what followed most often, whoever the user. Equal items stand in order of their numbers."""

    def __init__(self, actions: int) -> None:
        self._action_counts = np.ones(actions)  # one each: nothing is impossible
        self.item_counts: Counter[int] = Counter()
        self.items_learned = 0
        self._ranking: list[int] = []
        self._ranked_at = 0

    def observe(self, user: int, act: Act) -> None:
        """Do nothing: popularity asks for no history."""

    def learn(self, user: int, next_action: int | None, next_item: int) -> None:  # noqa: ARG002 - one for all
        """Count what followed."""
        if next_action is not None:
            self._action_counts[next_action] += 1
        if next_item:
            self.item_counts[next_item] += 1
            self.items_learned += 1

    def action_probabilities(self) -> Probabilities:
        """Return the share of each action [actions], as if each had been seen once more."""
        shares: Probabilities = self._action_counts / self._action_counts.sum()
        return shares

    def next_action(self, user: int) -> NextAction:  # noqa: ARG002 - one for all
        """Return the commonest action."""
        probabilities = self.action_probabilities()
        return NextAction(int(probabilities.argmax()), probabilities)

    def next_items(self, user: int, k: int) -> list[int]:  # noqa: ARG002 - one for all
        """Return the commonest items. While it learns, the order lags by at most 1 % of what was counted."""
        if len(self._ranking) < k or self.items_learned > self._ranked_at * _REFRESH_GROWTH:
            best = heapq.nsmallest(
                max(k, 100), self.item_counts.items(), key=lambda pair: (-pair[1], pair[0])
            )
            self._ranking = [item for item, _ in best]
            self._ranked_at = self.items_learned
        return self._ranking[:k]


class Repeat:
    """Predicts that a user goes on as before: the latest action again, and the user's own items.

    The probability that the action repeats is learned; the rest is shared out by popularity.
    """

    def __init__(self, actions: int) -> None:
        self._popular = Popular(actions)
        self._repeated, self._learned = 1.0, 2.0
        self._last_actions: dict[int, int] = {}
        self._own_items: defaultdict[int, dict[int, None]] = defaultdict(dict)

    def observe(self, user: int, act: Act) -> None:
        """Keep the action, and the item as the user's newest."""
        self._last_actions[user] = act.action
        if act.item:
            own = self._own_items[user]
            own.pop(act.item, None)
            own[act.item] = None
            if len(own) > _OWN_ITEMS:
                del own[next(iter(own))]

    def learn(self, user: int, next_action: int | None, next_item: int) -> None:
        """Count whether the action was repeated, and what is popular."""
        self._popular.learn(user, next_action, next_item)
        if next_action is not None:
            self._learned += 1
            self._repeated += next_action == self._last_actions[user]

    def next_action(self, user: int) -> NextAction:
        """Return the latest action, however seldom actions repeat."""
        last = self._last_actions[user]
        probabilities = self._popular.action_probabilities()
        probabilities[last] = 0.0
        share = self._repeated / self._learned
        probabilities *= (1.0 - share) / probabilities.sum()
        probabilities[last] = share
        return NextAction(last, probabilities)

    def next_items(self, user: int, k: int) -> list[int]:
        """Return the user's own items, then popular ones."""
        own = list(reversed(self._own_items[user]))
        return _first_different([*own, *self._popular.next_items(user, k)], k)


class Markov:
    """Predicts from the session's latest one or two acts, leaning on shorter contexts where data is thin.

    The estimate of a context with n observations is (counts + s * shorter) / (n + s), where shorter is the
    estimate of the next shorter context, down to popularity: interpolation with a Dirichlet prior (MacKay
    and Peto 1995, A Hierarchical Dirichlet Language Model), with s = 10 for actions and 2 for items.
    """

    def __init__(self, actions: int, order: int) -> None:
        """Take how many of the latest acts to look at. Raises ValueError unless that is 1 or 2."""
        if order not in (1, 2):
            raise ValueError("a Markov baseline has order 1 or 2")
        self._popular = Popular(actions)
        self._order = order
        self._actions: defaultdict[tuple[int, ...], Probabilities] = defaultdict(lambda: np.zeros(actions))
        self._items: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        self._recent_actions: dict[int, tuple[int, ...]] = {}
        self._recent_items: dict[int, tuple[int, ...]] = {}

    def observe(self, user: int, act: Act) -> None:
        """Move the user's context on by one act; a new session forgets the one before."""
        actions = () if act.starts_session else self._recent_actions.get(user, ())
        self._recent_actions[user] = (*actions, act.action)[-self._order :]
        items = () if act.starts_session else self._recent_items.get(user, ())
        self._recent_items[user] = ((*items, act.item) if act.item else items)[-self._order :]

    def learn(self, user: int, next_action: int | None, next_item: int) -> None:
        """Count what followed the user's context, and what is popular."""
        self._popular.learn(user, next_action, next_item)
        if next_action is not None:
            for context in _suffixes(self._recent_actions[user]):
                self._actions[context][next_action] += 1
        if next_item:
            for context in _suffixes(self._recent_items[user]):
                self._items[context][next_item] += 1

    def next_action(self, user: int) -> NextAction:
        """Return the likeliest action in the user's context."""
        probabilities = self._popular.action_probabilities()
        for context in _suffixes(self._recent_actions[user]):
            if context in self._actions:
                counts = self._actions[context]
                probabilities = (counts + _ACTION_SMOOTHING * probabilities) / (
                    counts.sum() + _ACTION_SMOOTHING
                )
        return NextAction(int(probabilities.argmax()), probabilities)

    def next_items(self, user: int, k: int) -> list[int]:
        """Return the items that followed the user's context, then popular ones."""
        contexts = list(_suffixes(self._recent_items[user]))
        followers = [self._items[context] for context in contexts if context in self._items]
        scores: dict[int, float] = {}
        for counts in followers:
            scores = self._blended(counts, scores)
        best = heapq.nsmallest(k, scores.items(), key=lambda pair: (-pair[1], pair[0]))
        return _first_different([*(item for item, _ in best), *self._popular.next_items(user, k)], k)

    def _blended(self, counts: Counter[int], shorter: Mapping[int, float]) -> dict[int, float]:
        """Return the estimates of all items that followed this context or a shorter one."""
        whole = counts.total() + _ITEM_SMOOTHING
        learned = self._popular.items_learned
        popularity = self._popular.item_counts
        return {
            item: (counts[item] + _ITEM_SMOOTHING * shorter.get(item, popularity[item] / learned)) / whole
            for item in counts.keys() | shorter.keys()
        }


def standard_baselines(actions: int) -> dict[str, Baseline]:
    """Return new baselines by name; ``markov`` is that of order 2."""
    return {
        "popular": Popular(actions),
        "repeat": Repeat(actions),
        "markov_order_1": Markov(actions, 1),
        "markov": Markov(actions, 2),
    }


def _suffixes(context: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the ends of a context, the shortest first."""
    for length in range(1, len(context) + 1):
        yield context[-length:]


def _first_different(items: Iterable[int], k: int) -> list[int]:
    return list(dict.fromkeys(items))[:k]
