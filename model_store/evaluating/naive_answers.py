"""The naive example asked for more than it says: the next action and the purchase, by its one probability.

It says whether the user browses next. Which browse, and which other action, is shared out as in the training
part; so is the purchase in the session, for each of the example's kinds of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_store.evaluating.answers import Answers, Asked
from model_store.evaluating.truth import BROWSES, PURCHASE
from model_store.specification import ACTION_NAMES

if TYPE_CHECKING:
    from model_store.baselines.naive import NaiveExample
    from model_store.evaluating.truth import Truth
    from model_store.parts import Part
    from model_store.sequences import EventTable, Ints


class NaivePredictor:
    """Answers for a trained example; it is one for `Evaluation.report`."""

    def __init__(self, example: NaiveExample, training: Part, truth: Truth) -> None:
        """Take the shares of actions and purchases of the training part."""
        self._example = example
        self.validation_accuracy = example.validation_accuracy
        counts = np.bincount(truth.next_action, minlength=len(ACTION_NAMES)) + 1.0
        browses = np.isin(np.arange(len(ACTION_NAMES)), BROWSES)
        self._of_browses = counts * browses / counts[browses].sum()
        self._of_others = counts * ~browses / counts[~browses].sum()
        known = truth.where(truth.session_known)
        kinds = _kinds(training.table, known.event)
        rows, bought = np.bincount(kinds, minlength=4), np.bincount(kinds, known.bought, minlength=4)
        base = (bought.sum() + 1) / (rows.sum() + 2)
        self._bought = (bought + base) / (rows + 1)

    def __call__(self, asked: Asked) -> Answers:
        """Return the answers to ``asked``."""
        kinds = _kinds(asked.part.table, asked.truth.event)
        browse = self._example.next_browse.reshape(-1)[kinds][:, None]
        return Answers(browse * self._of_browses + (1 - browse) * self._of_others, self._bought[kinds])


def _kinds(table: EventTable, events: Ints) -> Ints:
    """Return the kind of each event's row: 2 if it is a purchase, and 1 if it is a browse."""
    kinds = table.rows["event_type"][events]
    found: Ints = 2 * (kinds == PURCHASE).astype(np.int64) + np.isin(kinds, BROWSES)
    return found
