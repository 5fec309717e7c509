"""Fitting the correction of the hazard: a plain hazard of how often a user comes, and how far to trust it.

1. A logistic hazard of the visit statistics is fitted on the fitting part of the log.
2. On the validation part, which neither it nor the searched network has learned, the share of the network's
   logit against the plain hazard's is chosen, from 0 to 1, by the likelihood (stacking; Wolpert 1992). Only
   the share: a level or a slope fitted on a short part would reach out to silences that it has not seen.
3. The plain hazard is fitted anew on the whole training part, as the network is.

What the corrected hazard is worth is measured on the validation part, with the plain hazard of the first
step: only the share has seen that part. Bins that end within a session are the network's alone, and
so are bins that hardly any silence reached.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from model_store.churn.correction import ChurnCorrection, logit
from model_store.churn.cutoffs import ChurnScores, churn_scores, cutoff_rows
from model_store.churn.person_periods import person_periods
from model_store.churn.plain_hazard import (
    PlainHazard,
    enough,
    first_bin_between_visits,
    fit_plain_hazard,
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
_CUTOFFS: Final = 5


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
    share = None
    if plain is not None and final is not None:
        share = _share(hazard, plain, validation, edges_ms, window_size)
    if plain is None or final is None or share is None:
        return FittedChurn(None, scores)
    everything = np.arange(len(validation.table))
    visits = visits_of(validation.table, everything, window_size)
    corrected = _correction(share, plain)(hazard, visits)
    scores["corrected"] = _scores(survival, corrected, validation)
    return FittedChurn(_correction(share, final), scores)


def _correction(share: float, plain: PlainHazard) -> ChurnCorrection:
    return ChurnCorrection(
        scale=np.where(plain.covered, share, 1.0),
        kernel=(1 - share) * plain.kernel,
        bias=(1 - share) * plain.bias,
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


def _share(
    hazard: npt.NDArray[np.float32],
    plain: PlainHazard,
    validation: Part,
    edges_ms: Sequence[int],
    window_size: int,
) -> float | None:
    """Return the share of the network's logit that the validation part asks for.

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
    sign = np.where(rows.event, -1.0, 1.0)

    def loss(share: float) -> float:
        return float(np.logaddexp(0, sign * (share * of_network + (1 - share) * of_plain)).sum())

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)


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
