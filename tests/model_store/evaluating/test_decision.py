"""Bets on rare classes."""

import numpy as np
from sklearn.metrics import f1_score

from model_store.evaluating.decision import DecisionRule


def test_a_rare_class_that_is_never_the_likeliest_is_bet_on() -> None:
    # Of 100 rows, 20 have the rare class, at 0.4; it has 0.1 elsewhere.
    truth = np.repeat([0, 1], [80, 20])
    rare = np.repeat([0.1, 0.4], [80, 20])
    probabilities = np.stack([1 - rare, rare], axis=1)
    assert set(probabilities.argmax(axis=1)) == {0}
    rule = DecisionRule.fit(probabilities, truth)
    assert f1_score(truth, rule.decide(probabilities), average="macro") == 1.0


def test_bets_are_never_worse_than_the_likeliest_where_they_were_fitted() -> None:
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet([4.0, 1.0, 0.3], size=300)
    truth = np.array([generator.choice(3, p=each) for each in probabilities])
    decided = DecisionRule.fit(probabilities, truth).decide(probabilities)
    likeliest = probabilities.argmax(axis=1)
    assert f1_score(truth, decided, average="macro") >= f1_score(truth, likeliest, average="macro")


def test_without_rows_the_likeliest_is_bet_on() -> None:
    rule = DecisionRule.fit(np.empty((0, 3)), np.empty(0, np.int64))
    assert rule.decide(np.array([[0.2, 0.5, 0.3]])).tolist() == [1]
