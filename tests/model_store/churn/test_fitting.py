"""The plain hazard learns rhythms that a made-up log has for sure."""

from __future__ import annotations

import numpy as np

from model_store.churn.cutoffs import DAY_MS
from model_store.churn.plain_hazard import fit_plain_hazard, visits_of
from model_store.parts import Part
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
