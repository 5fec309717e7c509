"""One network being trained: its variables, its step, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model_store.batches import Batch, part_of
from model_store.distribution import ALONE
from model_store.hidden_items import hide_items
from model_store.losses import Losses, mean_action_loss, mean_hazard_loss
from model_store.networks.building import build_network, unit_vectors
from model_store.own_batch import mixed_losses, own_batch_logits, own_batch_signature
from model_store.own_items import OWN_RANKS
from model_store.row_adam import RowAdam
from model_store.sampled_softmax import NegativeSampler, catalogue_logits

if TYPE_CHECKING:
    from model_store.distribution import Together
    from model_store.encoder import Encoder
    from model_store.specification import NetworkSpecification

_GRADIENT_NORM = 5.0


class Answers(NamedTuple):
    """Logits ``next_action`` [P, A] and ``hazard`` [P, K] at scored events, ``query`` [Q, D], ``own`` [Q, M].

    ``own`` are the logits of the windows' own items; None if the network gives them none.
    """

    next_action: npt.NDArray[np.float32]
    hazard: npt.NDArray[np.float32] | None
    query: npt.NDArray[np.float32]
    own: npt.NDArray[np.float32] | None


class Learner:
    """Trains one network of ``specification`` on batches. One ``seed`` gives one start and the same draws.

    A step lowers the sum of the losses, the next action's times ``action_weight``. It leaves ``own_offsets``
    [OWN_RANKS] alone, which `own_places` fits.
    """

    def __init__(
        self,
        specification: NetworkSpecification,
        encoder: Encoder,
        *,
        dropout: float,
        hidden_item_share: float,
        sample_size: int,
        seed: int,
        action_weight: float = 1.0,
        together: Together = ALONE,
    ) -> None:
        self.specification = specification
        self._action_weight = action_weight
        self._together = together
        self.network = build_network(specification, dropout, seed)
        self._hidden_item_share = hidden_item_share
        self._sampler = NegativeSampler(encoder.item_counts, sample_size)
        self._generator = np.random.default_rng(seed)
        self.own_offsets = np.zeros(OWN_RANKS, np.float32)
        shape = (specification.item_count, specification.item_dimensions)
        start = self._generator.normal(0.0, shape[1] ** -0.5, shape).astype(np.float32)
        self._rows = RowAdam(tf.Variable(start))
        self._optimizer = keras.optimizers.Adam(global_clipnorm=_GRADIENT_NORM)
        self._optimizer.build(self.network.trainable_variables)
        self._step = tf.function(self._traced_step, input_signature=_signature(specification, training=True))
        self._answer = tf.function(
            self._traced_answer, input_signature=_signature(specification, training=False)
        )

    def learn(self, batch: Batch, learning_rate: float) -> Losses:
        """Take one step of Adam on ``batch``, each process on its part; return the losses before the step."""
        item, reachable = hide_items(batch, self._hidden_item_share, self._generator)
        negatives = self._sampler.draw(self._generator)
        read = [item.reshape(-1), batch.next_item, negatives.items]
        rows, places = np.unique(np.concatenate(read), return_inverse=True)
        item_places, true_places, negative_places = np.split(
            places.astype(np.int32), np.cumsum([len(items) for items in read])[:-1]
        )
        whole = batch._replace(item=item_places.reshape(item.shape))
        part = part_of(whole, self._together.number, self._together.count)
        losses = self._step(
            part.batch,
            rows,
            true_places[part.asked],
            negative_places,
            negatives.log_expected,
            reachable[part.asked],
            part.shares,
            np.float32(learning_rate),
        )
        return Losses(*(float(loss) for loss in losses))

    def answer(self, batch: Batch) -> Answers:
        """Return the heads at the scored events of ``batch``, nothing hidden."""
        answers = self._answer(batch)
        hazard = answers["hazard"].numpy() if "hazard" in answers else None
        own = answers["own"].numpy() if "own" in answers else None
        return Answers(answers["next_action"].numpy(), hazard, answers["query"].numpy(), own)

    def item_vectors(self) -> npt.NDArray[np.float32]:
        """Return the unit vectors of the items, float32 [V, D]."""
        return unit_vectors(self._rows.table.numpy())

    def values(self) -> list[npt.NDArray[Any]]:
        """Return copies of all variables that a run goes on from, in a fixed order."""
        return [variable.numpy().copy() for variable in self._variables()]

    def set_values(self, values: list[npt.NDArray[Any]]) -> None:
        """Set all variables to what `values` of such a learner returned."""
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)

    def _variables(self) -> list[Any]:
        # the states of the dropout's generators are among the network's variables
        return [*self.network.variables, *self._optimizer.variables, *self._rows.variables]

    @property
    def generator(self) -> np.random.Generator:
        """The source of all draws but the dropout's, whose state is among the variables."""
        return self._generator

    def _traced_step(
        self,
        batch: Batch,
        rows: tf.Tensor,
        true_places: tf.Tensor,
        negative_places: tf.Tensor,
        log_expected: tf.Tensor,
        reachable: tf.Tensor,
        shares: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        table_rows = tf.gather(self._rows.table, rows)  # [U, D]
        with tf.GradientTape() as tape:
            tape.watch(table_rows)
            vectors = tf.math.l2_normalize(table_rows, axis=1)
            outputs = self._outputs(batch, tf.gather(vectors, batch.item), training=True)
            log_sums, true_logits = catalogue_logits(
                outputs["query"],
                tf.gather(vectors, true_places),
                true_places,
                tf.gather(vectors, negative_places),
                negative_places,
                log_expected,
                self.specification.item_logit_scale,
            )
            catalogue_loss = shares[0] * _mean_of(log_sums - true_logits, batch.next_item > 0)
            item_loss, own_loss = catalogue_loss, tf.constant(0.0)
            if "own" in outputs:
                # the catalogue learns as if alone: own items would explain the repeats that teach it most
                mixed = mixed_losses(
                    tf.stop_gradient(log_sums),
                    tf.stop_gradient(true_logits),
                    reachable,
                    outputs["own"],
                    batch.own.is_next,
                )
                item_loss = own_loss = shares[1] * _mean_of(mixed, tf.ones_like(reachable))
            action_loss = shares[2] * mean_action_loss(outputs["next_action"], batch.next_action)
            hazard_loss = tf.constant(0.0)
            if "hazard" in outputs:
                hazard_loss = shares[3] * mean_hazard_loss(
                    outputs["hazard"], batch.gap_bin, batch.survived, batch.returned
                )
            total = catalogue_loss + own_loss + self._action_weight * action_loss + hazard_loss
        trained = self.network.trainable_variables
        gradients, row_gradient = tape.gradient(
            total, (trained, table_rows), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        # dense, so that a norm is that of a vector's whole gradient, wherever in the batch it comes from
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        *gradients, row_gradient, item_loss, action_loss, hazard_loss = self._together.summed(
            [*dense, row_gradient, item_loss, action_loss, hazard_loss]
        )
        self._optimizer.learning_rate.assign(learning_rate)
        self._optimizer.apply_gradients(zip(gradients, trained, strict=True))
        self._rows.apply(rows, row_gradient, learning_rate)
        return item_loss, action_loss, hazard_loss

    def _traced_answer(self, batch: Batch) -> dict[str, tf.Tensor]:
        vectors = tf.math.l2_normalize(self._rows.table, axis=1)
        return self._outputs(batch, tf.gather(vectors, batch.item), training=False)

    def _outputs(self, batch: Batch, item_vectors: tf.Tensor, *, training: bool) -> dict[str, tf.Tensor]:
        """Return the heads at the scored events, query and own logits at those that ask for an item."""
        outputs = self.network(
            {
                "item_vectors": item_vectors,
                "event_type": batch.event_type,
                "category": batch.category,
                "numeric": batch.numeric,
            },
            training=training,
        )
        of_item = ("query", "own")
        outputs = {
            name: _at(value, batch.with_item if name in of_item else batch.scored)
            for name, value in outputs.items()
        }
        if "own" in outputs:
            outputs["own"] = own_batch_logits(outputs["own"], batch.own)
        return outputs


def _at(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Return the ``places`` [P] of ``values`` [B, T, N] as [P, N]."""
    return tf.gather(tf.reshape(values, [-1, values.shape[-1]]), places)


def _mean_of(values: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    """Return the mean of ``values`` where ``kept``, 0 if that is nowhere."""
    weights = tf.cast(kept, tf.float32)
    return tf.reduce_sum(values * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)


def _signature(specification: NetworkSpecification, *, training: bool) -> list[object]:
    whole = tf.TensorSpec([None, None], tf.int32)
    indices = tf.TensorSpec([None], tf.int32)
    numbers = tf.TensorSpec([None], tf.float32)
    batch = Batch(
        item=whole,
        event_type=whole,
        category=whole,
        numeric=tf.TensorSpec([None, None, specification.numeric_features], tf.float32),
        scored=indices,
        next_action=indices,
        gap_bin=indices,
        survived=numbers,
        returned=numbers,
        with_item=indices,
        next_item=indices,
        own=own_batch_signature(),
    )
    if not training:
        return [batch]
    flags = tf.TensorSpec([None], tf.bool)
    return [batch, indices, indices, indices, numbers, flags, numbers, tf.TensorSpec([], tf.float32)]
