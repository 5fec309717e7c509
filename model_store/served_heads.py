"""The heads in NumPy, on whole batches: the hidden vector behind an event into what the model says there.

`model_store.networks.heads` is the same in Keras.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.kernels.heads import fill_answers, fill_query, finish_answers
from model_store.specification import IMPORTED, NetworkSpecification, Weights
from model_store.stepping import Floats


@dataclass(frozen=True)
class Heads:
    """What a model says after each event of a batch; None where the model has no such head.

    ``next_action`` float32[batch, actions] are probabilities in the order of `ServedModel.action_names`;
    ``hazard`` float32[batch, bins] is what `ServedModel.survival` reads; ``query`` float32[batch, dimensions]
    are the unit vectors that `ServedModel.next_items` reads, ``own`` float32[batch, OWN_OUTPUTS] what
    `own_items.own_logits` reads.
    """

    next_action: Floats | None
    hazard: Floats | None
    query: Floats | None
    own: Floats | None = None

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Heads:
        """Return the heads at ``chosen`` of the batch."""
        heads = {field.name: getattr(self, field.name) for field in fields(self)}
        return Heads(**{name: None if head is None else head[chosen] for name, head in heads.items()})


class ServedHeads:
    """The heads of one network."""

    def __init__(self, specification: NetworkSpecification, weights: Weights) -> None:
        self._actions = len(specification.action_names)
        self._bins = len(specification.hazard_edges_ms)
        self._dimensions = specification.item_dimensions
        of_item = [weights[f"{head}_kernel"][specification.units :] for head in _heads_of_item(specification)]
        self._kernel, self._bias = _joined_heads(specification, weights)
        self._of_type, self._of_numeric = _direct_kernels(specification, weights)
        self._item_vectors = weights["item_vectors"]
        self._of_item = np.concatenate(of_item, axis=1)

    def __call__(self, hidden: Floats, inputs: Inputs) -> Heads:
        """Return what the model says with ``hidden`` [batch, units] behind the events of ``inputs``."""
        count, actions, bins, dimensions = len(hidden), self._actions, self._bins, self._dimensions
        outputs = hidden @ self._kernel  # float32[batch, actions + bins + dimensions + own outputs]
        direct = inputs.numeric[:, : len(self._of_numeric)] @ self._of_numeric
        next_action, hazard = np.empty((count, actions), np.float32), np.empty((count, bins), np.float32)
        fill_answers(outputs, self._bias, self._of_type, inputs.event_type, direct, next_action, hazard)
        np.exp(next_action, out=next_action)
        np.tanh(hazard, out=hazard)
        finish_answers(next_action, hazard)
        of_item = self._item_vectors[inputs.item] @ self._of_item
        query = np.empty((count, dimensions), np.float32)
        own = np.empty((count, of_item.shape[1] - dimensions), np.float32)
        fill_query(outputs, self._bias, of_item, query, own)
        return Heads(next_action, hazard if bins else None, query, own if own.shape[1] else None)


class ImportedHeads:
    """The heads of an imported model, which says all itself: its "hidden vector" is its outputs in a row."""

    def __init__(self, specification: NetworkSpecification) -> None:
        ends = np.cumsum(list(specification.window_output_widths().values())).tolist()
        starts = [0, *ends]
        self._places = {
            name: slice(start, end)
            for name, start, end in zip(specification.window_output_widths(), starts, ends, strict=False)
        }

    def __call__(self, hidden: Floats, _inputs: Inputs) -> Heads:
        """Return the heads of ``hidden`` [batch, all outputs]."""
        return Heads(
            **{
                name: np.ascontiguousarray(hidden[:, self._places[name]]) if name in self._places else None
                for name in ("next_action", "hazard", "query")
            }
        )


def served_heads(specification: NetworkSpecification, weights: Weights) -> ServedHeads | ImportedHeads:
    """Return the heads of a network of ours, or of an imported model."""
    if specification.network == IMPORTED:
        return ImportedHeads(specification)
    return ServedHeads(specification, weights)


def _heads_of_item(specification: NetworkSpecification) -> tuple[str, ...]:
    """Return the heads that read the vector of the event's own item too, in order."""
    return ("query", "own") if specification.own_items else ("query",)


def _direct_kernels(specification: NetworkSpecification, weights: Weights) -> tuple[Floats, Floats]:
    """Return what actions and hazard do with types and with numbers: zeros, and no rows, if nothing."""
    heads = [head for head in specification.head_names() if head in ("action", "hazard")]
    direct = np.concatenate([weights[f"{head}_kernel"][specification.units :] for head in heads], axis=1)
    types = specification.event_type_count
    if not specification.direct_inputs:
        return np.zeros((types, direct.shape[1]), np.float32), direct[:0]
    return direct[:types], direct[types:]


def _joined_heads(specification: NetworkSpecification, weights: Weights) -> tuple[Floats, Floats]:
    """Return what all heads do with the hidden vector: one kernel [units, outputs], one bias [outputs]."""
    heads = specification.head_names()
    kernels = [weights[f"{head}_kernel"][: specification.units] for head in heads]
    biases = [weights[f"{head}_bias"] for head in heads]
    return np.concatenate(kernels, axis=1), np.concatenate(biases)
