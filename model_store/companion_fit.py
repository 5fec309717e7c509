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

from model_store.companion import Companion, Known, Perceptron
from model_store.companion_experts import (
    PENALTIES,
    STRENGTHS,
    Scale,
    linear_fit,
    linear_fits,
    perceptron_fit,
    pooled,
)
from model_store.companion_questions import MOST_JUDGED_EVENTS, Question, questions_of, said_by_network
from model_store.features.table import LONG_LOG_EVENTS, companion_features

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model_store.encoder import Encoder
    from model_store.parts import Part
    from model_store.serving import ServedModel

_FITS: Final = 3
_FOLDS: Final = 3
_MOST_EVENTS: Final = 400_000
_MOST_OF_PLAIN: Final = LONG_LOG_EVENTS  # for what more events would not make better
_LEAST_JUDGED: Final = 500
_UNJUDGED_SHARE: Final = 2 / 3
_TENTHS: Final = 10

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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


_NOTHING: Final = Recipe(PENALTIES[0], STRENGTHS[0], 0.0, 0.0)


class FittedCompanion(NamedTuple):
    """The companion of the network to publish, and that of the searched one, of the same recipe.

    The second has learned nothing of the validation part, so it says what the first is worth. It is a single
    fit, of the next action alone, and counts nothing if the fitting part has no label to learn from.
    """

    published: Companion
    searched: Companion


def fit_companion(
    searched: ServedModel, fitting: Part, validation: Part, encoder: Encoder, whole: Part
) -> FittedCompanion | None:
    """Return the companions of a network, ``searched`` being the one that learned ``fitting`` only.

    ``encoder`` is that of the network to publish, which learned ``whole``; both encoders tell the companion's
    features from here on. None where it would count nothing, and for a log without times or with one type of
    events.
    """
    statistics = searched.encoder.statistics
    if not statistics.timed or len(statistics.event_types) < 2:
        return None
    for each in (searched.encoder, encoder):
        each.tell_extra(companion_features(each.features, each.statistics))
    learned = _learnable(questions_of(searched, searched.encoder, fitting, _MOST_EVENTS))
    judged = questions_of(searched, searched.encoder, validation, MOST_JUDGED_EVENTS)
    known = _learnable(questions_of(searched, encoder, whole, _MOST_EVENTS))
    network = said_by_network(searched, fitting, validation)
    recipes = [_recipe(*each) for each in zip(learned, judged, network, known, strict=True)]
    if not any(recipe.share for recipe in recipes):
        return None
    of_searched = recipes[0] if learned[0].answerable() else _NOTHING
    return FittedCompanion(
        published=_companion(recipes, known, encoder, _FITS),
        searched=_companion([of_searched, _NOTHING], learned, searched.encoder, 1),
    )


def _learnable(questions: tuple[Question, Question]) -> tuple[Question, Question]:
    """Return the next actions, and fewer of the purchases in the session, which are seldom."""
    action, session = questions
    return action, session.some(_MOST_OF_PLAIN)


def _recipe(learned: Question, judged: Question, network: Floats, known: Question) -> Recipe:
    """Return what to fit on ``known`` and how it counts, chosen as the module says."""
    if len(judged.truth) >= _LEAST_JUDGED and learned.answerable():
        return chosen([(learned, judged)], network)
    folds = list(_by_users(known))
    if folds and known.answerable():
        return chosen(folds, None)
    return _NOTHING


def _companion(
    recipes: list[Recipe], questions: tuple[Question, Question], encoder: Encoder, fits: int
) -> Companion:
    action, session = (_fitted(*each, fits) for each in zip(recipes, questions, strict=True))
    names = tuple(feature.name for feature in encoder.extra)
    return Companion(action, recipes[0].share, session, recipes[1].share, names)


def _fitted(recipe: Recipe, known: Question, fits: int) -> Perceptron:
    """Return the model of ``recipe`` on ``known``, the mean of so many perceptrons in it."""
    if not recipe.share:
        return _saying_nothing(known.known.shape[1], 1 if known.classes == 2 else known.classes)
    scale = Scale.of(known.known)
    values = scale.values(known.known)
    some = known.some(_MOST_OF_PLAIN)
    linear = linear_fit(scale.values(some.known), some.truth, known.classes, recipe.penalty)
    perceptron = perceptron_fit(values, known.truth, known.classes, recipe.strength, fits)
    return pooled(scale, linear, perceptron, recipe.perceptron_share / recipe.share)


def chosen(folds: list[tuple[Question, Question]], network: Floats | None) -> Recipe:
    """Return the recipe that says most of the second question of each of ``folds``, fitted on the first one.

    ``network`` are the network's logits [E, outputs] to the only fold; None where it is not to be judged.
    """
    linear, perceptron = [], []
    for learned, judged in folds:
        scale = Scale.of(learned.known)
        values, asked = scale.values(learned.known), scale.values(judged.known)
        some = learned.some(_MOST_OF_PLAIN)
        fits = linear_fits(scale.values(some.known), some.truth, learned.classes)
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


def _logits(model: Perceptron, values: Known) -> Floats:
    """Return the logits [E, classes] of a perceptron alone."""
    hidden: Floats = np.maximum(values @ model.hidden_kernel + model.hidden_bias, 0)
    return _two_sided(hidden @ model.kernel + model.bias)


def _two_sided(logits: Floats) -> Floats:
    """Return logits [E, classes]; of [E, 1], the second of two classes, the first one's are 0."""
    return logits if logits.shape[1] > 1 else np.concatenate([np.zeros_like(logits), logits], axis=1)


def _saying_nothing(width: int, outputs: int) -> Perceptron:
    """Return the model that reads ``width`` numbers and says nothing of them."""
    shapes = ((width, outputs), (width, 0), (0,), (0, outputs), (outputs,))
    return Perceptron(*(np.zeros(shape, np.float32) for shape in shapes))
