"""From a trained network to the files of an artifact."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from model_store.item_index import ExactIndex, build_item_index, save_item_index
from model_store.networks.building import build_saved_model, serving_weights
from model_store.specification import KERAS_FILE, save_network

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from model_store.batches import Samples
    from model_store.coded_lists import Told
    from model_store.encoder import Encoder
    from model_store.learner import Learner
    from model_store.specification import Weights

SEARCHED_DIRECTORY: Final = "searched"
_INDEX_QUERY_EVENTS: Final = 4_000


class Stage(NamedTuple):
    """A network, its encoder, and the samples that it learns."""

    learner: Learner
    encoder: Encoder
    samples: Samples


def export(directory: Path, stage: Stage, told: Told | None = None) -> None:
    """Write the network, its encoder, the saved Keras model and the item index into ``directory``.

    ``told`` is called as a large index is built; see `build_item_index`.
    """
    learner, encoder, samples = stage
    item_vectors = learner.item_vectors()
    specification = learner.specification
    encoder.save(directory)
    save_network(directory, specification, _weights(learner, item_vectors))
    build_saved_model(specification, learner.network, item_vectors).save(directory / KERAS_FILE)
    batches = samples.sampled(_INDEX_QUERY_EVENTS).in_order(_INDEX_QUERY_EVENTS)
    queries = np.concatenate([learner.answer(batch).query for batch in batches])
    save_item_index(directory, build_item_index(item_vectors, queries, told=told))


def export_searched(directory: Path, stage: Stage) -> None:
    """Write the network of a search into ``directory``, for those who fit something on the validation part.

    It serves without an index.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    learner, encoder, _ = stage
    item_vectors = learner.item_vectors()
    encoder.save(directory)
    save_network(directory, learner.specification, _weights(learner, item_vectors))
    save_item_index(directory, ExactIndex(item_vectors))


def _weights(learner: Learner, item_vectors: npt.NDArray[np.float32]) -> Weights:
    return serving_weights(learner.specification, learner.network, item_vectors, learner.own_offsets)
