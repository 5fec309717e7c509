"""A purchase later in the session: the served arithmetic, its file, and what it learns."""

from pathlib import Path

import numpy as np
import pytest

from model_store.encoder import Inputs
from model_store.errors import FileCorruptError
from model_store.evaluating.served import served_steps
from model_store.parts import part_between
from model_store.sequences import EventTable
from model_store.session_purchase import FILE, SessionPurchase, features_of
from model_store.session_purchase_fit import fit_session_purchase
from producers.events import Event, EventType
from tests.model_store.evaluating.logs import event, table
from tests.streamer.models import random_model

NEXT_ACTION = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], np.float32)
INPUTS = Inputs(
    item=np.zeros(2, np.int32),
    event_type=np.array([0, 4], np.int32),
    category=np.zeros(2, np.int32),
    numeric=np.array([[1.0, 2.0], [0.0, -1.0]], np.float32),
)
KERNEL = np.array([0.5, -0.25, 1.0, 1, 2, 3, 4, 5, 6, 0.1, 0.2], np.float32)


def test_it_is_a_logistic_regression_of_what_is_known() -> None:
    features = features_of(NEXT_ACTION, INPUTS)
    assert features[0, :3] == pytest.approx(np.log([0.5, 0.25, 0.25]))
    assert features[1, 1] == pytest.approx(np.log(1e-6))
    assert features[:, 3:9].argmax(axis=1).tolist() == [0, 4]
    expected = 1 / (1 + np.exp(-(features @ KERNEL - 0.5)))
    assert SessionPurchase(KERNEL, -0.5)(NEXT_ACTION, INPUTS) == pytest.approx(expected, abs=1e-6)


def test_it_is_written_and_read(tmp_path: Path) -> None:
    assert SessionPurchase.load(tmp_path, 11) is None
    SessionPurchase(KERNEL, -0.5).save(tmp_path)
    loaded = SessionPurchase.load(tmp_path, 11)
    assert loaded is not None
    np.testing.assert_array_equal(
        loaded(NEXT_ACTION, INPUTS), SessionPurchase(KERNEL, -0.5)(NEXT_ACTION, INPUTS)
    )
    with pytest.raises(FileCorruptError, match="another network"):
        SessionPurchase.load(tmp_path, 12)
    (tmp_path / FILE).write_bytes(b"PK")
    with pytest.raises(FileCorruptError, match="train the model again"):
        SessionPurchase.load(tmp_path, 11)


def sessions(users: int) -> list[Event]:
    """Let each user look twice; every second one then puts into the cart, looks again, and buys."""
    events = []
    for user in range(users):
        kinds = [EventType.VIEW, EventType.VIEW]
        if user % 2:
            kinds += [EventType.CART, EventType.VIEW, EventType.PURCHASE]
        events += [event(f"user {user}", user * 40 + place, kind) for place, kind in enumerate(kinds)]
    return events


def test_it_learns_that_a_cart_leads_to_a_purchase() -> None:
    model, log = random_model(), EventTable.from_events(sessions(60))
    fitted = fit_session_purchase(model, part_between(log, 0.0, 1.0, timed=True))
    assert fitted is not None
    said = np.zeros(len(log))
    for step in served_steps(model, log):
        assert step.heads.next_action is not None
        said[step.events] = fitted(step.heads.next_action, step.inputs)
    kinds = log.rows["event_type"]
    cart, purchase = (list(EventType).index(kind) for kind in (EventType.CART, EventType.PURCHASE))
    assert said[kinds == cart].mean() > 0.8
    assert said[kinds == purchase].mean() < 0.2


@pytest.mark.parametrize("users", [0, 2])
def test_too_little_teaches_nothing(users: int) -> None:
    log = table(*sessions(users), event("other", 1), event("other", 5_000))
    assert fit_session_purchase(random_model(), part_between(log, 0.0, 1.0, timed=True)) is None
