"""The heads of the next action and of the hazard, fitted alone over what a trained network knows.

A network that has met a small log many times knows its events by heart, and says too much about others. Over
numbers that are given, both heads are linear models with one best answer: multinomial logistic regression,
and the discrete-time hazard's logistic regression (Tutz and Schmid 2016, "Modeling Discrete Time-to-Event
Data", ch. 3), each with a ridge penalty on the kernel and none on the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

_STOPPING: Final = {"maxiter": 200, "ftol": 1e-9, "gtol": 1e-6}
_LEAST_RIDGE: Final = 1e-3  # of the bias, which has none, where directions are chosen

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


class Penalty(NamedTuple):
    """The ridge penalties of a fit beside a sum of losses in nats: on what reads the hidden vector,
    and on the rest.

    ``hidden`` None leaves the hidden vector out.
    """

    hidden: float | None
    direct: float


class Affine(NamedTuple):
    """A head: ``kernel`` [numbers read, outputs] and ``bias`` [outputs]."""

    kernel: Floats
    bias: Floats

    def __call__(self, known: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return the logits [E, outputs] of ``known`` [E, numbers read]."""
        logits: Floats = known @ self.kernel + self.bias
        return logits


class ActionTruth(NamedTuple):
    """The next actions that happened, [E], each below ``actions``."""

    action: Ints
    actions: int

    @property
    def outputs(self) -> int:
        """How many logits a head has."""
        return self.actions

    def where(self, kept: npt.NDArray[np.bool_]) -> ActionTruth:
        """Return the truth of the events in ``kept`` [E]."""
        return self._replace(action=self.action[kept])

    def losses(self, logits: Floats) -> Floats:
        """Return the cross-entropy of each event [E], in nats."""
        losses: Floats = -log_softmax(logits, axis=1)[np.arange(len(logits)), self.action]
        return losses

    def slope(self, logits: Floats) -> Floats:
        """Return the losses' derivatives by the logits [E, A]."""
        slope: Floats = np.exp(log_softmax(logits, axis=1))
        slope[np.arange(len(logits)), self.action] -= 1.0
        return slope

    def curvature(self, logits: Floats) -> Floats:
        """Return the mean of the losses' second derivatives by each logit [A]."""
        said: Floats = np.exp(log_softmax(logits, axis=1))
        curvature: Floats = (said * (1 - said)).mean(axis=0)
        return curvature

    def start(self) -> Floats:
        """Return the bias [A] that says each action's share, none of them impossible."""
        counts = np.bincount(self.action, minlength=self.actions) + 1.0
        bias: Floats = np.log(counts / counts.sum())
        return bias


class SilenceTruth(NamedTuple):
    """In which bins [E, K] silences ``ended`` with an event, and how much of each they ``lasted`` through."""

    ended: Floats
    lasted: Floats

    @classmethod
    def of(
        cls,
        bins: Ints,
        survived: npt.NDArray[np.float32],
        returned: npt.NDArray[np.float32],
        count: int,
    ) -> SilenceTruth:
        """Return the truth of `losses.HazardLabels` [E] in ``count`` bins, ``returned`` 1 where one ended."""
        here = np.arange(count) == bins[:, None]
        before = np.arange(count) < bins[:, None]
        return cls(here * returned[:, None].astype(float), before + here * survived[:, None].astype(float))

    @property
    def outputs(self) -> int:
        """How many logits a head has."""
        return int(self.ended.shape[1])

    def where(self, kept: npt.NDArray[np.bool_]) -> SilenceTruth:
        """Return the truth of the silences in ``kept`` [E]."""
        return SilenceTruth(self.ended[kept], self.lasted[kept])

    def losses(self, logits: Floats) -> Floats:
        """Return the negative log likelihood of each silence [E], in nats; see `losses.mean_hazard_loss`."""
        # log(1 + exp(x)) in two quick steps, which np.logaddexp takes three times as long for
        softplus = np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0)
        summed: Floats = ((self.ended + self.lasted) * softplus - self.ended * logits).sum(axis=1)
        return summed

    def slope(self, logits: Floats) -> Floats:
        """Return the losses' derivatives by the logits [E, K]."""
        hazard = expit(logits)
        slope: Floats = self.lasted * hazard - self.ended * (1 - hazard)
        return slope

    def curvature(self, logits: Floats) -> Floats:
        """Return the mean of the losses' second derivatives by each logit [K]."""
        hazard = expit(logits)
        curvature: Floats = ((self.lasted + self.ended) * hazard * (1 - hazard)).mean(axis=0)
        return curvature

    def start(self) -> Floats:
        """Return the bias [K] of the hazard without any knowledge, as if one more had half ended in each."""
        bias: Floats = np.log((self.ended.sum(axis=0) + 0.5) / (self.lasted.sum(axis=0) + 0.5))
        return bias


Truth = ActionTruth | SilenceTruth


def start_of(truth: Truth, numbers: int) -> Affine:
    """Return the head that reads none of ``numbers`` and says what ``truth`` says on the whole."""
    return Affine(np.zeros((numbers, truth.outputs)), truth.start())


class _Directions(NamedTuple):
    """Steps [N, K] for the weights of N numbers, along which the penalised loss is about equally curved.

    L-BFGS knows nothing of the curvature at first; with it, it is soon done. ``along`` [N, N] are the
    directions, ``length`` [N, K] how far a step of 1 goes. A loss of curvature c over the numbers X has about
    the Hessian c X'X, so one decomposition serves all K outputs.
    """

    along: Floats
    length: Floats

    @classmethod
    def of(cls, seen: Floats, ridge: Floats, curvature: Floats) -> _Directions:
        """Return those for the numbers ``seen`` [E, N], penalties [N] and the outputs' ``curvature`` [K]."""
        root = 1 / np.sqrt(np.maximum(ridge, _LEAST_RIDGE))
        squared, turned = eigh(seen.T @ seen * np.outer(root, root))
        along: Floats = root[:, None] * turned
        return cls(along, 1 / np.sqrt(1 + np.maximum(squared, 0.0)[:, None] * curvature))

    def weights(self, steps: Floats) -> Floats:
        """Return by how much the weights [N, K] change."""
        changes: Floats = self.along @ (self.length * steps)
        return changes

    def gradient(self, by_weights: Floats) -> Floats:
        """Return the derivatives by the steps [N, K]."""
        by_steps: Floats = self.length * (self.along.T @ by_weights)
        return by_steps


def fitted(known: Floats, truth: Truth, penalty: Penalty, units: int, start: Affine) -> Affine:
    """Return the head of least penalised loss on ``known`` [E, N], its first ``units`` the hidden vector.

    ``start`` is where the search starts; it changes how long it takes.
    """
    numbers = known.shape[1]
    hidden = np.arange(numbers) < units
    read = np.ones(numbers, bool) if penalty.hidden is not None else ~hidden
    ridge = np.append(np.where(hidden, penalty.hidden or 0.0, penalty.direct)[read], 0.0)
    seen = np.column_stack([known[:, read], np.ones(len(known))])
    first = np.vstack([start.kernel[read], start.bias])
    directions = _Directions.of(seen, ridge, truth.curvature(seen @ first))

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights = first + directions.weights(flat.reshape(first.shape))
        logits = seen @ weights
        penalised = ridge[:, None] * weights
        loss = truth.losses(logits).sum() + 0.5 * (penalised * weights).sum()
        gradient = directions.gradient(seen.T @ truth.slope(logits) + penalised)
        return float(loss) / len(seen), gradient.reshape(-1) / len(seen)

    weights = first + directions.weights(_least(objective, np.zeros(first.size)).reshape(first.shape))
    kernel = np.zeros((numbers, truth.outputs))
    kernel[read] = weights[:-1]
    return Affine(kernel, weights[-1])


def first_clearly_better(losses: list[Floats], window: npt.NDArray[np.int64]) -> int:
    """Return the place of one of some predictors, the plainest first, by their losses [E] on the same events.

    A later one is taken only when its mean loss is lower than that of the one taken so far by more than one
    standard error of their difference: few events cannot tell a rich model from a lucky one. Events of one
    ``window`` [E] resemble one another, so the error is that of independent windows.
    """
    chosen = 0
    for place in range(1, len(losses)):
        gain = losses[chosen] - losses[place]
        if not len(gain):
            continue
        of_windows = np.bincount(window, gain - gain.mean())
        if gain.sum() > (of_windows**2).sum() ** 0.5:
            chosen = place
    return chosen


def _least(objective: Callable[[Floats], tuple[float, Floats]], first: Floats) -> Floats:
    found = minimize(objective, first, jac=True, method="L-BFGS-B", options=_STOPPING)
    least: Floats = found.x
    return least
