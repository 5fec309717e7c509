"""Which fit of the heads a run publishes: chosen on the validation part, then made again on the whole.

The candidates go from the plainest to the richest: heads that read the event alone, heads that read the
hidden vector too, and the heads as the network learned them. How strongly the first kind is held, folds of
the training part say: only what knows that part by heart needs the validation part to judge it. See
`head_fitting` for the fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import keras
import numpy as np

from model_store.head_fitting import (
    ActionTruth,
    Affine,
    Penalty,
    SilenceTruth,
    Truth,
    first_clearly_better,
    fitted,
    start_of,
)
from model_store.networks.heads import KNOWN_OUTPUT
from model_store.own_items import OWN_RANKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model_store.batches import Batch, Samples
    from model_store.learner import Learner
    from model_store.specification import NetworkSpecification

AS_LEARNED: Final = None
CANDIDATES: Final[tuple[Penalty | None, ...]] = (
    Penalty(None, 100.0),
    Penalty(None, 10.0),
    Penalty(None, 1.0),
    Penalty(100.0, 1.0),
    Penalty(10.0, 1.0),
    Penalty(1.0, 1.0),
    AS_LEARNED,
)
_OF_THE_EVENT: Final = 3  # the first of them, which read the event alone
_FOLDS: Final = 3
MOST_EVENTS: Final = 8_000
_BATCH_EVENTS: Final = 4_096

Choice = dict[str, int]


class _Rows(NamedTuple):
    """What a head reads behind some events [E, N], what it should have said, and the events' windows [E]."""

    known: np.ndarray
    truth: Truth
    window: np.ndarray

    def where(self, kept: np.ndarray) -> _Rows:
        """Return the events in ``kept`` [E]."""
        return _Rows(self.known[kept], self.truth.where(kept), self.window[kept])


def start_heads(learner: Learner, samples: Samples) -> None:
    """Let the heads start from what happens on the whole, whatever they read.

    A small log has too few steps to bring them there.
    """
    for head, rows in _rows(learner, samples, MOST_EVENTS).items():
        _set(learner, head, start_of(rows.truth, learner.specification.known_dimensions))
    if learner.specification.own_items:
        layer = learner.network.get_layer("own")
        kernel, bias = layer.get_weights()
        bias[:OWN_RANKS] = _own_start(samples.sampled(MOST_EVENTS), learner.specification)
        layer.set_weights([kernel, bias])


def _own_start(samples: Samples, specification: NetworkSpecification) -> np.ndarray:
    """Return the logit of an own item at each rank at which it is next as often as in ``samples``.

    Beside it stands a catalogue of random unit vectors, whose sum of exp(scale * cosine) is about
    V exp(scale^2 / 2 D).
    """
    held, followed = np.zeros(OWN_RANKS), np.zeros(OWN_RANKS)
    asked, elsewhere = 1.0, 0.5
    for batch in samples.in_order(_BATCH_EVENTS):
        ranks = np.minimum(np.arange(batch.own.present.shape[1]), OWN_RANKS - 1)
        np.add.at(held, ranks, batch.own.present.sum(axis=0))
        np.add.at(followed, ranks, batch.own.is_next.sum(axis=0))
        asked += len(batch.own.is_next)
        elsewhere += np.count_nonzero(~batch.own.is_next.any(axis=1))
    catalogue = np.log(max(specification.item_count - 1, 1))
    catalogue += specification.item_logit_scale**2 / (2 * specification.item_dimensions)
    start: np.ndarray = np.log((followed + 0.5) / (held + 1)) - np.log(elsewhere / asked) + catalogue
    return start.astype(np.float32)


def choose_heads(learner: Learner, samples: Samples, validation: Samples, most_events: int) -> Choice:
    """Set the fit of each head that is worth most on ``validation``; return its place in `CANDIDATES`.

    The fits are made on ``samples``, which ``learner`` has learned. Where no label of ``validation`` tells
    what the hidden vector is worth, the head reads the event alone. A head without any label is left out.
    """
    fitting = _rows(learner, samples, MOST_EVENTS)
    judging = _rows(learner, validation, most_events)
    units = learner.specification.units
    choice = {}
    for head, rows in fitting.items():
        alone = _best_of_the_event(rows, units)
        places = [alone, *range(_OF_THE_EVENT, len(CANDIDATES))] if head in judging else [alone]
        fits = _fits(learner, head, rows, places)
        best = 0
        if head in judging:
            known, truth, window = judging[head]
            best = first_clearly_better([truth.losses(fit(known)) for fit in fits], window)
        choice[head] = places[best]
        _set(learner, head, fits[best])
    return choice


def refit_heads(learner: Learner, samples: Samples, choice: Choice) -> None:
    """Make the chosen fits again on ``samples``, which ``learner`` has learned, and set them.

    Of a head that had no label when they were chosen, nobody knows more than folds of ``samples`` can say.
    """
    units = learner.specification.units
    for head, rows in _rows(learner, samples, MOST_EVENTS).items():
        place = choice[head] if head in choice else _best_of_the_event(rows, units)
        if CANDIDATES[place] is not AS_LEARNED:
            _set(learner, head, *_fits(learner, head, rows, [place]))


def _best_of_the_event(rows: _Rows, units: int) -> int:
    """Return which of the heads that read the event alone says most of windows that it was not fitted on."""
    losses = np.zeros(_OF_THE_EVENT)
    for fold in range(_FOLDS):
        judged = rows.window % _FOLDS == fold
        learned, asked = rows.where(~judged), rows.where(judged)
        if not judged.all() and judged.any():
            fit = start_of(learned.truth, learned.known.shape[1])
            for place in range(_OF_THE_EVENT):
                fit = _fit(learned, place, units, fit)
                losses[place] += asked.truth.losses(fit(asked.known)).sum()
    return int(losses.argmin())


def _fits(learner: Learner, head: str, rows: _Rows, places: list[int]) -> list[Affine]:
    """Return the heads at ``places`` of `CANDIDATES`; each fit starts where the one before it ended."""
    fits: list[Affine] = []
    last = start_of(rows.truth, rows.known.shape[1])
    for place in places:
        if CANDIDATES[place] is AS_LEARNED:
            last = Affine(*(each.astype(float) for each in learner.network.get_layer(head).get_weights()))
        else:
            last = _fit(rows, place, learner.specification.units, last)
        fits.append(last)
    return fits


def _fit(rows: _Rows, place: int, units: int, start: Affine) -> Affine:
    penalty = CANDIDATES[place]
    if penalty is AS_LEARNED:
        raise ValueError("a head as learned is not fitted")
    return fitted(rows.known, rows.truth, penalty, units, start)


def _rows(learner: Learner, samples: Samples, most_events: int) -> dict[str, _Rows]:
    """Return the rows of each head that has any, over about ``most_events`` events of ``samples``."""
    parts = list(_known(learner, samples.sampled(most_events)))
    if not parts:
        return {}
    known = np.concatenate([known for known, _ in parts]).astype(float)
    window = _windows([batch for _, batch in parts])
    action, bins, survived, returned = (
        np.concatenate([getattr(batch, name) for _, batch in parts])
        for name in ("next_action", "gap_bin", "survived", "returned")
    )
    specification = learner.specification
    said = action >= 0
    rows = {}
    if said.any():
        rows["action"] = _Rows(
            known[said], ActionTruth(action[said], len(specification.action_names)), window[said]
        )
    if specification.hazard_edges_ms:
        count = len(specification.hazard_edges_ms)
        rows["hazard"] = _Rows(known, SilenceTruth.of(bins, survived, returned, count), window)
    return rows


def _known(learner: Learner, samples: Samples) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield what the heads read at the scored events of each batch, and the batch."""
    network = learner.network
    knowing = keras.Model(network.input, network.get_layer(KNOWN_OUTPUT).output)
    vectors = learner.item_vectors()
    for batch in samples.in_order(_BATCH_EVENTS):
        known = knowing(
            {
                "item_vectors": vectors[batch.item],
                "event_type": batch.event_type,
                "category": batch.category,
                "numeric": batch.numeric,
            },
            training=False,
        ).numpy()
        yield known.reshape(-1, known.shape[-1])[batch.scored], batch


def _windows(batches: list[Batch]) -> np.ndarray:
    """Return the number of the window of each scored event of ``batches``, one after another."""
    ends = np.cumsum([len(batch.item) for batch in batches])
    numbers = [
        batch.scored // batch.item.shape[1] + end - len(batch.item)
        for batch, end in zip(batches, ends, strict=True)
    ]
    return np.concatenate(numbers)


def _set(learner: Learner, head: str, fit: Affine) -> None:
    learner.network.get_layer(head).set_weights([fit.kernel.astype(np.float32), fit.bias.astype(np.float32)])
