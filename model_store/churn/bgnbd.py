"""BG/NBD: buyers that come at a rate of their own until, after some visit, they are gone for good.

Fader, Hardie and Lee 2005, "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model
(Marketing Science 24:275-284). With x repeat visits, the last of them at t_x, and T the time since the first,
the likelihood is their equation 6. The probability of no visit in (T, T + t] follows from the same mixture:
given the rate and the drop-out, a user that is alive stays silent with exp(-rate t), and one that is gone for
sure.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

Floats = npt.NDArray[np.float64]

_LARGEST_LOG: Final = 12.0


class History(NamedTuple):
    """Of each user [U]: the repeat visits x, when the last one was (t_x), and how long it is known (T)."""

    repeats: Floats
    last: Floats
    known: Floats


class BgNbd(NamedTuple):
    """Gamma(r, alpha) visit rates and Beta(a, b) drop-out probabilities."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, history: History) -> Floats:
        """Return the log likelihood [U] of each user (equation 6 of the paper)."""
        alive, gone = self._terms(history, 0.0)
        return np.logaddexp(alive, gone)

    def silent_probability(self, history: History, ahead: float) -> Floats:
        """Return P(no visit in the time ``ahead``) [U], given each user's history."""
        alive, gone = self._terms(history, ahead)
        probability: Floats = np.exp(np.logaddexp(alive, gone) - self.log_likelihood(history))
        return np.minimum(probability, 1.0)

    def _terms(self, history: History, ahead: float) -> tuple[Floats, Floats]:
        """Return the logs [U] of being alive and silent for ``ahead`` more, and of being gone since t_x."""
        r, alpha, a, b = self
        x, last, known = history
        rate = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        alive = rate + betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + known + ahead)
        gone = rate + betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + last)
        return alive, np.where(x > 0, gone, -np.inf)


def fit_bgnbd(history: History) -> BgNbd:
    """Return the maximum of the likelihood over ``history``, found from several starts."""

    def loss(logs: Floats) -> float:
        model = BgNbd(*np.exp(np.clip(logs, -_LARGEST_LOG, _LARGEST_LOG)).tolist())
        return float(-model.log_likelihood(history).mean())

    starts = [np.zeros(4), np.array([-1.0, 1.0, -0.5, 1.0])]
    found = min(
        (minimize(loss, start, method="Nelder-Mead", options={"maxiter": 2_000}) for start in starts),
        key=lambda each: float(each.fun),
    )
    return BgNbd(*np.exp(np.clip(found.x, -_LARGEST_LOG, _LARGEST_LOG)).tolist())
