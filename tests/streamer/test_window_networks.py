"""A network that looks at the whole window in the live path: it keeps no state; batches change nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from model_store.artifacts import ModelStore
from model_store.item_index import ExactIndex
from model_store.recompute import states_of_windows
from model_store.serving import ServedModel
from model_store.windows import rows_of
from streamer.profile import Profile
from streamer.reload import ModelWatcher, load_champion
from streamer.rendering import RenderingSettings
from streamer.scorer import Scorer
from streamer.scoring import ScoringSettings
from streamer.state import unpack_state
from tests.model_store.network_artifacts import write_network
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import Record, event, record
from tests.streamer.test_scoring import Shop

WINDOW = 6


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    store = ModelStore(root)
    with store.writing("wide") as writing:
        write_network(writing.directory, "transformer", window_size=WINDOW)
    store.promote("wide", writing.version)
    return root


@pytest.fixture(scope="module")
def model(root: Path) -> ServedModel:
    return load_champion(root, "wide", "champion")


def clicks(count: int) -> list[Record]:
    """Events of two users, every seventh one late, so that windows overflow and are reordered."""
    return [
        record(
            number,
            event(
                f"e{number}",
                "bob" if number % 3 else "ann",
                at_ms=20 * number - (50 if number % 7 == 0 else 0),
                item=f"item-{number % 14}",
            ),
        )
        for number in range(count)
    ]


def assert_same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert [prediction["event_id"] for prediction in one] == [prediction["event_id"] for prediction in other]
    for left, right in zip(one, other, strict=True):
        assert left["next_action"] == pytest.approx(right["next_action"], abs=2e-6)
        assert left["churn"]["probability"] == pytest.approx(right["churn"]["probability"], abs=2e-6)
        scores = [[item["score"] for item in prediction["next_items"]] for prediction in (left, right)]
        assert scores[0] == pytest.approx(scores[1], abs=2e-5)


def test_batch_boundaries_change_nothing(model: ServedModel) -> None:
    records = clicks(40)
    one_by_one = Shop().score([[[one]] for one in records], model)
    together = Shop().score([[records[:13], records[13:14], records[14:]]], model)
    assert_same(one_by_one.predictions, together.predictions)
    assert one_by_one.stored == together.stored


def test_a_prediction_is_that_of_the_kept_window_alone(model: ServedModel) -> None:
    shop = Shop()
    for one in clicks(25):
        shop.score([[[one]]], model)
        state = unpack_state(shop.stored[one.key or b""])
        (wanted,) = states_of_windows(model, [state.rows])
        rows = rows_of(state.rows)
        heads = model.heads(wanted[None], model.encoder.encode_window(rows).take(np.array([len(rows) - 1])))
        assert heads.next_action is not None
        said = shop.predictions[-1]["next_action"]
        assert list(said.values()) == pytest.approx(heads.next_action[0].tolist(), abs=2e-6)


def test_no_hidden_state_is_stored(model: ServedModel) -> None:
    shop = Shop().score([[clicks(30)]], model)
    for stored in shop.stored.values():
        state = unpack_state(stored)
        assert state.hidden == b""
        assert state.model == model.fingerprint


def test_a_worker_changes_between_a_recurrent_network_and_this_one(root: Path, model: ServedModel) -> None:
    records = clicks(24)
    scored = Shop().score([[records[:12]]])  # by a GRU
    scored.score([[records[12:18]]], model).score([[records[18:]]])
    alone = Shop().score([[records]])
    assert_same(alone.predictions[18:], scored.predictions[18:])
    only = Shop().score([[records]], model)
    assert_same(only.predictions[12:18], scored.predictions[12:18])


def test_a_promoted_one_is_traced_before_it_serves(root: Path, tmp_path: Path) -> None:
    promote_random_model(root, seed=1, name="wide")
    settings = ScoringSettings(1_000, RenderingSettings(3, 0.8))
    scorer = Scorer(load_champion(root, "wide", "champion"), settings, 100, lambda: 0, Profile())
    ModelStore(root).promote("wide", ModelStore(root).versions("wide")[0])
    asyncio.run(ModelWatcher(scorer, root, "wide", "champion", 1_000).look())
    body = scorer.model._window_body
    assert body is not None
    assert body._last.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("exact", [True, False])
def test_exact_search_can_be_asked_for(exact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(_directory: Path, vectors: npt.NDArray[np.float32], *, exact: bool) -> ExactIndex:
        asked.append(exact)
        return ExactIndex(vectors)

    monkeypatch.setattr("model_store.serving.load_item_index", load)
    promote_random_model(tmp_path, seed=1)
    first = load_champion(tmp_path, "gru", "champion", exact=exact)
    settings = ScoringSettings(1_000, RenderingSettings(3, 0.8))
    scorer = Scorer(first, settings, 100, lambda: 0, Profile())
    promote_random_model(tmp_path, seed=2)
    asyncio.run(ModelWatcher(scorer, tmp_path, "gru", "champion", 1_000, exact=exact).look())
    assert asked == [exact, exact]
