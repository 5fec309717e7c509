"""Fitting the correction of the hazard: a plain hazard of how often a user comes, and how far to trust it.

1. A logistic hazard of the visit statistics is fitted on the fitting part of the log.
2. On the validation part, which neither it nor the searched network has learned, a logistic regression of
   both logits weighs them: the network's scale, the plain hazard's, a level, and a slope over the silence.
   With a ridge towards an even share of both (stacking; Wolpert 1992).
3. The plain hazard is fitted anew on the whole training part, as the network is.

What the corrected hazard is worth is measured on the validation part, with the plain hazard of the first
step: only its four weights have seen that part. Bins that end within a session are the network's alone, and
so are bins that hardly any silence reached.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from model_store.churn.correction import ChurnCorrection, logit
from model_store.churn.cutoffs import ChurnScores, churn_scores, cutoff_rows
from model_store.churn.person_periods import person_periods
from model_store.churn.plain_hazard import (
    PlainHazard,
    enough,
    first_bin_between_visits,
    fit_plain_hazard,
    log_days,
    visits_of,
)
from model_store.evaluating.served import served_steps
from model_store.parts import sampled_by_user
from model_store.sequences import known_until_ms, labels_of
from model_store.training_settings import CHURN_HORIZONS_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_store.parts import Part
    from model_store.sequences import EventTable
    from model_store.serving import ServedModel
    from model_store.survival import Survival

MOST_SERVED_EVENTS: Final = 40_000
_RIDGE: Final = 5.0
_CUTOFFS: Final = 5
_EVEN: Final = np.array([0.0, 0.0, 0.5, 0.5])

Floats = npt.NDArray[np.float64]


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
    edges_ms, window_size = survival.edges_ms, searched.window_size
    plain = fit_plain_hazard(fitting, edges_ms, window_size)
    final = fit_plain_hazard(whole, edges_ms, window_size)
    scores = {"network": _scores(survival, hazard, validation)}
    weights = None
    if plain is not None and final is not None:
        weights = _weights(hazard, plain, validation, edges_ms, window_size)
    if plain is None or final is None or weights is None:
        return FittedChurn(None, scores)
    everything = np.arange(len(validation.table))
    visits = visits_of(validation.table, everything, window_size)
    corrected = _correction(weights, plain, edges_ms)(hazard, visits)
    scores["corrected"] = _scores(survival, corrected, validation)
    return FittedChurn(_correction(weights, final, edges_ms), scores)


def _correction(weights: Floats, plain: PlainHazard, edges_ms: Sequence[int]) -> ChurnCorrection:
    level, slope, of_network, of_plain = weights.tolist()
    shift = of_plain * plain.bias + level + slope * log_days(edges_ms)
    return ChurnCorrection(
        scale=np.where(plain.covered, of_network, 1.0),
        kernel=of_plain * plain.kernel,
        bias=np.where(plain.covered, shift, 0.0),
    )


def _scores(survival: Survival, hazard: npt.NDArray[np.float32], validation: Part) -> ChurnScores | None:
    """Return the measures at up to five cut-offs of the validation part, at a horizon that fits into it."""
    table = validation.table
    begins_ms = int(table.times_ms[validation.scored].min())
    ends_ms = known_until_ms(table, validation.until_ms)
    horizon_ms = min(survival.horizon_ms, (ends_ms - begins_ms) // 2)
    horizon_ms = max((each for each in CHURN_HORIZONS_MS if each <= horizon_ms), default=0)
    if not horizon_ms or validation.until_ms is None:
        return None
    cutoffs_ms = np.unique(np.linspace(begins_ms, ends_ms - horizon_ms, _CUTOFFS).astype(np.int64))
    rows = cutoff_rows(table, cutoffs_ms, horizon_ms)
    probability = survival.churn_probability(hazard[rows.event], rows.silent_ms, horizon_ms)
    return churn_scores(probability, rows, horizon_ms)


def _weights(
    hazard: npt.NDArray[np.float32],
    plain: PlainHazard,
    validation: Part,
    edges_ms: Sequence[int],
    window_size: int,
) -> Floats | None:
    """Return the level, the slope, the network's scale and the plain hazard's, from the validation part.

    A silence that began before the part counts from where the part begins.
    """
    table = validation.table
    begins_ms = int(table.times_ms[validation.scored].min())
    labels = labels_of(table, validation.until_ms)
    seen_from_ms = np.maximum(begins_ms - table.times_ms, 0)
    first_bin = first_bin_between_visits(edges_ms)
    rows = person_periods(labels.gap_ms, labels.returned, edges_ms, first_bin, seen_from_ms)
    rows = rows.where(plain.covered[rows.bin])
    if not enough(rows):
        return None
    silences, place = np.unique(rows.silence, return_inverse=True)
    of_plain = plain.logits(visits_of(table, silences, window_size))[place, rows.bin]
    of_network = logit(hazard[rows.silence, rows.bin])
    ones = np.ones(len(rows.bin))
    columns = np.stack([ones, log_days(edges_ms)[rows.bin], of_network, of_plain], axis=1)
    return _ridge_logistic(columns, rows.event)


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


def _ridge_logistic(columns: Floats, event: npt.NDArray[np.bool_]) -> Floats:
    """Return the weights of ``columns`` [R, 4] with a ridge towards `_EVEN`, never below 0 for a logit's."""
    sign = np.where(event, -1.0, 1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (columns @ weights)
        off = weights - _EVEN
        slope = columns.T @ (sign * (0.5 * np.tanh(0.5 * margin) + 0.5))
        return float(np.logaddexp(0, margin).sum() + _RIDGE * off @ off), slope + 2 * _RIDGE * off

    bounds = [(None, None), (None, None), (0, None), (0, None)]
    found: Floats = minimize(loss, _EVEN, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found
