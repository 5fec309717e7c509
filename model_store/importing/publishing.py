"""`foreclick models import`: from somebody's own Keras model to a version of the model store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from model_store.encoder import Encoder
from model_store.importing.archive import check_archive
from model_store.importing.failures import refuse
from model_store.importing.surgery import load_checked, servable
from model_store.importing.trials import shape_failures, trial_failures
from model_store.item_index import build_item_index, save_item_index
from model_store.specification import (
    IMPORTED,
    KERAS_FILE,
    METRICS_FILE,
    TRAINING_FILE,
    load_specification,
    save_network,
)

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from model_store.artifacts import ModelStore
    from model_store.specification import NetworkSpecification


def import_model(path: Path, store: ModelStore, encoder_from: tuple[str, str], name: str) -> str:
    """Check the Keras model in ``path``, publish it as a version of ``name``, and return that version.

    Its inputs are those of the encoder of ``encoder_from``, a model and a version of it, whose window
    size, hazard's bins and churn horizon it takes over. Raises `ModelRefusedError` with every failing
    check, or `ArtifactError`.
    """
    source = store.path(*encoder_from)
    encoder, trained = Encoder.load(source), load_specification(source)
    check_archive(path)
    loaded = load_checked(path)
    model, item_vectors = servable(loaded, trained.item_count)
    refuse(shape_failures(loaded, trained))
    refuse(trial_failures(model, trained))
    specification = _specification(model, trained, item_vectors.shape[1])
    with store.writing(name) as writing:
        directory = writing.directory
        encoder.save(directory)
        save_network(directory, specification, {"item_vectors": item_vectors})
        model.save(directory / KERAS_FILE)
        save_item_index(directory, build_item_index(item_vectors, exact=not item_vectors.shape[1]))
        origin = {
            "imported": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "encoder_from": "/".join(encoder_from),
        }
        (directory / TRAINING_FILE).write_bytes(msgspec.json.encode(origin))
        (directory / METRICS_FILE).write_bytes(msgspec.json.encode({"validation": {}, "test": None}))
    return writing.version


def _specification(
    model: keras.Model, trained: NetworkSpecification, item_dimensions: int
) -> NetworkSpecification:
    """Return the specification of an imported ``model``: its "hidden vector" is what it says itself."""
    has_hazard = "hazard" in model.output
    bare = replace(
        trained,
        network=IMPORTED,
        item_dimensions=item_dimensions,
        event_type_dimensions=0,
        category_dimensions=0,
        hazard_edges_ms=trained.hazard_edges_ms if has_hazard else (),
        churn_horizon_ms=trained.churn_horizon_ms if has_hazard else None,
        item_logit_scale=1.0,
        own_items=False,
    )
    return replace(bare, units=sum(bare.window_output_widths().values()))
