"""What plain predictors answer on the rows of a `Truth`, each trained on the same training part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.baselines.classifiers import Classifier, boosted_trees, logistic_regression
from model_store.baselines.features import plain_features
from model_store.baselines.sequential import Act, Baseline, Markov, Popular, standard_baselines
from model_store.evaluating.ranking import DEPTH, NO_ITEM
from model_store.session_knn import SessionKnn
from model_store.specification import ACTION_NAMES
from model_store.windows import row_items, starts_session

if TYPE_CHECKING:
    from model_store.evaluating.truth import Truth
    from model_store.parts import Part
    from model_store.sequences import EventTable, Ints

Floats = npt.NDArray[np.float64]
Items = npt.NDArray[np.uint64]
Report = Callable[[float], None]

_ACTIONS: Final = len(ACTION_NAMES)


@dataclass(frozen=True)
class Asked:
    """A part and the rows to answer; next items are asked of the rows ``with_items`` [I] only."""

    part: Part
    truth: Truth
    with_items: Ints


@dataclass(frozen=True)
class Answers:
    """What a predictor says of the rows asked; None for what it does not predict.

    ``next_action`` [R, A] are probabilities, ``bought`` [R] that of a purchase later in the session;
    ``next_items`` [I, DEPTH] are item fingerprints, best first, `NO_ITEM` behind the list's end.
    """

    next_action: Floats | None = None
    bought: Floats | None = None
    next_items: Items | None = None


class SequentialPredictor:
    """One of `standard_baselines`, with a second one of its kind for the purchase in the session."""

    def __init__(self, name: str, training: Part, truth: Truth) -> None:
        """Learn what followed the events of ``training``, as ``truth`` knows it."""
        self._baseline = standard_baselines(_ACTIONS)[name]
        self._buying = _for_purchases(name)
        action, bought = np.full(len(training.table), -1), np.full(len(training.table), -1)
        item = np.zeros(len(training.table), np.uint64)
        action[truth.event], item[truth.event] = truth.next_action, truth.next_item
        bought[truth.event] = np.where(truth.session_known, truth.bought, -1)
        for place, (user, act) in enumerate(acts_of(training.table)):
            self._observe(user, act)
            self._baseline.learn(user, int(action[place]) if action[place] >= 0 else None, int(item[place]))
            if self._buying is not None and bought[place] >= 0:
                self._buying.learn(user, int(bought[place]), 0)

    def answer(self, asked: Asked, report: Report) -> Answers:
        """Return the answers to ``asked``, whose events only move the users' contexts."""
        rows = len(asked.truth)
        row = np.full(len(asked.part.table), -1)
        row[asked.truth.event] = np.arange(rows)
        list_of = np.full(rows, -1)
        list_of[asked.with_items] = np.arange(len(asked.with_items))
        next_action, bought = np.empty((rows, _ACTIONS)), np.empty(rows)
        next_items = np.full((len(asked.with_items), DEPTH), NO_ITEM)
        for place, (user, act) in enumerate(acts_of(asked.part.table)):
            self._observe(user, act)
            at = row[place]
            if at < 0:
                continue
            next_action[at] = self._baseline.next_action(user).probabilities
            if self._buying is not None:
                bought[at] = self._buying.next_action(user).probabilities[1]
            if list_of[at] >= 0:
                found = self._baseline.next_items(user, DEPTH)
                next_items[list_of[at], : len(found)] = found
            report((at + 1) / rows)
        return Answers(next_action, None if self._buying is None else bought, next_items)

    def _observe(self, user: int, act: Act) -> None:
        self._baseline.observe(user, act)
        if self._buying is not None:
            self._buying.observe(user, act)


def _for_purchases(name: str) -> Baseline | None:
    """Return the baseline of that kind for two classes; a repeated action says nothing of a purchase."""
    if name == "repeat":
        return None
    return Popular(2) if name == "popular" else Markov(2, 1 if name == "markov_order_1" else 2)


@dataclass(frozen=True)
class FeatureTable:
    """The plain features of the rows of a `Truth`, and their labels."""

    features: npt.NDArray[np.float32]
    truth: Truth

    @classmethod
    def of(cls, part: Part, truth: Truth, *, daily: bool) -> FeatureTable:
        """Return the features of the rows of ``truth``, which is that of ``part``; see `plain_features`."""
        return cls(plain_features(part.table, daily=daily)[0][truth.event], truth)

    @property
    def actions(self) -> tuple[npt.NDArray[np.float32], Ints]:
        """The features and the next actions."""
        return self.features, self.truth.next_action

    @property
    def purchases(self) -> tuple[npt.NDArray[np.float32], Ints]:
        """The features of the rows whose session is known, and whether a purchase came later in it."""
        known = self.truth.session_known
        return self.features[known], self.truth.bought[known].astype(np.int64)


CLASSIFIERS: Final = {"logistic_regression": logistic_regression, "boosted_trees": boosted_trees}


class FeaturePredictor:
    """One of `CLASSIFIERS`, trained for each target directly on plain features."""

    def __init__(self, name: str, training: FeatureTable, validation: FeatureTable) -> None:
        """Learn from ``training``; ``validation`` says how strongly to regularise."""
        fit = CLASSIFIERS[name]
        self._action: Classifier = fit(*training.actions, validation.actions, _ACTIONS)
        self._buying: Classifier = fit(*training.purchases, validation.purchases, 2)

    def answer(self, asked: FeatureTable) -> Answers:
        """Return the answers to the rows ``asked``."""
        return Answers(
            self._action.probabilities(asked.features), self._buying.probabilities(asked.features)[:, 1]
        )


class KnnPredictor:
    """Session kNN, which predicts next items only."""

    def __init__(self, training: Part) -> None:
        """Know the sessions of ``training``."""
        table = training.table
        self._items, item = np.unique(row_items(table.rows), return_inverse=True)
        held = self._items[item] != NO_ITEM  # an event without an item says nothing
        self._knn = SessionKnn.fit(sessions_of(table)[held], item[held].astype(np.int64))

    def answer(self, asked: Asked, report: Report) -> Answers:
        """Return the next items of ``asked``, from the events of each session so far."""
        table = asked.part.table
        events = row_items(table.rows)
        known = np.full(len(events), -1)
        if len(self._items):
            place = np.minimum(np.searchsorted(self._items, events), len(self._items) - 1)
            known = np.where((self._items[place] == events) & (events != NO_ITEM), place, -1)
        here = np.arange(len(events))
        begins = np.maximum.accumulate(np.where(_opens(table), here, 0))
        lists = np.full((len(asked.with_items), DEPTH), NO_ITEM)
        for row, event in enumerate(asked.truth.event[asked.with_items].tolist()):
            found = self._items[self._knn.next_items(known[begins[event] : event + 1], DEPTH)]
            lists[row, : len(found)] = found
            report((row + 1) / len(lists))
        return Answers(next_items=lists)


def sessions_of(table: EventTable) -> Ints:
    """Return a number for each event's session [E], numbered by the time at which sessions begin."""
    opens = _opens(table)
    order = np.argsort(table.times_ms[opens], kind="stable")
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    sessions: Ints = number[np.cumsum(opens) - 1]
    return sessions


def acts_of(table: EventTable) -> Iterator[tuple[int, Act]]:
    """Yield each event's user and what the sequential baselines see of it."""
    columns = (table.user, table.rows["event_type"], row_items(table.rows), _opens(table))
    for user, action, item, opens in zip(*(column.tolist() for column in columns), strict=True):
        yield user, Act(action, item, opens)


def _opens(table: EventTable) -> npt.NDArray[np.bool_]:
    opens: npt.NDArray[np.bool_] = table.starts_user() | starts_session(table.rows, np.roll(table.rows, 1))
    return opens
