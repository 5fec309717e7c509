"""Parity: the NumPy path against the saved Keras model; each kind of difference shows as large as it is."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from foreclick.checking.parity import parity
from foreclick.checking.predictions import SeenChurn, SeenItem, SeenModel, SeenPrediction
from foreclick.checking.topics import SourcePosition, TopicRecord
from foreclick.checking.window_rule import Ruling, WindowRule, rule_on
from model_store.encoder import Encoder
from model_store.features.statistics import EncoderStatistics
from model_store.item_index import ExactIndex
from model_store.lookback import lookback_of_windows
from model_store.networks.building import build_network, build_saved_model, serving_weights, unit_vectors
from model_store.networks.specifying import specify
from model_store.own_items import OWN_RANKS, own_items
from model_store.recompute import states_of_windows
from model_store.serving import ServedModel
from model_store.specification import KERAS_FILE, load_specification, load_weights, save_network
from model_store.windows import item_fingerprint, pack_row, rows_of
from producers.events import EVENT_TYPES, Event, encode_event

HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000
WINDOW_SIZE = 5
OFFSETS = np.linspace(-1, 1, OWN_RANKS, dtype=np.float32)
ITEMS = ["", *(f"item-{number}" for number in range(12))]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an untrained network: its weights are as good as any to be compared."""
    directory = tmp_path_factory.mktemp("artifact")
    statistics = EncoderStatistics(2.0, 1.0, timed=True, daily=True, weekly=False)
    encoder = Encoder(ITEMS, ["", "hats"], np.ones(len(ITEMS), np.int64), statistics)
    specification = specify(
        encoder,
        network="gru",
        units=8,
        item_dimensions=6,
        window_size=WINDOW_SIZE,
        churn_horizon_ms=6 * HOUR_MS,
    )
    network = build_network(specification, dropout=0.25, seed=3)
    vectors = unit_vectors(np.random.default_rng(3).normal(size=(len(ITEMS), 6)).astype(np.float32))
    encoder.save(directory)
    save_network(directory, specification, serving_weights(specification, network, vectors, OFFSETS))
    build_saved_model(specification, network, vectors).save(directory / KERAS_FILE)
    return directory


@pytest.fixture(scope="module")
def rulings() -> list[Ruling]:
    """Sixty events of three users, one in five of them late, so that windows overflow and are reordered."""
    random = np.random.default_rng(4)
    records = []
    for offset in range(60):
        late_ms = HOUR_MS if offset % 5 == 0 else 0
        event = Event(
            event_id=f"e{offset}",
            user_id=f"user-{offset % 3}",
            event_type=EVENT_TYPES[int(random.integers(6))],
            event_time_ms=START_MS + offset * 60_000 - late_ms,
            item_id=f"item-{random.integers(15)}",  # three of them are unknown
            category="hats" if offset % 2 else None,
            price=float(random.integers(1, 90)),
        )
        position = SourcePosition("t", 0, offset)
        records.append(TopicRecord(position, START_MS, event.user_id.encode(), encode_event(event)))
    return rule_on(records, WindowRule(WINDOW_SIZE, 24 * HOUR_MS))


@pytest.fixture(scope="module")
def predictions(artifact: Path, rulings: list[Ruling]) -> list[SeenPrediction]:
    """What the NumPy model says of each window."""
    model = served(artifact)
    return [predicted(model, ruling) for ruling in rulings]


def served(artifact: Path) -> ServedModel:
    specification = load_specification(artifact)
    weights = load_weights(artifact, specification)
    index = ExactIndex(weights["item_vectors"])
    return ServedModel("gru", "1", 1, specification, weights, Encoder.load(artifact), index)


def predicted(model: ServedModel, ruling: Ruling) -> SeenPrediction:
    packed = b"".join(pack_row(event) for event in ruling.window)
    last = model.encoder.encode_window(rows_of(packed)).take(np.array([len(ruling.window) - 1]))
    heads = model.heads(states_of_windows(model, [packed]), last)
    assert heads.next_action is not None
    assert heads.hazard is not None
    assert heads.query is not None
    assert model.survival is not None
    own = own_items(lookback_of_windows([packed])[1])
    names = {item_fingerprint(one.item_id): one.item_id for one in ruling.window if one.item_id is not None}
    indices, scores = model.ranked_items(heads, own, 4)
    event = ruling.window[ruling.place]
    return SeenPrediction(
        prediction_id=ruling.position.text,
        user_id=event.user_id,
        event_id=event.event_id,
        event_time_ms=event.event_time_ms,
        scored_at_ms=START_MS,
        model=SeenModel("gru", "1"),
        next_action=dict(zip(model.action_names, heads.next_action[0].tolist(), strict=True)),
        churn=SeenChurn(float(model.survival.churn_probability(heads.hazard, 0)[0]), 6 * HOUR_MS),
        next_items=[
            SeenItem(model.encoder.items[index] if index > 0 else names[-index], score)
            for index, score in zip(indices[0].tolist(), scores[0].tolist(), strict=True)
        ],
    )


def test_the_numpy_model_says_what_keras_says(
    artifact: Path, rulings: list[Ruling], predictions: list[SeenPrediction]
) -> None:
    result = parity(rulings, predictions, artifact)

    assert result.compared == 60
    assert result.max_abs_diff < 1e-5


def test_each_difference_shows_in_its_own_head(
    artifact: Path, rulings: list[Ruling], predictions: list[SeenPrediction]
) -> None:
    one = predictions[17]
    assert one.next_action is not None
    assert one.churn is not None
    assert one.next_items is not None
    moved = [
        *predictions[:17],
        msgspec.structs.replace(
            one,
            next_action={**one.next_action, "view": one.next_action["view"] + 0.01},
            churn=SeenChurn(one.churn.probability + 0.02, one.churn.horizon_ms),
            next_items=[SeenItem(one.next_items[0].item_id, one.next_items[0].score + 0.5)],
        ),
        *predictions[18:],
    ]

    result = parity(rulings, moved, artifact)

    assert result.next_action == pytest.approx(0.01, abs=1e-5)
    assert result.churn == pytest.approx(0.02, abs=1e-5)
    assert result.next_items == pytest.approx(0.5, abs=1e-5)
    assert result.max_abs_diff == result.next_items


@pytest.mark.parametrize(
    "lack",
    [
        {"next_action": None},
        {"churn": None},
        {"next_items": None},
        {"churn": SeenChurn(0.5, HOUR_MS)},
        {"next_items": [SeenItem("not in the catalogue", 1.0)]},
    ],
)
def test_a_head_that_cannot_be_compared_is_no_agreement(
    artifact: Path, rulings: list[Ruling], predictions: list[SeenPrediction], lack: dict[str, object]
) -> None:
    result = parity(rulings, [msgspec.structs.replace(predictions[0], **lack)], artifact)

    assert math.isnan(result.max_abs_diff)
