"""Fitting the probability of a purchase in the session, on what the served network says of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from model_store.evaluating.served import served_steps
from model_store.evaluating.truth import truth_of
from model_store.session_purchase import SessionPurchase, features_of
from model_store.windows import SESSION_GAP_MS

if TYPE_CHECKING:
    from model_store.parts import Part
    from model_store.serving import ServedModel

_STRENGTHS: Final = (0.003, 0.01, 0.03, 0.1, 0.3)
_FOLDS: Final = 3
_MOST_EVENTS: Final = 50_000
_LEAST_OF_EACH: Final = 5

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def fit_session_purchase(model: ServedModel, training: Part) -> SessionPurchase | None:
    """Return the regression of ``model`` on up to 50,000 events of ``training``, whole users.

    None when under five of them are, or are not, followed by a purchase in the session.
    """
    truth = truth_of(training, SESSION_GAP_MS)
    truth = truth.where(truth.session_known)
    table = training.table
    users = np.random.default_rng(0).permutation(np.unique(truth.user))
    events = np.cumsum(np.bincount(table.user)[users]) if len(users) else np.empty(0, np.int64)
    taken = np.isin(table.user, users[: max(int(np.count_nonzero(events <= _MOST_EVENTS)), 1)])
    bought = np.full(len(table), -1)
    bought[truth.event] = truth.bought
    bought, table = bought[taken], table.where(taken)
    features, flags, of_user = [], [], []
    for step in served_steps(model, table):
        known = np.flatnonzero(bought[step.events] >= 0)
        if step.heads.next_action is None:
            return None
        features.append(features_of(step.heads.next_action, step.inputs)[known])
        flags.append(bought[step.events][known] == 1)
        of_user.append(table.user[step.events][known])
    if not features:
        return None
    return _fitted(np.concatenate(features), np.concatenate(flags), np.concatenate(of_user))


def _fitted(features: Floats, bought: Flags, user: Ints) -> SessionPurchase | None:
    """Return the regression of the penalty that says most of users that it was not fitted on."""
    if min(np.count_nonzero(bought), np.count_nonzero(~bought)) < _LEAST_OF_EACH:
        return None
    values = features.astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation[deviation < 1e-6] = np.inf  # says nothing, so its weight is 0
    values = (values - mean) / deviation
    best = min(_STRENGTHS, key=lambda strength: _loss(strength, values, bought, user % _FOLDS))
    regression = _regression(best, values, bought)
    kernel = regression.coef_[0] / deviation
    return SessionPurchase(kernel.astype(np.float32), float(regression.intercept_[0] - kernel @ mean))


def _loss(strength: float, values: npt.NDArray[np.float64], bought: Flags, fold: Ints) -> float:
    """Return the summed log loss on each fold of users of a regression on the others."""
    total = 0.0
    for each in range(_FOLDS):
        learned = fold != each
        if len(np.unique(bought[learned])) == 2:
            logit = _regression(strength, values[learned], bought[learned]).decision_function(
                values[~learned]
            )
            total += float(np.logaddexp(0.0, np.where(bought[~learned], -logit, logit)).sum())
    return total


def _regression(strength: float, values: npt.NDArray[np.float64], bought: Flags) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(values, bought)
