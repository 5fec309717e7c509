"""A model of a given size in a model store: untrained, since speed does not ask what a model has learned."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.support.workload import Workload, item_id
from model_store.artifacts import ModelStore
from model_store.encoder import Encoder
from model_store.item_index import build_item_index, save_item_index
from model_store.specification import KERAS_FILE, save_network
from model_store.windows import category_fingerprint, item_fingerprint, pack_row, rows_of
from producers.events import Event

CLUSTERS_PER_ITEM = 1 / 50
CLUSTER_SPREAD = 0.4
DAY_MS = 86_400_000


def write_model(
    root: Path, workload: Workload, *, units: int, window_size: int, name: str = "gru", network: str = "gru"
) -> str:
    """Write a ``network`` over the whole catalogue of ``workload``, promote it, and return its version.

    Item vectors lie in clusters, as learned ones do: an index over vectors without any structure would
    measure nothing that occurs.
    """
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
    built = build_network(specification, 0.0, seed=1)
    store = ModelStore(root)
    with store.writing(name) as writing:
        encoder.save(writing.directory)
        save_network(writing.directory, specification, serving_weights(specification, built, vectors))
        build_saved_model(specification, built, vectors).save(writing.directory / KERAS_FILE)
        save_item_index(writing.directory, build_item_index(vectors))
    store.promote(name, writing.version)
    return writing.version


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
    return Encoder(items, fitted.categories, counts, fitted.statistics)
