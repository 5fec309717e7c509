"""An ensemble: its tables against plain counting, its weights against a known answer, and its serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.artifacts import ModelStore
from model_store.ensemble.artifact import ensemble_of, load_ensemble, save_ensemble
from model_store.ensemble.candidates import Tables, candidates, feature_names
from model_store.ensemble.fitting import Asked, fit_weights
from model_store.ensemble.followers import Followers
from model_store.ensemble.model import EnsembleHeads, EnsembleModel
from model_store.ensemble.neighbours import Neighbours
from model_store.errors import FileCorruptError
from model_store.evaluating.served import served_steps
from model_store.recompute import states_of_windows
from model_store.serving import ServedModel, load_served_model
from model_store.session_knn import SessionKnn
from model_store.stored_states import unpacked_states
from model_store.training import train_table
from model_store.training_settings import default_training_settings
from streamer.state import unpack_state
from tests.model_store.session_tables import sessions
from tests.streamer.events import event, record
from tests.streamer.models import random_model
from tests.streamer.test_scoring import Shop

ITEMS = 9

numbered_sessions = st.lists(
    st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=6, unique=True), max_size=12
)


def columns(made: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    number = np.repeat(np.arange(len(made)), [len(one) for one in made])
    return number.astype(np.int64), np.array([item for one in made for item in one], np.int64)


@settings(max_examples=80, deadline=None)
@given(
    numbered_sessions,
    st.lists(st.lists(st.integers(1, ITEMS - 1), max_size=5, unique=True), min_size=1, max_size=4),
)
def test_neighbours_of_a_batch_are_those_of_session_knn(
    made: list[list[int]], asked: list[list[int]]
) -> None:
    number, item = columns(made)
    own = np.zeros((len(asked), 5), np.int64)
    for row, one in enumerate(asked):
        own[row, : len(one)] = one[::-1]  # newest first
    found = Neighbours.fit(number, item, ITEMS).scores(own)
    knn = SessionKnn.fit(number, item)
    for row, one in enumerate(asked):
        items, scores = knn.scores(np.array(one, np.int64))
        kept = found.row == row
        assert found.item[kept].tolist() == items.tolist()
        np.testing.assert_allclose(found.score[kept], scores, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=13), max_size=8), st.integers(0, 99))
def test_followers_count_pairs_by_their_distance(made: list[list[int]], seed: int) -> None:
    counted = np.zeros((ITEMS, ITEMS))
    for one in made:
        for early, item in enumerate(one):
            for late in range(early + 1, min(len(one), early + 11)):
                if one[late] != item:
                    counted[item, one[late]] += 1 / (late - early)
                    counted[one[late], item] += 0.7 / (late - early)
    own = np.random.default_rng(seed).permutation(np.arange(1, ITEMS))[:3]
    found = Followers.fit(*columns(made), ITEMS).scores(own[None])
    wanted = counted[own[0]] + 0.8 * counted[own[1]] + 0.8**2 * counted[own[2]]
    np.testing.assert_allclose(found.at(np.arange(ITEMS)[None])[0], wanted, rtol=1e-5, atol=1e-9)
    best = [item for item in found.best(1, 3)[0].tolist() if item]
    assert sorted(wanted[best])[::-1] == wanted[best].tolist()
    np.testing.assert_allclose(np.sort(wanted)[::-1][: len(best)], wanted[best], rtol=1e-5)


def test_the_weights_that_made_the_truth_are_found() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(6_000, 5, 2)).astype(np.float32)
    totals = features @ np.array([1.5, -0.5]) + random.gumbel(size=(6_000, 5))
    asked = Asked(np.ones((6_000, 5), np.int64), features, totals.argmax(axis=1), np.arange(6_000))
    assert fit_weights(asked, 1) == pytest.approx([1.5, -0.5], abs=0.1)


def test_without_a_truth_among_the_candidates_the_networks_count_alike() -> None:
    asked = Asked(np.ones((2, 3), np.int64), np.ones((2, 3, 4), np.float32), np.array([-1, -1]), np.arange(2))
    assert fit_weights(asked, 2).tolist() == [0.5, 0.5, 0.0, 0.0]


@pytest.fixture(scope="module")
def model() -> EnsembleModel:
    """Two networks and both tables, with weights that are as good as any."""
    members = [random_model(seed) for seed in (1, 2)]
    number, item = columns([[1, 2, 3], [3, 4], [1, 3, 5, 6], [7, 8, 1]])
    items = len(members[0].encoder.items)
    tables = Tables(
        np.bincount(item, minlength=items),
        Neighbours.fit(number, item, items),
        Followers.fit(number, item, items),
    )
    weights = np.random.default_rng(0).normal(size=len(feature_names(2, tables)))
    return ensemble_of(members, tables, weights.tolist(), "ensemble", "0001-random")


def test_an_event_is_scored_alike_alone_and_among_others(model: EnsembleModel) -> None:
    drawn = np.random.default_rng(1).integers(0, 45, (20, 9))  # items 40 to 44 are unknown
    lines = [" ".join(f"item-{item}" for item in row) for row in drawn.tolist()]
    together = {
        int(number): (items, scores)
        for step in served_steps(model, sessions(*lines))
        for number, items, scores in zip(
            step.events, *model.ranked_items(step.heads, step.own, 6), strict=True
        )
    }
    for step in served_steps(model, sessions(*lines)):
        for place, number in enumerate(step.events.tolist()):
            chosen = np.array([place])
            items, scores = model.ranked_items(step.heads.take(chosen), step.own.take(chosen), 6)
            assert items[0].tolist() == together[number][0].tolist()
            np.testing.assert_allclose(scores[0], together[number][1], atol=1e-4)


def test_the_order_is_that_of_the_weighed_features(model: EnsembleModel) -> None:
    step = list(served_steps(model, sessions("item-1 item-44 item-3")))[-1]
    assert isinstance(step.heads, EnsembleHeads)
    made = candidates(model._members, model._tables, step.heads.members, step.own)
    totals = {
        item: float(made.features[0, place] @ model._weights)
        for place, item in enumerate(made.items[0].tolist())
        if item
    }
    items, scores = model.ranked_items(step.heads, step.own, 5)
    assert items[0].tolist() == sorted(totals, key=lambda item: -totals[item])[:5]
    np.testing.assert_allclose(scores[0], [totals[item] for item in items[0].tolist()], atol=1e-4)
    assert len({item for item in totals if item < 0}) == 1  # the unknown one is a candidate too


def test_states_are_those_of_the_networks_side_by_side(model: EnsembleModel) -> None:
    steps = list(served_steps(model, sessions("item-1 item-2 item-3")))
    assert steps[-1].states.shape == (1, model.state_units) == (1, 16)
    for number in (0, 1):
        alone = list(served_steps(random_model(number + 1), sessions("item-1 item-2 item-3")))
        np.testing.assert_allclose(
            steps[-1].states[:, 8 * number : 8 * (number + 1)], alone[-1].states, atol=1e-6
        )


def test_a_worker_serves_it_whatever_the_batches(model: EnsembleModel) -> None:
    drawn = np.random.default_rng(3).integers(0, 45, 24).tolist()
    records = [
        record(place, event(f"e{place}", "ann" if place % 3 else "bob", place, f"item-{item}"))
        for place, item in enumerate(drawn)
    ]
    alone = Shop().score([[[one]] for one in records], model)
    together = Shop().score([[records[:5], records[5:17]], [records[17:]]], model)
    assert [len(one["next_items"]) for one in alone.predictions] == [3] * 24
    for one, other in zip(alone.predictions, together.predictions, strict=True):
        assert one["prediction_id"] == other["prediction_id"]
        scores = [[item["score"] for item in made["next_items"]] for made in (one, other)]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
    for user, state in alone.stored.items():
        kept = unpack_state(state)
        (wanted,) = states_of_windows(model, [kept.rows])
        hidden = unpacked_states(kept.hidden, model.state_units, bounded=model.state_bounded)
        np.testing.assert_allclose(hidden[0], wanted, atol=1e-6)
        assert unpack_state(together.stored[user]).names == kept.names


def test_an_ensemble_is_made_published_and_served(tmp_path: Path) -> None:
    from model_store.ensemble.making import make_ensemble

    random = np.random.default_rng(2)
    # after an item comes the next number, in 30 ways
    starts = random.integers(0, 30, 240)
    lines = [" ".join(f"i{(start + step) % 30}" for step in range(4)) for start in starts.tolist()]
    table, store = sessions(*lines), ModelStore(tmp_path / "models")
    trained = train_table(
        table,
        default_training_settings(window_size=6, timed=False, units=4, item_dimensions=4, most_epochs=1),
        store,
        "gru",
        Silent(),
        work_directory=tmp_path / "work",
    )
    networks = [("gru", trained.version)]

    made = make_ensemble(table, store, "ensemble", networks, neighbours=True, followers=True)

    assert made.pairs == 108  # 15 per cent of 240 sessions, three pairs each
    assert made.scores["ensemble"].mrr_at_20 > made.scores["network 0"].mrr_at_20
    served = load_served_model(store, "ensemble", made.version)
    assert isinstance(served, EnsembleModel)
    step = list(served_steps(served, sessions("i7 i8 i9")))[-1]
    items, _ = served.ranked_items(step.heads, step.own, 1)
    assert served.encoder.items[items[0, 0]] == "i10"
    broken = tmp_path / "broken"
    broken.mkdir()
    tables = Tables(np.ones(31, np.int64), None, None)
    save_ensemble(broken, [("gru", trained.directory)], tables, [1.0] * len(feature_names(1, tables)))
    assert isinstance(load_ensemble(broken, "e", "1"), ServedModel)
    (broken / "ensemble.json").write_bytes(b"{")
    with pytest.raises(FileCorruptError, match="make the ensemble again"):
        load_ensemble(broken, "e", "1")


class Silent:
    """Takes a run's progress and says nothing."""

    def batch(self, *_: object) -> None:
        """Say nothing."""

    def epoch(self, _: object) -> None:
        """Say nothing."""
