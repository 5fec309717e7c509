"""What a learner is worth on the validation part, after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.evaluation import Scores
from model_store.losses import Losses, mean_action_loss, mean_hazard_loss
from model_store.metrics import log_loss
from model_store.own_items import own_ranks

if TYPE_CHECKING:
    from model_store.batches import Batch, Samples
    from model_store.evaluation import Rows
    from model_store.learner import Answers, Learner

TOP: Final = 20
_BATCH_EVENTS: Final = 4_096
_RANKED_AT_ONCE: Final = 512

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """Losses in nats, and how well the next item was ranked among all items.

    The item's loss is the softmax over the whole catalogue and the window's own items. Only next items that
    the vocabulary knows or the window holds are asked for. With no such item, the ranks' measures are 0.
    """

    losses: Losses
    recall_at_20: float
    mrr_at_20: float


def measure(learner: Learner, samples: Samples, most_events: int) -> Measured:
    """Measure ``learner`` on about ``most_events`` events of ``samples``, always the same ones."""
    vectors = learner.item_vectors()[1:]
    scale = np.float32(learner.specification.item_logit_scale)
    item_losses, ranks = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
    action, hazard, action_weight, hazard_weight = 0.0, 0.0, 0, 0
    for batch in samples.sampled(most_events).in_order(_BATCH_EVENTS):
        answers = learner.answer(batch)
        known = int(np.count_nonzero(batch.next_action >= 0))
        action += known * float(mean_action_loss(answers.next_action, batch.next_action))
        action_weight += known
        if answers.hazard is not None:
            count = len(batch.scored)
            hazard += count * float(
                mean_hazard_loss(answers.hazard, batch.gap_bin, batch.survived, batch.returned)
            )
            hazard_weight += count
        for start in range(0, len(batch.next_item), _RANKED_AT_ONCE):
            some = slice(start, start + _RANKED_AT_ONCE)
            said = candidates_of(answers, batch, some, vectors, scale)
            losses, places = _ranked(said.logits, said.true)
            item_losses.append(losses)
            ranks.append(places)
    rank = np.concatenate(ranks)
    found = rank < TOP
    return Measured(
        losses=Losses(
            item=_mean(np.concatenate(item_losses)),
            action=action / max(action_weight, 1),
            hazard=hazard / max(hazard_weight, 1),
        ),
        recall_at_20=_mean(found),
        mrr_at_20=_mean(np.where(found, 1.0 / (rank + 1), 0.0)),
    )


def score(learner: Learner, samples: Samples, rows: Rows) -> Scores:
    """Return the measures of ``learner`` on the ``rows`` of the part that ``samples`` were made of.

    A next item that neither the vocabulary nor the window holds is a miss. Items are ranked by exact search.
    """
    vectors = learner.item_vectors()[1:]
    scale = np.float32(learner.specification.item_logit_scale)
    correct, loss, actions, hits = 0, 0.0, 0, 0
    for batch in samples.in_order(_BATCH_EVENTS):
        answers = learner.answer(batch)
        known = batch.next_action >= 0
        truth, logits = batch.next_action[known], answers.next_action[known].astype(np.float64)
        if len(truth):
            probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
            loss += len(truth) * log_loss(probabilities, truth)
            correct += int(np.count_nonzero(logits.argmax(axis=1) == truth))
            actions += len(truth)
        for start in range(0, len(batch.next_item), _RANKED_AT_ONCE):
            some = slice(start, start + _RANKED_AT_ONCE)
            said = candidates_of(answers, batch, some, vectors, scale).moved(learner.own_offsets)
            _, rank = _ranked(said.logits, said.true)
            hits += int(np.count_nonzero(rank < TOP))
    items = int(np.count_nonzero(rows.item_scored))
    return Scores(
        next_action_accuracy=correct / actions if actions else None,
        next_action_log_loss=loss / actions if actions else None,
        next_item_recall_at_20=hits / items if items else None,
    )


class Candidates(NamedTuple):
    """The candidates for the next item of Q events.

    ``logits`` [Q, V - 1 + M] are the catalogue's without the unknown item, the own items' share included, and
    behind it those of the own items that the vocabulary lacks, -inf elsewhere. ``true`` [Q] is the column of
    the next item, ``own_columns`` [Q, M] those of the own items, -1 where there is none; None if the network
    has no own items.
    """

    logits: Floats
    true: npt.NDArray[np.int64]
    own_columns: npt.NDArray[np.int64] | None

    def moved(self, offsets: Floats) -> Candidates:
        """Return them with the own items' logits moved by the ``offsets`` [OWN_RANKS] of their ranks."""
        if self.own_columns is None:
            return self
        event, place = np.nonzero(self.own_columns >= 0)
        ranks = own_ranks(self.own_columns.shape[1])
        self.logits[event, self.own_columns[event, place]] += offsets[ranks[place]]
        return self


def candidates_of(
    answers: Answers, batch: Batch, some: slice, vectors: Floats, scale: np.float32
) -> Candidates:
    """Return the candidates of ``some`` of the events of ``batch`` that have a next item."""
    logits = (answers.query[some] @ vectors.T) * scale
    true = batch.next_item[some].astype(np.int64) - 1
    if answers.own is None:
        return Candidates(logits, true, None)
    own = batch.own.take(some)
    event, place = np.nonzero(own.present & (own.indices > 0))
    column = own.indices[event, place] - 1
    logits[event, column] = np.logaddexp(logits[event, column], answers.own[some][event, place])
    beyond = np.where(own.present & (own.indices == 0), answers.own[some], np.float32(-np.inf))
    behind = vectors.shape[0] + np.arange(own.present.shape[1])
    columns = np.where(own.indices > 0, own.indices.astype(np.int64) - 1, behind)
    unknown = vectors.shape[0] + own.is_next.argmax(axis=1)
    return Candidates(
        np.concatenate([logits, beyond], axis=1),
        np.where(true < 0, unknown, true),
        np.where(own.present, columns, -1),
    )


def _ranked(logits: Floats, true: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the loss [Q] and the rank [Q], from 0, of the ``true`` columns [Q] of ``logits`` [Q, V]."""
    true_logits = np.take_along_axis(logits, true[:, None], axis=1)
    rank = np.count_nonzero(logits > true_logits, axis=1)
    highest = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return total - true_logits[:, 0], rank


def _mean(values: npt.NDArray[np.float32] | npt.NDArray[np.float64] | npt.NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0
