"""Fitting the companion of a network, and weighing it against the network.

Where the validation part says enough, it chooses: the searched network and the companion are both strangers
to it. Where it does not, the companion's own penalties are chosen by folds of the users of the whole training
part, and the network, of which nobody can say what it is worth, gets an equal share. Then the companion is
fitted again on the whole training part, as the network is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.companion import Companion, Perceptron, read_by
from model_store.companion_experts import (
    PENALTIES,
    STRENGTHS,
    Scale,
    linear_fit,
    linear_fits,
    perceptron_fit,
    pooled,
)
from model_store.evaluating.served import served_steps
from model_store.evaluating.truth import truth_of
from model_store.features.table import companion_features
from model_store.lookback import lookback_at
from model_store.parts import sampled_by_user
from model_store.session_purchase_fit import fit_session_purchase
from model_store.windows import SESSION_GAP_MS, kept_after_overflow
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model_store.encoder import Encoder
    from model_store.evaluating.truth import Truth
    from model_store.parts import Part
    from model_store.serving import ServedModel

_FITS: Final = 3
_FOLDS: Final = 3
_ENCODED_AT_ONCE: Final = 8_192
_MOST_EVENTS: Final = 50_000
_MOST_VALIDATION_EVENTS: Final = 20_000
_LEAST_JUDGED: Final = 500
_LEAST_OF_EACH: Final = 5
_UNJUDGED_SHARE: Final = 2 / 3
_TENTHS: Final = 10

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Question(NamedTuple):
    """What was known [E, R] and what came true [E], one of ``classes``, of the users [E]."""

    known: Floats
    truth: Ints
    user: Ints
    classes: int

    def where(self, kept: npt.NDArray[np.bool_]) -> Question:
        """Return the events in ``kept`` [E]."""
        return self._replace(known=self.known[kept], truth=self.truth[kept], user=self.user[kept])

    def answerable(self) -> bool:
        """Tell whether two of the classes came often enough to tell them apart."""
        return int(np.count_nonzero(np.bincount(self.truth) >= _LEAST_OF_EACH)) > 1


class Recipe(NamedTuple):
    """How strongly the two parts of a companion are held, and what each counts, the network the rest of 1."""

    penalty: float
    strength: float
    linear_share: float
    perceptron_share: float

    @property
    def share(self) -> float:
        """What the companion counts."""
        return self.linear_share + self.perceptron_share


def fit_companion(
    searched: ServedModel, fitting: Part, validation: Part, encoder: Encoder, whole: Part
) -> Companion | None:
    """Return the companion of a network, ``searched`` being the one that learned ``fitting`` only.

    ``encoder`` is that of the network to publish, which learned ``whole``; both encoders tell the companion's
    features from here on. None where it would count nothing, and for a log without times or with one type of
    events.
    """
    statistics = searched.encoder.statistics
    if not statistics.timed or len(statistics.event_types) < 2:
        return None
    for each in (searched.encoder, encoder):
        each.tell_extra(companion_features(each.features, each.statistics))
    learned = _questions(searched, searched.encoder, fitting, _MOST_EVENTS)
    judged = _questions(searched, searched.encoder, validation, _MOST_VALIDATION_EVENTS)
    finally_learned = _questions(searched, encoder, whole, _MOST_EVENTS)
    network = _said(searched, fitting, validation)
    fits = [_fitted(*each) for each in zip(learned, judged, network, finally_learned, strict=True)]
    (action, action_share), (session, session_share) = fits
    if not action_share and not session_share:
        return None
    names = tuple(feature.name for feature in companion_features(encoder.features, encoder.statistics))
    return Companion(action, action_share, session, session_share, names)


def _fitted(
    learned: Question, judged: Question, network: Floats, final: Question
) -> tuple[Perceptron, float]:
    """Return the model to publish, fitted on ``final``, and its share, chosen as the module says."""
    recipe = None
    if len(judged.truth) >= _LEAST_JUDGED and learned.answerable():
        recipe = chosen([(learned, judged)], network)
    elif final.answerable():
        recipe = chosen(list(_by_users(final)), None)
    if recipe is None or not recipe.share:
        width = final.known.shape[1]
        return _nothing(width, 1 if final.classes == 2 else final.classes), 0.0
    scale = Scale.of(final.known)
    values = scale.values(final.known)
    linear = linear_fit(values, final.truth, final.classes, recipe.penalty)
    perceptron = perceptron_fit(values, final.truth, final.classes, recipe.strength, _FITS)
    return pooled(scale, linear, perceptron, recipe.perceptron_share / recipe.share), recipe.share


def chosen(folds: list[tuple[Question, Question]], network: Floats | None) -> Recipe:
    """Return the recipe that says most of the second question of each of ``folds``, fitted on the first one.

    ``network`` are the network's logits [E, outputs] to the only fold; None where it is not to be judged.
    """
    linear, perceptron = [], []
    for learned, judged in folds:
        scale = Scale.of(learned.known)
        values, asked = scale.values(learned.known), scale.values(judged.known)
        fits = linear_fits(values, learned.truth, learned.classes)
        linear.append([fit(asked) for fit in fits])
        models = [
            perceptron_fit(values, learned.truth, learned.classes, strength, 1) for strength in STRENGTHS
        ]
        perceptron.append([_logits(model, asked) for model in models])
    truth = np.concatenate([judged.truth for _, judged in folds])
    plain, penalty = _best(linear, truth)
    bent, strength = _best(perceptron, truth)
    pools = {shares: shares[0] * plain + shares[1] * bent for shares in _shares(alone=network is None)}
    if network is not None:
        pools = {shares: pool + (1 - sum(shares)) * _two_sided(network) for shares, pool in pools.items()}
    best = min(pools, key=lambda shares: float(losses(pools[shares], truth).sum()))
    counted = 1.0 if network is not None else _UNJUDGED_SHARE
    return Recipe(PENALTIES[penalty], STRENGTHS[strength], counted * best[0], counted * best[1])


def losses(logits: Floats, truth: Ints) -> Floats:
    """Return the losses [E] in nats of logits [E, classes]."""
    whole: Floats = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(truth)), truth]
    return whole


def _best(fits: list[list[Floats]], truth: Ints) -> tuple[Floats, int]:
    """Return the logits that say most of ``truth``, and which they are; ``fits`` has a list for each fold."""
    said = [np.concatenate(of_folds) for of_folds in zip(*fits, strict=True)]
    best = min(range(len(said)), key=lambda place: float(losses(said[place], truth).sum()))
    return said[best], best


def _shares(*, alone: bool) -> list[tuple[float, float]]:
    """Return the shares of the linear model and of the perceptron to try; ``alone`` they sum to 1."""
    tenths = range(_TENTHS + 1)
    return [
        (linear / _TENTHS, perceptron / _TENTHS)
        for linear in tenths
        for perceptron in tenths
        if linear + perceptron == _TENTHS or (not alone and linear + perceptron < _TENTHS)
    ]


def _by_users(question: Question) -> Iterator[tuple[Question, Question]]:
    """Yield what to learn and what to judge by, thirds of the users in turn."""
    fold = np.unique(question.user, return_inverse=True)[1] % _FOLDS
    for each in range(_FOLDS):
        learned, judged = question.where(fold != each), question.where(fold == each)
        if len(learned.truth) and len(judged.truth):
            yield learned, judged


def _questions(
    model: ServedModel, encoder: Encoder, part: Part, most_events: int
) -> tuple[Question, Question]:
    """Return the next actions, and the purchases in the session, of the events whose future is known."""
    part = sampled_by_user(part, most_events)
    truth = truth_of(part, SESSION_GAP_MS)
    known = _known(encoder, part, model.window_size)[truth.event]
    ended = truth.session_known
    return (
        Question(known, truth.next_action, truth.user, len(model.action_names)),
        Question(known[ended], truth.bought[ended].astype(np.int64), truth.user[ended], 2),
    )


def _known(encoder: Encoder, part: Part, window_size: int) -> Floats:
    """Return what is known behind each event of the part, from windows of ``window_size`` events."""
    rows, here = part.table.rows, np.arange(len(part.table))
    begins = np.maximum.accumulate(np.where(part.table.starts_user(), here, 0)) if len(here) else here
    place = _held(here - begins, window_size)
    width = encoder.numeric_features + encoder.extra_features + len(EVENT_TYPES)
    found: list[Floats] = [np.empty((0, width))]
    for start in range(0, len(rows), _ENCODED_AT_ONCE):
        some = here[start : start + _ENCODED_AT_ONCE]
        inputs = encoder.encode(rows[some], lookback_at(rows, some, place[some], encoder.lookback_events))
        types = np.eye(len(EVENT_TYPES))[inputs.event_type]
        found.append(np.concatenate([read_by(inputs), types], axis=1))
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


def _logits(model: Perceptron, values: Floats) -> Floats:
    """Return the logits [E, classes] of a perceptron alone."""
    hidden: Floats = np.maximum(values @ model.hidden_kernel + model.hidden_bias, 0)
    return _two_sided(hidden @ model.kernel + model.bias)


def _two_sided(logits: Floats) -> Floats:
    """Return logits [E, classes]; of [E, 1], the second of two classes, the first one's are 0."""
    return logits if logits.shape[1] > 1 else np.concatenate([np.zeros_like(logits), logits], axis=1)


def _nothing(width: int, outputs: int) -> Perceptron:
    """Return the model that reads ``width`` numbers and says nothing of them."""
    shapes = ((width, outputs), (width, 0), (0,), (0, outputs), (outputs,))
    return Perceptron(*(np.zeros(shape, np.float32) for shape in shapes))
