"""The network in Keras: how it is built, how it is saved, and which arrays serving gets of it.

Training works on the `body`, which reads item vectors; the saved model puts the item vectors in front and
the probabilities behind. Both are made of standard Keras layers only, so `model.keras` loads anywhere.
Sequences are padded on the right. The cell runs forward in time, so what stands behind the last event
of a sequence changes none of its outputs, and no mask is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from model_store.encoder import DAY_MS, NUMERIC_NAMES
from model_store.errors import TrainingError
from model_store.specification import ACTION_NAMES, NetworkSpecification
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    import numpy.typing as npt

    from model_store.encoder import Encoder

MINUTE_MS: Final = 60_000
HAZARD_BINS: Final = 24
ITEM_LOGIT_SCALE: Final = 14.0
_CATEGORY_DIMENSIONS: Final = 16
_EVENT_TYPE_DIMENSIONS: Final = 8
_CELLS: Final = {"gru": keras.layers.GRU}


def specify(
    encoder: Encoder,
    *,
    cell: str,
    units: int,
    item_dimensions: int,
    window_size: int,
    churn_horizon_ms: int | None,
) -> NetworkSpecification:
    """Return the specification of a network over ``encoder``'s inputs.

    Raises `TrainingError` when there is no such cell.
    """
    if cell not in _CELLS:
        raise TrainingError(f"there is no cell {cell!r}; choose one of {', '.join(_CELLS)}")
    timed = encoder.statistics.timed
    return NetworkSpecification(
        cell=cell,
        units=units,
        item_dimensions=item_dimensions,
        event_type_dimensions=_EVENT_TYPE_DIMENSIONS,
        category_dimensions=_CATEGORY_DIMENSIONS,
        numeric_features=len(NUMERIC_NAMES),
        item_count=len(encoder.items),
        category_count=len(encoder.categories),
        event_type_count=len(EVENT_TYPES),
        window_size=window_size,
        action_names=ACTION_NAMES,
        hazard_edges_ms=hazard_edges_ms() if timed else (),
        churn_horizon_ms=churn_horizon_ms if timed else None,
        item_logit_scale=ITEM_LOGIT_SCALE,
        timed=timed,
    )


def hazard_edges_ms() -> tuple[int, ...]:
    """Return the lower edges of the hazard's bins: 0, then even in the logarithm from 1 minute to 30 days."""
    spaced = np.geomspace(MINUTE_MS, 30 * DAY_MS, HAZARD_BINS - 1)
    return (0, *(round(edge) for edge in spaced))


def build_body(specification: NetworkSpecification, dropout: float, seed: int) -> keras.Model:
    """Return the trainable part, without the item vectors.

    It reads ``item_vectors`` float32 [B, T, D], ``event_type`` and ``category`` int32 [B, T] and ``numeric``
    float32 [B, T, F]; it returns the logits ``next_action`` [B, T, A] and ``hazard`` [B, T, K] and the
    unit vectors ``query`` [B, T, D]. ``dropout`` is the share of the inputs that training hides.
    """
    keras.utils.set_random_seed(seed)
    item_vectors = keras.Input((None, specification.item_dimensions), name="item_vectors")
    event_type = keras.Input((None,), dtype="int32", name="event_type")
    category = keras.Input((None,), dtype="int32", name="category")
    numeric = keras.Input((None, specification.numeric_features), name="numeric")
    embed = keras.layers.Embedding
    event_type_vectors = embed(
        specification.event_type_count, specification.event_type_dimensions, name="event_type_vectors"
    )(event_type)
    category_vectors = embed(
        specification.category_count, specification.category_dimensions, name="category_vectors"
    )(category)
    hide = keras.layers.Dropout
    shown_items = hide(dropout, seed=seed, name="hide_items")(item_vectors)
    shown_categories = hide(dropout, seed=seed + 1, name="hide_categories")(category_vectors)
    read = keras.layers.Concatenate(name="read")([shown_items, event_type_vectors, shown_categories, numeric])
    cell = _CELLS[specification.cell](specification.units, return_sequences=True, name="cell")
    state = cell(read)  # [B, T, H]
    outputs = {"next_action": keras.layers.Dense(len(specification.action_names), name="action")(state)}
    if specification.hazard_edges_ms:
        outputs["hazard"] = keras.layers.Dense(len(specification.hazard_edges_ms), name="hazard")(state)
    asked = keras.layers.Concatenate(name="ask")([state, shown_items])
    query = keras.layers.Dense(specification.item_dimensions, name="query")(asked)
    outputs["query"] = keras.layers.UnitNormalization(name="unit_query")(query)
    inputs = {
        "item_vectors": item_vectors,
        "event_type": event_type,
        "category": category,
        "numeric": numeric,
    }
    return keras.Model(inputs, outputs, name="body")


def build_saved_model(
    specification: NetworkSpecification, body: keras.Model, item_vectors: npt.NDArray[np.float32]
) -> keras.Model:
    """Return the whole model: indices in, probabilities out.

    It reads ``item``, ``event_type`` and ``category`` int32 [B, T] and ``numeric`` float32 [B, T, F], and
    returns at every position ``next_action`` and ``hazard`` as probabilities and ``query`` as a unit vector.
    ``item_vectors`` [V, D] are unit vectors.
    """
    item = keras.Input((None,), dtype="int32", name="item")
    event_type = keras.Input((None,), dtype="int32", name="event_type")
    category = keras.Input((None,), dtype="int32", name="category")
    numeric = keras.Input((None, specification.numeric_features), name="numeric")
    embedding = keras.layers.Embedding(*item_vectors.shape, name="item_vectors")
    inner = body(
        {
            "item_vectors": embedding(item),
            "event_type": event_type,
            "category": category,
            "numeric": numeric,
        }
    )
    embedding.set_weights([item_vectors])
    outputs = {
        "next_action": keras.layers.Softmax(name="next_action")(inner["next_action"]),
        "query": inner["query"],
    }
    if specification.hazard_edges_ms:
        outputs["hazard"] = keras.layers.Activation("sigmoid", name="hazard")(inner["hazard"])
    inputs = {"item": item, "event_type": event_type, "category": category, "numeric": numeric}
    return keras.Model(inputs, outputs, name="foreclick")


def serving_weights(
    specification: NetworkSpecification, body: keras.Model, item_vectors: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of `weights.npz`, named as `NetworkSpecification.weight_shapes` names them."""
    weights: dict[str, Any] = {"item_vectors": item_vectors}
    for layer in ("event_type_vectors", "category_vectors"):
        (weights[layer],) = body.get_layer(layer).get_weights()
    prefix = specification.cell
    names = (f"{prefix}_kernel", f"{prefix}_recurrent_kernel", f"{prefix}_bias")
    weights |= zip(names, body.get_layer("cell").get_weights(), strict=True)
    heads = ("action", "hazard", "query") if specification.hazard_edges_ms else ("action", "query")
    for head in heads:
        weights[f"{head}_kernel"], weights[f"{head}_bias"] = body.get_layer(head).get_weights()
    return weights


def unit_vectors(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows of ``vectors`` [V, D] at length 1; a zero row stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: npt.NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-6))
    return units
