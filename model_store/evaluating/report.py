"""The whole evaluation of a served model and of plain predictors, on the same rows of a log cut in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.baselines.sequential import standard_baselines
from model_store.evaluating.actions import ActionMeasures, action_measures
from model_store.evaluating.answers import (
    CLASSIFIERS,
    Answers,
    Asked,
    FeaturePredictor,
    FeatureTable,
    KnnPredictor,
    SequentialPredictor,
)
from model_store.evaluating.bootstrap import (
    Interval,
    Weighted,
    WeightedCurve,
    intervals,
    weighted_macro_f1,
    weighted_mean,
)
from model_store.evaluating.decision import DecisionRule
from model_store.evaluating.model_answers import model_answers
from model_store.evaluating.probabilities import (
    PrecisionRecallCurve,
    ProbabilityMeasures,
    ReliabilityCurve,
    pr_curve,
    probability_measures,
    reliability_curve,
)
from model_store.evaluating.ranking import DEPTH, RankingMeasures, ranking_measures
from model_store.evaluating.slices import SliceMeasures, slice_measures, slices_of
from model_store.evaluating.survival_curves import SurvivalCurves, survival_curves
from model_store.evaluating.truth import BROWSES, PURCHASE, EvaluationParts, truth_of
from model_store.metrics import ranks_of
from model_store.specification import ACTION_NAMES
from model_store.windows import row_items

if TYPE_CHECKING:
    from model_store.serving import ServedModel

OURS: Final = "ours"
MOST_ITEM_ROWS: Final = 20_000
LEAST_DECISION_ROWS: Final = 500

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Stage = Callable[[str], Callable[[float], None]]


class PredictorReport(msgspec.Struct, frozen=True):
    """What one predictor is worth; None for what it does not predict, or where nothing could be measured.

    ``purchase_next`` is of a purchase as the next event, ``purchase_in_session`` of one later in the session,
    ``next_browse`` of a view or a search as the next event. ``intervals`` are by users, 95 per cent, of
    the measures whose names they bear.
    """

    next_action: ActionMeasures | None
    purchase_next: ProbabilityMeasures | None
    purchase_in_session: ProbabilityMeasures | None
    next_browse: ProbabilityMeasures | None
    next_items: RankingMeasures | None
    intervals: dict[str, Interval | None]
    reliability: dict[str, ReliabilityCurve]
    pr_curves: dict[str, PrecisionRecallCurve]
    slices: dict[str, SliceMeasures]


class EvaluationReport(msgspec.Struct, frozen=True):
    """The rows, and each predictor's report; the served model's stands under `OURS`."""

    training_events: int
    validation_rows: int
    rows: int
    users: int
    item_rows: int
    settling_ms: int
    decisions_fitted_on: str
    predictors: dict[str, PredictorReport]
    survival: SurvivalCurves | None


class Evaluation:
    """One log, in parts, and what truly followed; each predictor answers the same rows of it.

    ``test`` are the rows that are measured. How to bet is fitted on ``decisions``: the validation rows, and
    the training rows too where those are under `LEAST_DECISION_ROWS`.
    """

    def __init__(self, parts: EvaluationParts, *, window_size: int, daily: bool, seed: int = 0) -> None:
        """Take the parts. ``daily`` says whether plain features may name the hour; see `plain_features`."""
        self.parts = parts
        self.daily = daily
        self.training, self.validation, test, known = (
            truth_of(part, parts.settling_ms)
            for part in (parts.training, parts.validation, parts.test, parts.known)
        )
        self.few = len(self.validation) < LEAST_DECISION_ROWS
        with_item = np.flatnonzero(test.next_item != 0)
        drawn = np.random.default_rng(seed).permutation(len(with_item))[:MOST_ITEM_ROWS]
        self.test = Asked(parts.test, test, with_item[np.sort(drawn)])
        none = np.empty(0, np.int64)
        self.decisions = (
            Asked(parts.known, known, none) if self.few else Asked(parts.validation, self.validation, none)
        )
        items = row_items(parts.training.table.rows)
        self._catalogue, counts = np.unique(items[items != 0], return_counts=True)
        self._counts = counts.astype(np.float64)
        self._slices = slices_of(parts.test, test, parts.training, self._catalogue, self._counts, window_size)

    def report(
        self,
        model: ServedModel | None,
        stage: Stage,
        extra: Mapping[str, Callable[[Asked], Answers]] | None = None,
    ) -> EvaluationReport:
        """Return the report of ``model``, of the plain predictors, and of the ``extra`` ones.

        ``stage`` is told the name of what begins, and gives what is to be told the share that is done.
        """
        reports: dict[str, PredictorReport] = {}
        survival = None
        if model is not None:
            before = model_answers(model, self.decisions, stage(f"{OURS}, to fit its bets")).answers
            said = model_answers(model, self.test, stage(OURS))
            reports[OURS] = self._measured(said.answers, before)
            survival = survival_curves(model, said, self.parts.test, self.test.truth)
        for name in standard_baselines(len(ACTION_NAMES)):
            sequential, begun = SequentialPredictor(name, self.parts.training, self.training), stage(name)
            before = sequential.answer(self.decisions, begun)
            reports[name] = self._measured(sequential.answer(self.test, begun), before)
        reports |= self._by_features(stage)
        nearest = KnnPredictor(self.parts.training).answer(self.test, stage("session_knn"))
        reports["session_knn"] = self._measured(nearest, Answers())
        for name, answer in (extra or {}).items():
            reports[name] = self._measured(answer(self.test), answer(self.decisions))
        return EvaluationReport(
            training_events=len(self.parts.training.table),
            validation_rows=len(self.validation),
            rows=len(self.test.truth),
            users=len(np.unique(self.test.truth.user)),
            item_rows=len(self.test.with_items),
            settling_ms=self.parts.settling_ms,
            decisions_fitted_on="training and validation" if self.few else "validation",
            predictors=reports,
            survival=survival,
        )

    def _by_features(self, stage: Stage) -> dict[str, PredictorReport]:
        if not len(self.training):
            return {}
        training, validation, decisions, test = (
            FeatureTable.of(part, truth, daily=self.daily)
            for part, truth in (
                (self.parts.training, self.training),
                (self.parts.validation, self.validation),
                (self.decisions.part, self.decisions.truth),
                (self.test.part, self.test.truth),
            )
        )
        reports = {}
        for name in CLASSIFIERS:
            begun = stage(name)
            predictor = FeaturePredictor(name, training, validation)
            begun(0.9)
            reports[name] = self._measured(predictor.answer(test), predictor.answer(decisions))
            begun(1.0)
        return reports

    def _measured(self, answers: Answers, before: Answers) -> PredictorReport:
        """Return the report of ``answers`` to the test rows; bets are fitted on those ``before``."""
        truth, said = self.test.truth, answers.next_action
        known = truth.session_known
        claims: dict[str, tuple[Floats, npt.NDArray[np.bool_], Ints]] = {}
        resampled: dict[str, Weighted] = {}
        decided = actions = ranks = items = None
        if said is not None and before.next_action is not None:
            rule = DecisionRule.fit(before.next_action, self.decisions.truth.next_action)
            decided = rule.decide(said)
            actions = action_measures(said, decided, truth.next_action, ACTION_NAMES)
            claims["purchase_next"] = (said[:, PURCHASE], truth.next_action == PURCHASE, truth.user)
            claims["next_browse"] = (said[:, BROWSES].sum(axis=1), truth.next_browse, truth.user)
            resampled["macro_f1"] = weighted_macro_f1(decided, truth.next_action, len(ACTION_NAMES))
            resampled["accuracy"] = weighted_mean(said.argmax(axis=1) == truth.next_action)
        if answers.bought is not None:
            claims["purchase_in_session"] = (answers.bought[known], truth.bought[known], truth.user[known])
            curve = WeightedCurve(answers.bought[known], truth.bought[known])
            resampled["purchase_in_session_pr_auc"] = _on(known, curve.pr_auc)
        if said is not None:
            curve = WeightedCurve(*claims["purchase_next"][:2])
            resampled["purchase_pr_auc"], resampled["purchase_auc"] = curve.pr_auc, curve.auc
        if answers.next_items is not None:
            wanted = truth.next_item[self.test.with_items]
            items = ranking_measures(answers.next_items, wanted, self._catalogue, self._counts)
            ranks = ranks_of(answers.next_items, wanted) if len(wanted) else None
            if ranks is not None:
                hits = (ranks > 0) & (ranks <= DEPTH)
                resampled["recall_at_20"] = _at(self.test.with_items, weighted_mean(hits))
        measures = {name: probability_measures(*claim[:2]) for name, claim in claims.items()}
        return PredictorReport(
            next_action=actions,
            purchase_next=measures.get("purchase_next"),
            purchase_in_session=measures.get("purchase_in_session"),
            next_browse=measures.get("next_browse"),
            next_items=items,
            intervals=intervals(resampled, truth.user),
            reliability={name: reliability_curve(*claim[:2]) for name, claim in claims.items()},
            pr_curves={name: pr_curve(*claim[:2]) for name, claim in claims.items()},
            slices={
                name: slice_measures(chosen, truth, said, decided, ranks, self.test.with_items)
                for name, chosen in self._slices.items()
            },
        )


def _on(kept: npt.NDArray[np.bool_], measure: Weighted) -> Weighted:
    return lambda weights: measure(weights[kept])


def _at(rows: Ints, measure: Weighted) -> Weighted:
    return lambda weights: measure(weights[rows])
