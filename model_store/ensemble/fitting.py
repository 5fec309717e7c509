"""The weights of an ensemble: a softmax regression over the candidates of each event."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from model_store.ensemble.candidates import Candidates
from model_store.ensemble.sparse import Ints

_PENALTY: Final = 1e-4
_MOST_STEPS: Final = 80
_FAR_BELOW: Final = np.float32(-1e9)

Weights = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


class Asked(NamedTuple):
    """Events whose next item is known: their candidates, and the place of the true one, -1 if it is none."""

    items: Ints
    features: Floats
    true: Ints
    user: Ints

    def where(self, chosen: npt.NDArray[np.bool_]) -> Asked:
        """Return the events at ``chosen``."""
        return Asked(self.items[chosen], self.features[chosen], self.true[chosen], self.user[chosen])

    def ranks(self, scores: npt.NDArray[np.floating]) -> Ints:
        """Return where, from 1, ``scores`` [Q, C] rank the true items; 0 for one that is no candidate."""
        totals = np.where(self.items != 0, scores, _FAR_BELOW)
        true = np.take_along_axis(totals, np.maximum(self.true, 0)[:, None], axis=1)
        ranks: Ints = np.where(self.true >= 0, (totals > true).sum(axis=1) + 1, 0)
        return ranks


def asked_of(made: list[Candidates], true_items: list[Ints], user: list[Ints]) -> Asked:
    """Return the events of some batches together; ``true_items`` are named as the candidates are."""
    width = max(each.items.shape[1] for each in made)
    items = np.concatenate([_widened(each.items, width) for each in made])
    features = np.concatenate([_widened(each.features, width) for each in made])
    hits = (items == np.concatenate(true_items)[:, None]) & (items != 0)
    return Asked(items, features, np.where(hits.any(axis=1), hits.argmax(axis=1), -1), np.concatenate(user))


def fit_weights(asked: Asked, networks: int) -> Weights:
    """Return the weights [F] that make the true items likeliest, a small penalty on each.

    An event whose true item is no candidate teaches nothing; without any other, the networks count alike.
    """
    start = np.zeros(asked.features.shape[2])
    start[:networks] = 1.0 / networks
    known = asked.where(asked.true >= 0)
    if not len(known.true):
        return start
    present = known.items != 0
    spread = known.features[present].std(axis=0).astype(np.float64) + 1e-6
    truth = np.take_along_axis(known.features, known.true[:, None, None], axis=1)[:, 0]

    def loss(scaled: Weights) -> tuple[float, Weights]:
        weights = (scaled / spread).astype(np.float32)
        totals = np.where(present, known.features @ weights, _FAR_BELOW)
        totals -= totals.max(axis=1, keepdims=True)
        shares = np.exp(totals)
        sums = shares.sum(axis=1, keepdims=True)
        shares /= sums
        likelihood = np.take_along_axis(totals, known.true[:, None], axis=1) - np.log(sums)
        expected = np.einsum("qc,qcf->qf", shares, known.features)
        slope = (expected - truth).mean(axis=0, dtype=np.float64) / spread
        return float(-likelihood.mean() + _PENALTY * scaled @ scaled), slope + 2 * _PENALTY * scaled

    found = minimize(loss, start * spread, jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS})
    weights: Weights = found.x / spread
    return weights


def crossed_scores(asked: Asked, networks: int) -> npt.NDArray[np.float64]:
    """Return the scores [Q, C] by weights that were fitted on the other half of the users."""
    scores = np.zeros(asked.items.shape)
    for half in (0, 1):
        held = asked.user % 2 == half
        if held.any():
            scores[held] = asked.features[held] @ fit_weights(asked.where(~held), networks)
    return scores


def _widened(values: npt.NDArray[np.generic], width: int) -> npt.NDArray[np.generic]:
    missing = [(0, 0), (0, width - values.shape[1]), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, missing)
