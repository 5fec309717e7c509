"""Untrained networks as artifacts: their weights are as good as any to be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model_store.encoder import Encoder
from model_store.features.statistics import EncoderStatistics
from model_store.item_index import ExactIndex, save_item_index
from model_store.specification import KERAS_FILE, save_network

HOUR_MS = 3_600_000
ITEMS = ["", *(f"item-{number}" for number in range(12))]
UNITS = 8


def small_encoder(*, timed: bool = True) -> Encoder:
    statistics = EncoderStatistics(2.0, 1.0, timed=timed, daily=timed, weekly=False)
    return Encoder(ITEMS, ["", "hats"], np.ones(len(ITEMS), np.int64), statistics)


def write_network(directory: Path, network: str, *, window_size: int = 5, timed: bool = True) -> None:
    """Write the artifact of a small untrained network into ``directory``."""
    from model_store.networks.building import build_network, build_saved_model, serving_weights, unit_vectors
    from model_store.networks.specifying import specify

    encoder = small_encoder(timed=timed)
    specification = specify(
        encoder,
        network=network,
        units=UNITS,
        item_dimensions=6,
        window_size=window_size,
        churn_horizon_ms=6 * HOUR_MS,
    )
    built = build_network(specification, dropout=0.25, seed=3)
    vectors = unit_vectors(np.random.default_rng(3).normal(size=(len(ITEMS), 6)).astype(np.float32))
    encoder.save(directory)
    save_network(directory, specification, serving_weights(specification, built, vectors))
    build_saved_model(specification, built, vectors).save(directory / KERAS_FILE)
    save_item_index(directory, ExactIndex(vectors))
