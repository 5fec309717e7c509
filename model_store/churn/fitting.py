"""Fitting the correction of the hazard: a plain hazard of how often a user comes, and how far to trust it.

1. A logistic hazard of the visit statistics is fitted on the fitting part of the log.
2. On the validation part, which neither it nor the searched network has learned, the share of the network's
   logit against the plain hazard's is chosen, from 0 to 1 (stacking; Wolpert 1992): by the log loss of churn
   at cut-offs of that part, so by what is promised, and not by the many short silences of a log. It is the
   least share within one standard error of the best: a short part is one moment of a shop, and its best share
   may make up for a level of that moment. A level or a slope of its own would do so even more, and reach out
   to silences that the part has not seen.
3. The plain hazard is fitted anew on the whole training part, as the network is.

What the corrected hazard is worth is measured at the same cut-offs, with the plain hazard of the first step:
only the share has seen them. Bins that end within a session are the network's alone, and so are bins that
hardly any silence reached.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.churn.correction import ChurnCorrection
from model_store.churn.cutoffs import DAY_MS, ChurnScores, CutoffRows, churn_scores, cutoff_rows
from model_store.churn.plain_hazard import (
    LEAST_OF_EACH,
    PlainHazard,
    fit_plain_hazard,
    visits_of,
)
from model_store.evaluating.served import served_steps
from model_store.parts import sampled_by_user
from model_store.sequences import known_until_ms
from model_store.training_settings import CHURN_HORIZONS_MS

if TYPE_CHECKING:
    from model_store.parts import Part
    from model_store.sequences import EventTable
    from model_store.serving import ServedModel
    from model_store.survival import Survival

MOST_SERVED_EVENTS: Final = 40_000
_CUTOFFS: Final = 5
_LEAST: Final = 1e-6
_SHARES: Final = np.linspace(0.0, 1.0, 41)


class FittedChurn(NamedTuple):
    """The correction, None where the log has too few silences to tell anything, and what it is worth.

    ``scores`` are those of the network alone and of the corrected one, None where nothing can be measured.
    """

    correction: ChurnCorrection | None
    scores: dict[str, ChurnScores | None]


def fit_churn(searched: ServedModel, fitting: Part, validation: Part, whole: Part) -> FittedChurn | None:
    """Return the correction for the network of ``searched``, which has learned ``fitting`` alone.

    None where it says nothing of churn, or the validation part has nobody to ask about.
    """
    survival, validation = searched.survival, _with_few_events(validation)
    if survival is None or not validation.scored.any():
        return None
    hazard = _served_hazard(searched, validation.table)
    if hazard is None:
        return None
    asked = _asked(survival, validation)
    scores = {"network": None if asked is None else asked.scores(hazard[asked.rows.event])}
    edges_ms, window_size = survival.edges_ms, searched.window_size
    plain = fit_plain_hazard(fitting, edges_ms, window_size)
    final = fit_plain_hazard(whole, edges_ms, window_size)
    if asked is None or not asked.enough() or plain is None or final is None:
        return FittedChurn(None, scores)
    visits = visits_of(validation.table, asked.rows.event, window_size)
    told = hazard[asked.rows.event]
    losses = np.stack([asked.log_losses(_correction(each, plain)(told, visits)) for each in _SHARES])
    share = least_within_an_error(losses, asked.rows.user, _SHARES)
    scores["corrected"] = asked.scores(_correction(share, plain)(told, visits))
    return FittedChurn(_correction(share, final), scores)


class _Asked(NamedTuple):
    """The cut-offs of the validation part, and the horizon that is asked for there."""

    survival: Survival
    rows: CutoffRows
    horizon_ms: int

    def probability(self, hazard: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return P(no event in the horizon) [R], of the hazard [R, bins] behind each row's event."""
        return self.survival.churn_probability(hazard, self.rows.silent_ms, self.horizon_ms)

    def log_losses(self, hazard: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the log loss of each row [R], in nats."""
        probability = np.clip(self.probability(hazard), _LEAST, 1 - _LEAST)
        return -np.log(np.where(self.rows.churned, probability, 1 - probability))

    def scores(self, hazard: npt.NDArray[np.float32]) -> ChurnScores | None:
        """Return the measures at the cut-offs."""
        return churn_scores(self.probability(hazard), self.rows, self.horizon_ms)

    def enough(self) -> bool:
        """Tell whether enough users stayed away, and enough came, to choose a share by."""
        away = int(np.count_nonzero(self.rows.churned))
        return min(away, len(self.rows.churned) - away) >= LEAST_OF_EACH


def least_within_an_error(
    losses: npt.NDArray[np.float64], user: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> float:
    """Return the least of the ascending ``shares`` [S] at most one standard error worse than the best.

    ``losses`` are [S, R], ``user`` [R] tells whose a row is. The error is that of the mean difference to the
    best share, over users (Breiman, Friedman, Olshen and Stone 1984, section 3.4.3).
    """
    worse = losses - losses[losses.mean(axis=1).argmin()]
    users, place = np.unique(user, return_inverse=True)
    of_user = np.stack([np.bincount(place, each, len(users)) for each in worse])
    error = of_user.std(axis=1) * np.sqrt(len(users))
    return float(shares[(of_user.sum(axis=1) <= error).argmax()])


def _asked(survival: Survival, validation: Part) -> _Asked | None:
    """Return daily cut-offs, or five of a shorter time, at the longest horizon that fits into the part."""
    table = validation.table
    begins_ms = int(table.times_ms[validation.scored].min())
    ends_ms = known_until_ms(table, validation.until_ms)
    longest_ms = min(survival.horizon_ms, ends_ms - begins_ms)
    horizon_ms = max((each for each in CHURN_HORIZONS_MS if each <= longest_ms), default=0)
    if not horizon_ms or validation.until_ms is None:
        return None
    step_ms = min(DAY_MS, max((ends_ms - horizon_ms - begins_ms) // _CUTOFFS, 1))
    cutoffs_ms = np.arange(begins_ms, ends_ms - horizon_ms + 1, step_ms)
    return _Asked(survival, cutoff_rows(table, cutoffs_ms, horizon_ms), horizon_ms)


def _correction(share: float, plain: PlainHazard) -> ChurnCorrection:
    return ChurnCorrection(
        scale=np.where(plain.covered, share, 1.0),
        kernel=(1 - share) * plain.kernel,
        bias=(1 - share) * plain.bias,
    )


def _with_few_events(part: Part) -> Part:
    """Return ``part`` with so few of its users that `MOST_SERVED_EVENTS` hold all their events."""
    scored = part.scored
    everything = replace(part, scored=np.ones(len(part.table), bool))
    few = sampled_by_user(everything, MOST_SERVED_EVENTS)
    if len(few.table) == len(part.table):
        return part
    kept = np.isin(part.table.user, np.unique(few.table.user))
    return replace(few, scored=scored[kept])


def _served_hazard(model: ServedModel, table: EventTable) -> npt.NDArray[np.float32] | None:
    hazard = np.empty((len(table), len(model.specification.hazard_edges_ms)), np.float32)
    for step in served_steps(model, table):
        if step.heads.hazard is None:
            return None
        hazard[step.events] = step.heads.hazard
    return hazard
