"""Plain features on one user's events that can be counted by hand."""

import math

import numpy as np
import pytest

from model_store.baselines.features import plain_features
from producers.events import EventType
from tests.model_store.evaluating.logs import event, table

LOG = table(
    event("ada", 0, item="pot"),
    event("ada", 1, EventType.CART, "pot"),
    event("ada", 3, item="cup"),
    event("ada", 100, item="pot"),  # another session
    event("bob", 101, item="pot"),
)


def column(name: str) -> list[float]:
    features, names = plain_features(LOG, daily=False)
    values: list[float] = features[:, names.index(name)].tolist()
    return values


def logs(*values: float) -> object:
    return pytest.approx([math.log1p(value) for value in values], rel=1e-5)


def test_counts_and_positions_start_anew_with_a_session_and_with_a_user() -> None:
    assert column("position_in_session") == logs(0, 1, 2, 0, 0)
    assert column("position_in_history") == logs(0, 1, 2, 3, 0)
    assert column("cart_in_session") == logs(0, 1, 1, 0, 0)
    assert column("cart_in_history") == logs(0, 1, 1, 1, 0)
    assert column("items_in_session") == logs(1, 1, 2, 1, 1)


def test_times_since() -> None:
    never = 90 * 86_400
    assert column("gap_1_ago") == logs(never, 60, 120, 97 * 60, never)
    assert column("since_cart") == logs(never, 0, 120, 99 * 60, never)
    assert column("since_item") == logs(never, 60, never, 99 * 60, never)


def test_the_item_is_known_by_its_user() -> None:
    assert column("looks_at_item") == logs(0, 1, 0, 2, 0)
    assert column("item_was_carted") == [0, 1, 0, 1, 0]
    assert column("same_item_as_previous") == [0, 1, 0, 0, 0]
    assert column("cart_1_ago") == [0, 0, 1, 0, 0]


def test_later_events_change_nothing() -> None:
    whole, _ = plain_features(LOG, daily=True)
    for events in range(1, 5):
        kept = np.arange(len(LOG)) < events
        known, _ = plain_features(LOG.where(kept), daily=True)
        np.testing.assert_allclose(known, whole[:events])


def test_no_event_has_no_features() -> None:
    features, names = plain_features(table(), daily=True)
    assert (features.shape, names) == ((0, 0), [])
