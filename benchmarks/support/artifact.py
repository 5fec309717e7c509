"""A model of a given size in a model store: untrained, since speed does not ask what a model has learned."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.support.workload import Workload, item_id
from foreclick.quiet import importing_tensorflow
from model_store.artifacts import ModelStore
from model_store.churn.correction import ChurnCorrection
from model_store.churn.visits import VISIT_NAMES
from model_store.companion import Companion, Perceptron
from model_store.encoder import Encoder
from model_store.features.table import companion_features
from model_store.item_index import build_item_index, save_item_index
from model_store.own_items import OWN_RANKS
from model_store.session_purchase import SessionPurchase, feature_count
from model_store.specification import KERAS_FILE, NetworkSpecification, save_network
from model_store.windows import category_fingerprint, item_fingerprint, pack_row, rows_of
from producers.events import EVENT_TYPES, Event

CLUSTERS_PER_ITEM = 1 / 50
CLUSTER_SPREAD = 0.4
DAY_MS = 86_400_000
COMPANION_UNITS = 72  # three fits of 24, side by side
COMPANION_SHARE = 0.5
SMALL = 0.05


def write_model(
    root: Path,
    workload: Workload,
    *,
    units: int,
    window_size: int,
    name: str = "gru",
    network: str = "gru",
    seed: int = 1,
    promote: bool = True,
) -> str:
    """Write a ``network`` over the whole catalogue of ``workload``, and return its version.

    It has every part that training by default writes for a log of this kind: the companion, the correction
    of the hazard, the purchase in the session, the offsets of own items. Item vectors lie in clusters, as
    learned ones do: an index over vectors without any structure would measure nothing that occurs.
    """
    with importing_tensorflow():
        from model_store.networks.building import build_network, build_saved_model, serving_weights
        from model_store.networks.specifying import specify

    encoder = _encoder(workload)
    specification = specify(
        encoder,
        network=network,
        units=units,
        item_dimensions=units,
        window_size=window_size,
        churn_horizon_ms=7 * DAY_MS,
    )
    vectors = clustered_vectors(len(encoder.items), units)
    built = build_network(specification, 0.0, seed=seed)
    random = np.random.default_rng(seed)
    offsets = _small(random, OWN_RANKS)
    store = ModelStore(root)
    with store.writing(name) as writing:
        encoder.save(writing.directory)
        weights = serving_weights(specification, built, vectors, offsets)
        save_network(writing.directory, specification, weights)
        build_saved_model(specification, built, vectors).save(writing.directory / KERAS_FILE)
        save_item_index(writing.directory, build_item_index(vectors))
        _add_fitted_parts(writing.directory, encoder, specification, random)
    if promote:
        store.promote(name, writing.version)
    return writing.version


def _add_fitted_parts(
    directory: Path, encoder: Encoder, specification: NetworkSpecification, random: np.random.Generator
) -> None:
    """Write what training fits behind the network, with small weights that mean nothing."""
    beside = companion_features(encoder.features, encoder.statistics)
    encoder.tell_extra(beside)
    read = encoder.numeric_features + encoder.extra_features + len(EVENT_TYPES)

    def perceptron(outputs: int) -> Perceptron:
        shapes = {
            "direct": (read, outputs),
            "hidden_kernel": (read, COMPANION_UNITS),
            "hidden_bias": (COMPANION_UNITS,),
            "kernel": (COMPANION_UNITS, outputs),
            "bias": (outputs,),
        }
        return Perceptron(**{name: _small(random, *shapes[name]) for name in Perceptron._fields})

    action, session = perceptron(len(specification.action_names)), perceptron(1)
    names = tuple(feature.name for feature in beside)
    bins = len(specification.hazard_edges_ms)
    SessionPurchase(_small(random, feature_count(specification)), 0.0).save(directory)
    if not specification.recurrent:
        return  # without the searched network, which only a recurrent one keeps, training fits no more
    Companion(action, COMPANION_SHARE, session, COMPANION_SHARE, names).save(directory)
    kernel = random.normal(scale=SMALL, size=(len(VISIT_NAMES), bins))
    ChurnCorrection(np.ones(bins), kernel, np.zeros(bins)).save(directory)


def _small(random: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    return random.normal(scale=SMALL, size=shape).astype(np.float32)


def clustered_vectors(count: int, dimensions: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return unit vectors float32[count, dimensions] in clusters; row 0 is zero."""
    random = np.random.default_rng(seed)
    clusters = max(1, round(count * CLUSTERS_PER_ITEM))
    centres = random.normal(size=(clusters, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    spread = random.normal(size=(count, dimensions)) * CLUSTER_SPREAD / np.sqrt(dimensions)
    vectors = centres[random.integers(clusters, size=count)] + spread
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    return np.asarray(vectors, dtype=np.float32)


def _encoder(workload: Workload) -> Encoder:
    sample: Iterable[Event] = islice(workload, 20_000)
    events = list(sample)
    categories = {one.category for one in events if one.category is not None}
    fitted = Encoder.fit(
        rows_of([pack_row(one) for one in events]),
        {item_fingerprint(one.item_id): one.item_id for one in events if one.item_id is not None},
        {category_fingerprint(category): category for category in categories},
        min_count=1,
        timed=True,
    )
    items = ["", *(item_id(number) for number in range(workload.items))]
    counts = np.ones(len(items), dtype=np.int64)
    return Encoder(items, fitted.categories, counts, fitted.statistics, fitted.features)
