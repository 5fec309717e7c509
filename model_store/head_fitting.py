"""The heads of the next action and of the hazard, fitted alone over what a trained network knows.

A network that has met a small log many times knows its events by heart, and says too much about others. Over
numbers that are given, both heads are linear models with one best answer: multinomial logistic regression,
and the discrete-time hazard's logistic regression (Tutz and Schmid 2016, "Modeling Discrete Time-to-Event
Data", ch. 3), each with a ridge penalty on the kernel and none on the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

_STOPPING: Final = {"maxiter": 200, "ftol": 1e-9, "gtol": 1e-6}

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

    def __call__(self, known: Floats) -> Floats:
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

    def losses(self, logits: Floats) -> Floats:
        """Return the cross-entropy of each event [E], in nats."""
        losses: Floats = -log_softmax(logits, axis=1)[np.arange(len(logits)), self.action]
        return losses

    def slope(self, logits: Floats) -> Floats:
        """Return the losses' derivatives by the logits [E, A]."""
        slope: Floats = np.exp(log_softmax(logits, axis=1))
        slope[np.arange(len(logits)), self.action] -= 1.0
        return slope

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

    def start(self) -> Floats:
        """Return the bias [K] of the hazard without any knowledge, as if one more had half ended in each."""
        bias: Floats = np.log((self.ended.sum(axis=0) + 0.5) / (self.lasted.sum(axis=0) + 0.5))
        return bias


Truth = ActionTruth | SilenceTruth


def start_of(truth: Truth, numbers: int) -> Affine:
    """Return the head that reads none of ``numbers`` and says what ``truth`` says on the whole."""
    return Affine(np.zeros((numbers, truth.outputs)), truth.start())


def fitted(known: Floats, truth: Truth, penalty: Penalty, units: int, start: Affine) -> Affine:
    """Return the head of least penalised loss on ``known`` [E, N], its first ``units`` the hidden vector.

    ``start`` is where the search starts; it changes how long it takes.
    """
    numbers = known.shape[1]
    hidden = np.arange(numbers) < units
    read = np.ones(numbers, bool) if penalty.hidden is not None else ~hidden
    ridge = np.where(hidden, penalty.hidden or 0.0, penalty.direct)[read, None]
    seen = known[:, read]
    shape = (int(read.sum()) + 1, truth.outputs)

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        logits = seen @ weights[:-1] + weights[-1]
        slope = truth.slope(logits)
        loss = truth.losses(logits).sum() + 0.5 * (ridge * weights[:-1] ** 2).sum()
        gradient = np.vstack([seen.T @ slope + ridge * weights[:-1], slope.sum(axis=0)])
        return float(loss) / len(seen), gradient.reshape(-1) / len(seen)

    first = np.vstack([start.kernel[read], start.bias]).reshape(-1)
    weights = _least(objective, first).reshape(shape)
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
