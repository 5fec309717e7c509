"""The plain hazard learns rhythms that a log has for sure, and a network gets the share it is worth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from model_store.churn import fitting
from model_store.churn.cutoffs import DAY_MS
from model_store.churn.fitting import FittedChurn, fit_churn, least_within_an_error
from model_store.churn.plain_hazard import fit_plain_hazard, visits_of
from model_store.parts import Part, split_log
from model_store.sequences import EventTable
from model_store.survival import Survival
from producers.events import Event, EventType

START_MS = 1_700_006_400_000
EDGES_MS = (0, 60_000, DAY_MS // 2, 2 * DAY_MS, 4 * DAY_MS, 8 * DAY_MS, 16 * DAY_MS)
DAYS = 40


def rhythms(users: int) -> EventTable:
    """Even users come each day, odd ones each fifth day."""
    return EventTable.from_events(
        Event(
            event_id=f"{user}-{day}",
            user_id=f"u{user}",
            event_type=EventType.VIEW,
            event_time_ms=START_MS + day * DAY_MS + user * 1_000,
            item_id="a",
        )
        for user in range(users)
        for day in range(0, DAYS, 5 if user % 2 else 1)
    )


def test_who_comes_more_often_is_expected_sooner() -> None:
    table = rhythms(40)
    part = Part(table, np.ones(len(table), bool), START_MS + DAYS * DAY_MS)
    plain = fit_plain_hazard(part, EDGES_MS, 20)
    assert plain is not None
    assert plain.covered.tolist() == [False, False, True, True, True, False, False]
    last = np.append(np.flatnonzero(table.starts_user())[1:], len(table)) - 1
    hazard = 1 / (1 + np.exp(-plain.logits(visits_of(table, last, 20))))
    hazard = np.where(plain.covered, hazard, 0.0).astype(np.float32)
    silent = Survival(EDGES_MS, 2 * DAY_MS).survival(hazard, 2 * DAY_MS)
    often = table.user[last] % 2 == 0
    assert silent[often].max() < 0.2
    assert silent[~often].min() > 0.6


def test_a_log_of_a_few_silences_teaches_nothing() -> None:
    table = rhythms(2).where(np.arange(48) < 10)
    part = Part(table, np.ones(len(table), bool), START_MS + DAYS * DAY_MS)
    assert fit_plain_hazard(part, EDGES_MS, 20) is None


def test_the_least_share_within_one_error_of_the_best_is_taken() -> None:
    shares, user = np.array([0.0, 0.5, 1.0]), np.array([7, 7, 9])
    # by user, worse than the last: 2 and 2 for sure, then 1 and -0.9, a mean that is lost in its error
    losses = np.array([[1.0, 1.0, 2.0], [0.5, 0.5, -0.9], [0.0, 0.0, 0.0]])
    assert least_within_an_error(losses, user, shares) == 0.5
    losses[1] = [0.05, 0.05, 0.1]
    assert least_within_an_error(losses, user, shares) == 1.0


def by_chance(users: int) -> EventTable:
    """Each silence lasts 2 or 9 days, by the toss of a coin: the past says nothing of it."""
    random = np.random.default_rng(2)
    return EventTable.from_events(
        Event(
            event_id=f"{user}-{day}",
            user_id=f"u{user}",
            event_type=EventType.VIEW,
            event_time_ms=START_MS + day * DAY_MS + user * 1_000,
            item_id="a",
        )
        for user in range(users)
        for day in np.cumsum(random.choice([2, 9], 30)).tolist()
        if day < 80
    )


def hazard_that_knows(table: EventTable) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a hazard that is high in the bin of the next event, low in all others."""
    gap_ms = np.append(np.diff(table.times_ms), 9 * DAY_MS)
    gap_ms[gap_ms < 0] = 9 * DAY_MS
    hazard = np.full((len(table), len(EDGES_MS)), 0.02, np.float32)
    hazard[np.arange(len(table)), np.searchsorted(EDGES_MS, gap_ms, side="right") - 1] = 0.95
    return hazard


def fitted_beside(
    hazard: np.ndarray[Any, np.dtype[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> FittedChurn:
    table = by_chance(60)
    split = split_log(table, train_until=1.0, test_from=1.0, validation_share=0.3, timed=True)
    monkeypatch.setattr(fitting, "_served_hazard", lambda *_: hazard)
    network = SimpleNamespace(survival=Survival(EDGES_MS, 7 * DAY_MS), window_size=20)
    fitted = fit_churn(cast("Any", network), split.fitting, split.validation, split.whole)
    assert fitted is not None
    return fitted


def test_a_network_that_knows_gets_all_and_one_that_guesses_gets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    knows = hazard_that_knows(by_chance(60))
    between_visits = slice(3, 5)
    fitted = fitted_beside(knows, monkeypatch)
    assert fitted.correction is not None
    assert fitted.correction.scale[between_visits].min() > 0.5
    corrected = fitted.scores["corrected"]
    assert corrected is not None
    assert corrected.auc is not None
    assert corrected.auc > 0.95
    guesses = np.random.default_rng(1).random(knows.shape).astype(np.float32)
    fitted = fitted_beside(guesses, monkeypatch)
    assert fitted.correction is not None
    assert fitted.correction.scale[between_visits].max() < 0.1
    assert fitted.correction.scale[0] == 1.0
