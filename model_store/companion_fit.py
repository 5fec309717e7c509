"""Fitting the companion: on the part that the searched network learned, weighed on the validation part.

Both predictors are strangers to the validation part, so that it can say how to pool them. Then the
perceptrons are fitted again on the whole training part, as the network is.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from model_store.companion import Companion, Perceptron
from model_store.evaluating.served import served_steps
from model_store.evaluating.truth import truth_of
from model_store.features.table import LARGE_LOG_EVENTS
from model_store.head_fitting import first_clearly_better
from model_store.lookback import lookback_at
from model_store.parts import sampled_by_user
from model_store.session_purchase_fit import fit_session_purchase
from model_store.windows import SESSION_GAP_MS, kept_after_overflow
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.encoder import Encoder
    from model_store.evaluating.truth import Truth
    from model_store.parts import Part
    from model_store.serving import ServedModel

_SHARES: Final = (0.0, 0.3, 0.5, 0.7)
_STRENGTHS: Final = (3.0, 1.0)
_UNITS: Final = 24
_FITS: Final = 3
_EPOCHS: Final = 20
_BATCH_EVENTS: Final = 512
_ENCODED_AT_ONCE: Final = 8_192
_MOST_EVENTS: Final = 100_000
_MOST_VALIDATION_EVENTS: Final = 20_000
_LEAST_OF_EACH: Final = 50

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class _Question(NamedTuple):
    """What was known [E, F + types] and what came true [E], one of ``classes``, of the users [E]."""

    known: Floats
    truth: Ints
    user: Ints
    classes: int


def fit_companion(
    searched: ServedModel, fitting: Part, validation: Part, encoder: Encoder, whole: Part
) -> Companion | None:
    """Return the companion of a network, ``searched`` being the one that learned ``fitting`` only.

    ``encoder`` is that of the network to publish, which learned ``whole``.

    None where it would count nothing, and for a log without times, with one type of events, or with under
    5,000 to fit, which a perceptron would learn by heart.
    """
    statistics = searched.encoder.statistics
    if not statistics.timed or len(statistics.event_types) < 2:
        return None
    learned, judged = (
        _questions(searched, searched.encoder, fitting),
        _questions(searched, searched.encoder, validation),
    )
    if len(learned[0].truth) < LARGE_LOG_EVENTS:
        return None
    network = _said(searched, fitting, validation)
    fits = [_chosen(*each) for each in zip(learned, judged, network, strict=True)]
    if not any(share for _, share in fits):
        return None
    questions = _questions(searched, encoder, whole)
    action, session = (
        _perceptron(question, strength, _FITS)
        for question, (strength, _) in zip(questions, fits, strict=True)
    )
    return Companion(action, fits[0][1], session, fits[1][1])


def _questions(model: ServedModel, encoder: Encoder, part: Part) -> tuple[_Question, _Question]:
    """Return the next actions, and the purchases in the session, of the events whose future is known."""
    most = _MOST_EVENTS if part.scored.all() else _MOST_VALIDATION_EVENTS
    part = sampled_by_user(part, most)
    truth = truth_of(part, SESSION_GAP_MS)
    known = _known(encoder, part, model.window_size)[truth.event]
    ended = truth.session_known
    return (
        _Question(known, truth.next_action, truth.user, len(model.action_names)),
        _Question(known[ended], truth.bought[ended].astype(np.int64), truth.user[ended], 2),
    )


def _known(encoder: Encoder, part: Part, window_size: int) -> Floats:
    """Return what is known behind each event of the part, from windows of ``window_size`` events."""
    rows, here = part.table.rows, np.arange(len(part.table))
    begins = np.maximum.accumulate(np.where(part.table.starts_user(), here, 0)) if len(here) else here
    place = _held(here - begins, window_size)
    found: list[Floats] = [np.empty((0, encoder.numeric_features + len(EVENT_TYPES)))]
    for start in range(0, len(rows), _ENCODED_AT_ONCE):
        some = here[start : start + _ENCODED_AT_ONCE]
        inputs = encoder.encode(rows[some], lookback_at(rows, some, place[some], encoder.lookback_events))
        types = np.eye(len(EVENT_TYPES))[inputs.event_type]
        found.append(np.concatenate([inputs.numeric, types], axis=1))
    return np.concatenate(found)


def _held(before: Ints, window_size: int) -> Ints:
    """Return how many of the events ``before`` [E] its window still holds; see `windows.inserted`."""
    kept = kept_after_overflow(window_size) if window_size > 1 else 0
    held: Ints = np.where(before < window_size, before, kept + (before - window_size) % (window_size - kept))
    return held


def _said(model: ServedModel, fitting: Part, validation: Part) -> tuple[Floats, Floats]:
    """Return the logits of the network, [E, A] and [E', 1], to the questions of the validation part."""
    part = sampled_by_user(validation, _MOST_VALIDATION_EVENTS)
    truth: Truth = truth_of(part, SESSION_GAP_MS)
    purchase = fit_session_purchase(model, fitting)
    actions = np.ones((len(part.table), len(model.action_names)))
    bought = np.full(len(part.table), 0.5)
    for step in served_steps(model, part.table):
        said = step.heads.next_action
        if said is not None:
            actions[step.events] = said
            if purchase is not None:
                bought[step.events] = purchase(said, step.inputs)
    bought = np.clip(bought[truth.event][truth.session_known], 1e-7, 1 - 1e-7)
    logit: Floats = np.log(bought) - np.log1p(-bought)
    return np.log(np.maximum(actions[truth.event], 1e-7)), logit[:, None]


def _chosen(learned: _Question, judged: _Question, network: Floats) -> tuple[float, float]:
    """Return the penalty, and the share, that say most of ``judged``: 0 unless another is clearly better."""
    if (
        not len(judged.truth)
        or np.bincount(learned.truth, minlength=2).max() > len(learned.truth) - _LEAST_OF_EACH
    ):
        return _STRENGTHS[0], 0.0
    said = [_logits(_perceptron(learned, strength, _FITS), judged.known) for strength in _STRENGTHS]
    best = min(range(len(said)), key=lambda place: _losses(said[place], judged.truth).sum())
    pools = [(1 - share) * network + share * said[best] for share in _SHARES]
    losses = [_losses(pool, judged.truth) for pool in pools]
    return _STRENGTHS[best], _SHARES[first_clearly_better(losses, judged.user)]


def _losses(logits: Floats, truth: Ints) -> Floats:
    """Return the losses [E] in nats of logits [E, classes], or [E, 1] of the second of two."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    whole: Floats = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(truth)), truth]
    return whole


def _logits(perceptron: Perceptron, known: Floats) -> Floats:
    hidden: Floats = np.maximum(known @ perceptron.hidden_kernel + perceptron.hidden_bias, 0)
    logits: Floats = hidden @ perceptron.kernel + perceptron.bias
    if logits.shape[1] > 1:
        logits -= np.logaddexp.reduce(logits, axis=1)[:, None]
    return logits


def _perceptron(question: _Question, strength: float, fits: int) -> Perceptron:
    """Return the mean of some fits, whose hidden layers stand side by side.

    Each class is shown once more than it came, behind an average event, so that none is impossible.
    """
    mean, deviation = question.known.mean(axis=0), question.known.std(axis=0)
    deviation[deviation < 1e-6] = np.inf  # says nothing, so its weight is 0
    values = np.concatenate(
        [(question.known - mean) / deviation, np.zeros((question.classes, question.known.shape[1]))]
    )
    truth = np.concatenate([question.truth, np.arange(question.classes)])
    layers = [_layers(values, truth, strength, seed) for seed in range(fits)]
    into, into_bias, out, out_bias = zip(*layers, strict=True)
    kernel = np.concatenate(into, axis=1) / deviation[:, None]
    return Perceptron(
        kernel.astype(np.float32),
        (np.concatenate(into_bias) - mean @ kernel).astype(np.float32),
        (np.concatenate(out) / fits).astype(np.float32),
        np.mean(out_bias, axis=0).astype(np.float32),
    )


def _layers(values: Floats, truth: Ints, strength: float, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    network = MLPClassifier(
        (_UNITS,),
        alpha=strength,
        learning_rate_init=3e-3,
        batch_size=min(_BATCH_EVENTS, len(values)),
        max_iter=_EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(values, truth)
    return network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1]
