"""Compiles the kernels that scoring calls, so that the first worker on a machine starts without a compiler.

    python -m streamer.compile_kernels

`make setup` runs this once. It needs no network. Where no directory can be written, it says so and ends
well: then each process compiles for itself. A made-up model with every part is scored, since Numba compiles
a kernel for the types with which it is called.
"""

from __future__ import annotations

import os
from typing import Final

import numpy as np
import numpy.typing as npt

from model_store.churn.correction import ChurnCorrection
from model_store.churn.visits import VISIT_NAMES
from model_store.companion import Companion, Perceptron
from model_store.encoder import Encoder
from model_store.features.statistics import EncoderStatistics
from model_store.item_index import ExactIndex
from model_store.kernels import kept_in
from model_store.serving import ServedModel
from model_store.session_purchase import SessionPurchase, feature_count
from model_store.specification import ACTION_NAMES, NetworkSpecification
from producers.events import EVENT_TYPES
from streamer.warming import warm

_HOUR_MS: Final = 3_600_000


def main() -> None:
    """Compile what is not in the cache yet, and say where it went."""
    warm(_model())
    cache = kept_in()
    if os.access(cache, os.W_OK):
        print(f"The kernels are compiled, in {cache}")
    else:
        print(f"{cache} cannot be written: each process compiles the kernels for itself, in 20 s of CPU")


def _model() -> ServedModel:
    """Return a model that says nothing, with every part that an artifact may have."""
    statistics = EncoderStatistics(0.0, 1.0, timed=True, daily=True, weekly=True)
    encoder = Encoder(["", "a", "b"], ["", "c"], np.ones(3, np.int64), statistics)
    specification = NetworkSpecification(
        network="gru",
        units=8,
        item_dimensions=8,
        event_type_dimensions=2,
        category_dimensions=2,
        numeric_features=encoder.numeric_features,
        item_count=len(encoder.items),
        category_count=len(encoder.categories),
        event_type_count=len(EVENT_TYPES),
        window_size=4,
        action_names=ACTION_NAMES,
        hazard_edges_ms=(0, _HOUR_MS),
        churn_horizon_ms=_HOUR_MS,
        item_logit_scale=1.0,
        timed=True,
        own_items=True,
    )
    weights = {name: _zeros(*shape) for name, shape in specification.weight_shapes().items()}
    bins = len(specification.hazard_edges_ms)
    companion = Companion(_perceptron(encoder, len(ACTION_NAMES)), 0.5, _perceptron(encoder, 1), 0.5)
    return ServedModel(
        "nothing",
        "0001",
        1,
        specification,
        weights,
        encoder,
        ExactIndex(weights["item_vectors"]),
        session_purchase=SessionPurchase(_zeros(feature_count(specification)), 0.0),
        churn=ChurnCorrection(np.ones(bins), np.zeros((len(VISIT_NAMES), bins)), np.zeros(bins)),
        companion=companion,
    )


def _perceptron(encoder: Encoder, outputs: int) -> Perceptron:
    """Return one of a single hidden unit."""
    read = encoder.numeric_features + len(EVENT_TYPES)
    return Perceptron(_zeros(read, outputs), _zeros(read, 1), _zeros(1), _zeros(1, outputs), _zeros(outputs))


def _zeros(*shape: int) -> npt.NDArray[np.float32]:
    return np.zeros(shape, np.float32)


if __name__ == "__main__":
    main()
