"""The companion: its arithmetic and its file, and when a fitted one counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foreclick.checking.action_companion import ActionPool
from model_store import companion_fit
from model_store.companion import COMPANION_FILE, Companion, Perceptron
from model_store.companion_fit import fit_companion
from model_store.encoder import Inputs
from model_store.errors import FileCorruptError
from model_store.evaluating.served import served_steps
from model_store.parts import Part, part_between
from model_store.sequences import EventTable
from producers.events import Event, EventType
from tests.model_store.evaluating.logs import event
from tests.streamer.models import random_model

NETWORK = np.array([[0.5, 0.25, 0.25], [0.9, 0.1, 0.0]], np.float32)
INPUTS = Inputs(
    item=np.zeros(2, np.int32),
    event_type=np.array([0, 4], np.int32),
    category=np.zeros(2, np.int32),
    numeric=np.array([[1.0, 2.0], [0.0, -1.0]], np.float32),
)


def perceptron(outputs: int) -> Perceptron:
    """Return one of two inputs, six types and five units, its weights drawn at random."""
    random = np.random.default_rng(outputs)
    shapes = ((8, 5), (5,), (5, outputs), (outputs,))
    return Perceptron(*(random.normal(size=shape).astype(np.float32) for shape in shapes))


def test_probabilities_are_pooled_by_their_logarithms() -> None:
    one = perceptron(3)
    said = Companion(one, 0.3, perceptron(1), 0.0).next_action(NETWORK, INPUTS)
    for row in range(2):
        read = [*INPUTS.numeric[row], *(float(kind == INPUTS.event_type[row]) for kind in range(6))]
        hidden = np.maximum(np.array(read) @ one.hidden_kernel + one.hidden_bias, 0)
        alone = np.exp(hidden @ one.kernel + one.bias)
        pool = (alone / alone.sum()) ** 0.3 * np.maximum(NETWORK[row], 1e-7) ** 0.7
        assert said[row] == pytest.approx(pool / pool.sum(), rel=1e-4)


def test_a_purchase_in_the_session_is_pooled_likewise() -> None:
    session = perceptron(1)
    alone = 1 / (1 + np.exp(-session(INPUTS)[:, 0]))
    said = Companion(perceptron(3), 0.0, session, 1.0).purchase_in_session(
        np.array([0.2, 1.0], np.float32), INPUTS
    )
    assert said == pytest.approx(alone, rel=1e-4)
    half = Companion(perceptron(3), 0.0, session, 0.5).purchase_in_session(
        np.array([0.2, 0.5], np.float32), INPUTS
    )
    odds = np.sqrt(np.array([0.25, 1.0]) * alone / (1 - alone))
    assert half == pytest.approx(odds / (1 + odds), rel=1e-4)


def test_a_share_of_nothing_leaves_the_network_alone() -> None:
    companion = Companion(perceptron(3), 0.0, perceptron(1), 0.0)
    assert companion.next_action(NETWORK, INPUTS) is NETWORK


def test_the_checker_pools_what_the_file_says_as_the_worker_does(tmp_path: Path) -> None:
    assert Companion.load(tmp_path, 2, 3) is None
    read = (INPUTS.event_type, INPUTS.numeric)
    assert ActionPool(tmp_path).pooled(NETWORK, *read) is NETWORK
    Companion(perceptron(3), 0.5, perceptron(1), 0.7).save(tmp_path)
    loaded = Companion.load(tmp_path, 2, 3)
    assert loaded is not None
    assert (loaded.action_share, loaded.session_share) == (0.5, 0.7)
    said = loaded.next_action(NETWORK, INPUTS)
    assert np.abs(ActionPool(tmp_path).pooled(NETWORK, *read) - said).max() < 1e-6
    assert np.abs(said - NETWORK).max() > 0.01
    with pytest.raises(FileCorruptError, match="another network"):
        Companion.load(tmp_path, 3, 3)
    (tmp_path / COMPANION_FILE).write_bytes(b"PK")
    with pytest.raises(FileCorruptError, match="train the model again"):
        Companion.load(tmp_path, 2, 3)


def log(users: int) -> Part:
    """Let each user look, put into the cart, look, and buy, minutes apart."""
    kinds = (EventType.VIEW, EventType.CART, EventType.VIEW, EventType.PURCHASE)
    events: list[Event] = [
        event(f"user {user}", user * 2 + place, kind)
        for user in range(users)
        for place, kind in enumerate(kinds)
    ]
    return part_between(EventTable.from_events(events), 0.0, 1.0, timed=True)


def test_it_counts_where_the_network_knows_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companion_fit, "LARGE_LOG_EVENTS", 1_000)
    model, seen = random_model(), log(300)
    fitted = fit_companion(model, seen, log(60), model.encoder, seen)
    assert fitted is not None
    assert fitted.action_share > 0
    row = Inputs(
        item=np.zeros(1, np.int32),
        event_type=np.array([1], np.int32),
        category=np.zeros(1, np.int32),
        numeric=np.zeros((1, model.encoder.numeric_features), np.float32),
    )
    assert fitted.action(row)[0].argmax() == model.action_names.index("view")


def test_it_is_fitted_on_what_a_worker_reads() -> None:
    model = random_model(groups=("counts", "session", "gap"))
    kinds = np.random.default_rng(1).choice([EventType.VIEW, EventType.CART, EventType.PURCHASE], 40)
    events = [event(f"user {place % 3 // 2}", place, EventType(kind)) for place, kind in enumerate(kinds)]
    part = part_between(EventTable.from_events(events), 0.0, 1.0, timed=True)
    known = companion_fit._known(model.encoder, part, model.window_size)
    for step in served_steps(model, part.table):
        np.testing.assert_array_equal(known[step.events, :-6], step.inputs.numeric)


def test_a_small_log_has_none() -> None:
    seen = log(60)
    model = random_model()
    assert fit_companion(model, seen, seen, model.encoder, seen) is None
