"""How much an item's place in the window moves its logit, fitted where the network has not learned.

On what a network has learned, the true next item stands out more than it ever will again, while the items
that were just looked at stand as high as always: so live they would be named too often. One number for each
rank of `own_items`, added to an own item's whole logit, corrects that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from model_store.own_items import OWN_RANKS, own_ranks
from model_store.validation import candidates_of

if TYPE_CHECKING:
    from model_store.batches import Samples
    from model_store.learner import Learner

_BATCH_EVENTS = 4_096
_AT_ONCE = 512
_PENALTY = 1.0

Floats = npt.NDArray[np.float64]


class _Asked(NamedTuple):
    """Q events with a next item: ``others`` [Q] the log of the sum over all other candidates, ``own`` [Q, M].

    ``true`` [Q] is the place of the next item among the own ones, -1 where it is none of them.
    """

    others: Floats
    own: Floats
    true: npt.NDArray[np.int64]


def fit_place_offsets(learner: Learner, validation: Samples, most_events: int) -> npt.NDArray[np.float32]:
    """Return the offset of each rank, float32 [OWN_RANKS], that makes ``validation``'s next items likeliest.

    It maximises the softmax's likelihood less half the sum of the offsets' squares, which is concave; without
    any event that asks for an item, all are 0.
    """
    return _fitted(_asked(learner, validation.sampled(most_events)))


def _fitted(asked: list[_Asked]) -> npt.NDArray[np.float32]:
    if not asked:
        return np.zeros(OWN_RANKS, np.float32)
    found = minimize(_loss, np.zeros(OWN_RANKS), (asked,), jac=True, method="L-BFGS-B")
    offsets: npt.NDArray[np.float32] = found.x.astype(np.float32)
    return offsets


def _loss(offsets: Floats, asked: list[_Asked]) -> tuple[float, Floats]:
    """Return the penalised negative log likelihood, and its gradient."""
    loss = _PENALTY * float(offsets @ offsets) / 2
    gradient = _PENALTY * offsets
    for others, own, true in asked:
        ranks = own_ranks(own.shape[1])
        moved = own + offsets[ranks]
        total = np.logaddexp(others, np.logaddexp.reduce(moved, axis=1))
        held = np.flatnonzero(true >= 0)
        loss += float(total.sum() - moved[held, true[held]].sum())
        share = np.exp(moved - total[:, None]).sum(axis=0)  # [M], what each place is expected to win
        gradient = gradient + np.bincount(ranks, share, OWN_RANKS)
        gradient = gradient - np.bincount(ranks[true[held]], minlength=OWN_RANKS)
    return loss, gradient


def _asked(learner: Learner, samples: Samples) -> list[_Asked]:
    vectors = learner.item_vectors()[1:]
    scale = np.float32(learner.specification.item_logit_scale)
    asked = []
    for batch in samples.in_order(_BATCH_EVENTS):
        answers = learner.answer(batch)
        for start in range(0, len(batch.next_item), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            said = candidates_of(answers, batch, some, vectors, scale)
            if said.own_columns is None:
                return []
            event, place = np.nonzero(said.own_columns >= 0)
            column = said.own_columns[event, place]
            own = np.full(said.own_columns.shape, -np.inf)
            own[event, place] = said.logits[event, column]
            said.logits[event, column] = -np.inf
            is_next = batch.own.take(some).is_next
            true = np.where(is_next.any(axis=1), is_next.argmax(axis=1), -1)
            others = np.logaddexp.reduce(said.logits.astype(np.float64), axis=1)
            asked.append(_Asked(others, own, true))
    return asked
