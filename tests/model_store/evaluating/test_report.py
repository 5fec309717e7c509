"""A whole evaluation on a small simulated shop: the same rows for all, and nothing that is no number."""

import json

import msgspec
import numpy as np
import pytest

from model_store.baselines.naive import NaiveExample
from model_store.evaluating.answers import Answers, Asked, FeatureTable, SequentialPredictor
from model_store.evaluating.model_answers import model_answers
from model_store.evaluating.naive_answers import NaivePredictor
from model_store.evaluating.report import OURS, Evaluation, EvaluationReport
from model_store.evaluating.truth import NONE, PURCHASE, evaluation_parts
from model_store.sequences import EventTable
from producers.events import EventType
from producers.simulator.shop import Shop
from tests.model_store.evaluating.logs import START_MS, event, table
from tests.streamer.models import random_model

NAMES = (
    "popular", "repeat", "markov_order_1", "markov", "logistic_regression", "boosted_trees", "session_knn",
)  # fmt: skip


def evaluation_of(log: EventTable) -> Evaluation:
    parts = evaluation_parts(log, train_until=0.6, test_from=0.75, timed=True)
    return Evaluation(parts, window_size=6, daily=False)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluation_of(EventTable.from_events(Shop(3, 60, 40).events(START_MS, 1_500)))


@pytest.fixture(scope="module")
def report(evaluation: Evaluation) -> EvaluationReport:
    naive = NaivePredictor(
        NaiveExample(np.array([[0.2, 0.7], [0.3, 0.3]]), 0.78), evaluation.parts.training, evaluation.training
    )
    return evaluation.report(random_model(), lambda _name: lambda _share: None, {"naive_example": naive})


def test_everybody_answers_the_same_rows(evaluation: Evaluation, report: EvaluationReport) -> None:
    assert set(report.predictors) == {OURS, *NAMES, "naive_example"}
    for name, each in report.predictors.items():
        if name != "session_knn":
            assert each.next_action is not None
            assert each.next_action.rows == report.rows == len(evaluation.test.truth)
            assert each.purchase_next is not None
            assert each.purchase_next.positives == np.count_nonzero(
                evaluation.test.truth.next_action == PURCHASE
            )


def test_a_report_is_whole_numbers_and_no_more(report: EvaluationReport) -> None:
    text = json.dumps(json.loads(msgspec.json.encode(report)), allow_nan=False)
    assert "NaN" not in text
    assert msgspec.json.decode(msgspec.json.encode(report), type=EvaluationReport) == report


def test_what_learned_the_shop_beats_what_is_random(report: EvaluationReport) -> None:
    loss = {name: each.next_action.log_loss for name, each in report.predictors.items() if each.next_action}
    assert loss["markov"] is not None
    assert loss["popular"] is not None
    assert loss[OURS] is not None
    assert loss["markov"] < loss["popular"] < loss[OURS]


def test_slices_hold_each_row_once(report: EvaluationReport) -> None:
    slices = report.predictors["markov"].slices
    assert slices["new users"].rows + slices["users seen in training"].rows == report.rows
    assert sum(each.rows for name, each in slices.items() if name.startswith("window")) == report.rows


def test_intervals_hold_their_measure(report: EvaluationReport) -> None:
    for name, each in report.predictors.items():
        found = each.intervals.get("macro_f1")
        if each.next_action is not None and name != OURS:
            assert found is not None
            assert each.next_action.macro_f1 is not None
            assert found.low - 0.05 < each.next_action.macro_f1 < found.high + 0.05


def test_asking_teaches_nothing(evaluation: Evaluation) -> None:
    predictor = SequentialPredictor("markov", evaluation.parts.training, evaluation.training)
    first = predictor.answer(evaluation.decisions, lambda _share: None).next_action
    predictor.answer(evaluation.test, lambda _share: None)
    again = predictor.answer(evaluation.decisions, lambda _share: None).next_action
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first, again)


def test_a_served_model_answers_the_rows_that_are_asked(evaluation: Evaluation) -> None:
    model, asked = random_model(), evaluation.test
    whole = model_answers(model, asked, lambda _share: None).answers
    some = np.arange(0, len(asked.truth), 3)
    part = Asked(asked.part, asked.truth.where(some), np.empty(0, np.int64))
    few = model_answers(model, part, lambda _share: None).answers
    assert whole.next_action is not None
    assert few.next_action is not None
    np.testing.assert_allclose(few.next_action, whole.next_action[some], atol=1e-6)
    assert whole.next_action.sum(axis=1) == pytest.approx(np.ones(len(asked.truth)), abs=1e-5)


@pytest.mark.parametrize("kind", [EventType.VIEW, EventType.PURCHASE])
def test_a_log_of_one_type_and_one_user_is_measured_all_the_same(kind: EventType) -> None:
    evaluation = evaluation_of(table(*(event("ada", minute, kind) for minute in range(200))))
    report = evaluation.report(random_model(), lambda _name: lambda _share: None)
    text = json.dumps(json.loads(msgspec.json.encode(report)), allow_nan=False)
    assert text
    assert report.predictors["markov"].next_action is not None


def test_naive_answers_share_out_what_is_no_browse() -> None:
    log = table(
        *(event("ada", minute, EventType.PURCHASE if minute % 2 else EventType.VIEW) for minute in range(90))
    )
    evaluation = evaluation_of(log)
    example = NaiveExample(np.array([[0.0, 0.25], [1.0, 0.0]]), 0.0)
    answers: Answers = NaivePredictor(example, evaluation.parts.training, evaluation.training)(
        evaluation.test
    )
    assert answers.next_action is not None
    assert answers.next_action.sum(axis=1) == pytest.approx(np.ones(len(evaluation.test.truth)))
    after_view = evaluation.test.truth.next_action == PURCHASE
    assert (answers.next_action[after_view, PURCHASE] > 0.6).all()  # of the 0.75 that are no browse
    assert (
        answers.next_action[~after_view & (evaluation.test.truth.next_action != NONE), PURCHASE] == 0
    ).all()


def test_features_of_rows_are_those_of_their_events(evaluation: Evaluation) -> None:
    rows = FeatureTable.of(evaluation.test.part, evaluation.test.truth, daily=False)
    assert len(rows.features) == len(evaluation.test.truth)
    assert np.isfinite(rows.features).all()
