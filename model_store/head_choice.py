"""Which fit of the heads a run publishes: chosen on the validation part, then made again on the whole.

The candidates go from the plainest to the richest: heads that read the event alone, heads that read the
hidden vector too, and the heads as the network learned them. See `head_fitting` for the fits.
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model_store.batches import Batch, Samples
    from model_store.learner import Learner

AS_LEARNED: Final = None
_WITHOUT_A_LABEL: Final = 3  # of `CANDIDATES`: little of what the network learned, which nobody could check
CANDIDATES: Final[tuple[Penalty | None, ...]] = (
    Penalty(None, 100.0),
    Penalty(None, 10.0),
    Penalty(None, 1.0),
    Penalty(100.0, 1.0),
    Penalty(10.0, 1.0),
    Penalty(1.0, 1.0),
    AS_LEARNED,
)
MOST_EVENTS: Final = 20_000
_BATCH_EVENTS: Final = 4_096

Choice = dict[str, int]


class _Rows(NamedTuple):
    """What a head reads behind some events [E, N], and what it should have said there."""

    known: np.ndarray
    truth: Truth


def start_heads(learner: Learner, samples: Samples) -> None:
    """Let the heads start from what happens on the whole, whatever they read."""
    for head, rows in _rows(learner, samples, MOST_EVENTS).items():
        _set(learner, head, start_of(rows.truth, learner.specification.known_dimensions))


def choose_heads(learner: Learner, samples: Samples, validation: Samples, most_events: int) -> Choice:
    """Set the fit of each head that is worth most on ``validation``; return its place in `CANDIDATES`.

    The fits are made on ``samples``, which ``learner`` has learned. A head without any label on either side
    is left out.
    """
    fitting = _rows(learner, samples, MOST_EVENTS)
    judging = _rows(learner, validation, most_events)
    choice = {}
    for head in fitting.keys() & judging.keys():
        fits = _fits(learner, head, fitting[head])
        known, truth = judging[head]
        choice[head] = first_clearly_better([truth.losses(fit(known)) for fit in fits])
        _set(learner, head, fits[choice[head]])
    return choice


def refit_heads(learner: Learner, samples: Samples, choice: Choice) -> None:
    """Make the chosen fits again on ``samples``, which ``learner`` has learned, and set them."""
    for head, rows in _rows(learner, samples, MOST_EVENTS).items():
        penalty = CANDIDATES[choice.get(head, _WITHOUT_A_LABEL)]
        if penalty is not AS_LEARNED:
            start = start_of(rows.truth, rows.known.shape[1])
            _set(learner, head, fitted(*rows, penalty, learner.specification.units, start))


def _fits(learner: Learner, head: str, rows: _Rows) -> list[Affine]:
    """Return the head of each of `CANDIDATES`; each fit starts where the one before it ended."""
    fits: list[Affine] = []
    last = start_of(rows.truth, rows.known.shape[1])
    for penalty in CANDIDATES:
        if penalty is AS_LEARNED:
            last = Affine(*(each.astype(float) for each in learner.network.get_layer(head).get_weights()))
        else:
            last = fitted(*rows, penalty, learner.specification.units, last)
        fits.append(last)
    return fits


def _rows(learner: Learner, samples: Samples, most_events: int) -> dict[str, _Rows]:
    """Return the rows of each head that has any, over about ``most_events`` events of ``samples``."""
    parts = list(_known(learner, samples.sampled(most_events)))
    if not parts:
        return {}
    known = np.concatenate([known for known, _ in parts]).astype(float)
    action, bins, survived, returned = (
        np.concatenate([getattr(batch, name) for _, batch in parts])
        for name in ("next_action", "gap_bin", "survived", "returned")
    )
    specification = learner.specification
    said = action >= 0
    rows = {}
    if said.any():
        rows["action"] = _Rows(known[said], ActionTruth(action[said], len(specification.action_names)))
    if specification.hazard_edges_ms:
        count = len(specification.hazard_edges_ms)
        rows["hazard"] = _Rows(known, SilenceTruth.of(bins, survived, returned, count))
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


def _set(learner: Learner, head: str, fit: Affine) -> None:
    learner.network.get_layer(head).set_weights([fit.kernel.astype(np.float32), fit.bias.astype(np.float32)])
