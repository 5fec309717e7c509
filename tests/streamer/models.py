"""A small model with random weights, ready to serve: the live path needs a model, not a good one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model_store.encoder import Encoder
from model_store.features.statistics import EncoderStatistics
from model_store.features.table import features_of
from model_store.item_index import ExactIndex
from model_store.serving import ServedModel
from model_store.specification import ACTION_NAMES, NetworkSpecification
from producers.events import EVENT_TYPES

ITEMS = [f"item-{number}" for number in range(40)]
CATEGORIES = ["shoes", "hats"]
FEW_GROUPS = ("previous", "price", "gap", "calendar")
HOUR_MS = 3_600_000


def random_model(
    seed: int = 1, window_size: int = 6, units: int = 8, groups: tuple[str, ...] = FEW_GROUPS
) -> ServedModel:
    """Return a GRU over ``groups`` of features, whose weights are drawn from ``seed``."""
    statistics = EncoderStatistics(
        2.0,
        1.0,
        timed=True,
        daily=True,
        weekly=True,
        category_prices=((2.0, 1.0), (1.0, 0.5), (3.0, 0.5)),
        event_types=(0, 1, 4),
        devices=(7,),
        sources=(9,),
        events=10_000,
    )
    counts = np.ones(len(ITEMS) + 1, dtype=np.int64)
    features = features_of(groups, statistics)
    encoder = Encoder(["", *ITEMS], ["", *CATEGORIES], counts, statistics, features)
    specification = NetworkSpecification(
        network="gru",
        units=units,
        item_dimensions=5,
        event_type_dimensions=3,
        category_dimensions=2,
        numeric_features=encoder.numeric_features,
        item_count=len(encoder.items),
        category_count=len(encoder.categories),
        event_type_count=len(EVENT_TYPES),
        window_size=window_size,
        action_names=ACTION_NAMES,
        hazard_edges_ms=(0, HOUR_MS, 24 * HOUR_MS),
        churn_horizon_ms=24 * HOUR_MS,
        item_logit_scale=14.0,
        timed=True,
        own_items=True,
    )
    weights = random_weights(specification, seed)
    index = ExactIndex(weights["item_vectors"])
    return ServedModel("gru", f"000{seed}-random", seed, specification, weights, encoder, index)


def random_weights(specification: NetworkSpecification, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return weights of the specification's shapes, drawn from ``seed``; the item vectors have length 1."""
    random = np.random.default_rng(seed)
    weights = {
        name: random.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in specification.weight_shapes().items()
    }
    weights["item_vectors"] /= np.linalg.norm(weights["item_vectors"], axis=1, keepdims=True)
    return weights
