"""Ranks of the true next items of a log's sessions, by a served model and by plain predictors.

A pair is a session's events so far and the item of its next event: every event but a session's last makes
one. A rank counts from 1; 0 means that the true item was not among the first `DEPTH`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_store.baselines import Act, Baseline
from model_store.evaluating.served import best_items, served_steps
from model_store.evaluation import DEPTH, rows_of_part
from model_store.metrics import ranks_of
from model_store.parts import Part
from model_store.sequences import EventTable
from model_store.serving import ServedModel
from model_store.session_knn import SessionKnn
from model_store.windows import row_items, starts_session

Ints = npt.NDArray[np.int64]
Report = Callable[[float], None]


@dataclass(frozen=True)
class Pairs:
    """The events of a log [E], their sessions' numbers [E], and the next item [E] of those ``asked`` [E]."""

    table: EventTable
    session: Ints
    next_item: npt.NDArray[np.uint64]
    asked: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, table: EventTable) -> Pairs:
        """Return all pairs of ``table``. ``session`` [E] numbers the sessions by the time they begin."""
        rows = rows_of_part(Part(table, np.ones(len(table), bool), None))
        begins = table.starts_user() | starts_session(table.rows, np.roll(table.rows, 1))
        order = np.argsort(table.times_ms[begins], kind="stable")
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order))
        session = number[np.cumsum(begins) - 1]
        return cls(table, session, rows.next_item, rows.item_scored)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.asked))


def model_ranks(model: ServedModel, pairs: Pairs, report: Report) -> Ints:
    """Return the ranks [pairs] by ``model`` as a worker runs it: by steps, windows and the item index."""
    ranks = np.zeros(len(pairs.table), np.int64)
    done = 0
    for step in served_steps(model, pairs.table):
        asked = np.flatnonzero(pairs.asked[step.events])
        if len(asked) and step.heads.query is not None:
            events = step.events[asked]
            ranks[events] = ranks_of(best_items(model, step, asked, DEPTH), pairs.next_item[events])
        done += len(step.events)
        report(done / len(ranks))
    return ranks[pairs.asked]


def baseline_ranks(baseline: Baseline, training: Pairs, pairs: Pairs, report: Report) -> Ints:
    """Return the ranks [pairs] by ``baseline``, which learns what followed each event of ``training``."""
    for place, (user, act) in enumerate(_acts(training)):
        baseline.observe(user, act)
        baseline.learn(user, None, int(training.next_item[place]))
    ranks = np.zeros(len(pairs.table), np.int64)
    for place, (user, act) in enumerate(_acts(pairs)):
        baseline.observe(user, act)
        if pairs.asked[place]:
            found = np.array(baseline.next_items(user, DEPTH), np.uint64)
            ranks[place] = _rank(found, pairs.next_item[place])
            report((place + 1) / len(ranks))
    return ranks[pairs.asked]


def knn_ranks(training: Pairs, pairs: Pairs, report: Report) -> Ints:
    """Return the ranks [pairs] by the sessions of ``training``."""
    vocabulary, item = np.unique(row_items(training.table.rows), return_inverse=True)
    held = vocabulary[item] != 0  # an event without an item says nothing
    knn = SessionKnn.fit(training.session[held], item[held].astype(np.int64))
    events = row_items(pairs.table.rows)
    place = np.minimum(np.searchsorted(vocabulary, events), len(vocabulary) - 1)
    known = np.where((vocabulary[place] == events) & (events != 0), place, -1)
    begins = np.maximum.accumulate(
        np.where(np.diff(pairs.session, prepend=-1) != 0, np.arange(len(events)), 0)
    )
    ranks = np.zeros(len(events), np.int64)
    for event in np.flatnonzero(pairs.asked):
        found = vocabulary[knn.next_items(known[begins[event] : event + 1], DEPTH)]
        ranks[event] = _rank(found, pairs.next_item[event])
        report((event + 1) / len(events))
    return ranks[pairs.asked]


def _acts(pairs: Pairs) -> Iterator[tuple[int, Act]]:
    table = pairs.table
    begins = np.diff(pairs.session, prepend=-1) != 0
    columns = (table.user, table.rows["event_type"], row_items(table.rows), begins)
    for user, action, item, begin in zip(*(column.tolist() for column in columns), strict=True):
        yield user, Act(action, item, begin)


def _rank(found: npt.NDArray[np.uint64], truth: np.uint64) -> int:
    places = np.flatnonzero(found == truth)
    return int(places[0]) + 1 if len(places) else 0
