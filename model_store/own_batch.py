"""The window's own items as candidates in training: what a batch says of them, and their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model_store.own_items import OWN_RANKS, own_items
from model_store.windows import row_items

if TYPE_CHECKING:
    from model_store.encoder import Encoder
    from model_store.lookback import Lookback
    from model_store.windows import Rows

_ABSENT = -1e9


class OwnBatch(NamedTuple):
    """`own_items.OwnItems` of Q events as the network needs them, all [Q, M].

    ``indices`` int32 are the vocabulary's, 0 if it lacks the item; ``present`` bool tells where an item
    stands, ``is_next`` bool whether it is the next event's item too.
    """

    indices: npt.NDArray[np.int32]
    present: npt.NDArray[np.bool_]
    is_next: npt.NDArray[np.bool_]
    log_count: npt.NDArray[np.float32]
    same_session: npt.NDArray[np.float32]
    event_type: npt.NDArray[np.int32]

    def take(self, chosen: npt.NDArray[np.bool_] | slice) -> OwnBatch:
        """Return the events at ``chosen``."""
        return OwnBatch(
            self.indices[chosen],
            self.present[chosen],
            self.is_next[chosen],
            self.log_count[chosen],
            self.same_session[chosen],
            self.event_type[chosen],
        )


def own_batch(encoder: Encoder, lookback: Lookback, following: Rows) -> OwnBatch:
    """Return the own items of the Q events of ``lookback``; ``following`` [Q] are the next events."""
    own = own_items(lookback).narrowed()
    present = own.items != 0
    return OwnBatch(
        indices=encoder.indices_of_items(own.items),
        present=present,
        is_next=present & (own.items == row_items(following)[:, None]),
        log_count=own.log_count,
        same_session=own.same_session,
        event_type=own.event_type,
    )


def own_batch_signature() -> OwnBatch:
    """Return the tensor specifications of an `OwnBatch`."""
    indices, flags, numbers = (tf.TensorSpec([None, None], kind) for kind in (tf.int32, tf.bool, tf.float32))
    return OwnBatch(indices, flags, flags, numbers, numbers, indices)


def own_batch_logits(outputs: tf.Tensor, own: OwnBatch) -> tf.Tensor:
    """Return the logits [Q, M] as `own_items.own_logits` says, far below all others where no item stands."""
    ranks = tf.minimum(tf.range(tf.shape(own.present)[1]), OWN_RANKS - 1)
    logits = tf.gather(outputs, ranks, axis=1)
    logits += outputs[:, OWN_RANKS, None] * own.log_count
    logits += outputs[:, OWN_RANKS + 1, None] * own.same_session
    logits += tf.gather(outputs, OWN_RANKS + 2 + own.event_type, axis=1, batch_dims=1)
    return tf.where(own.present, logits, _ABSENT)


def mixed_losses(
    log_sums: tf.Tensor,
    true_logits: tf.Tensor,
    reachable: tf.Tensor,
    own_logits: tf.Tensor,
    is_next: tf.Tensor,
) -> tf.Tensor:
    """Return the negative log likelihood [Q] of the next items, among the catalogue and the own items.

    ``log_sums`` [Q] are the logs of the catalogue's sums, the true item's exp(``true_logits``) included.
    Where not ``reachable`` [Q], the vocabulary lacks the true item, or is made to: only as an own item can it
    be won, and the catalogue's term for it counts for nothing.
    """
    without = log_sums + tf.math.log1p(-tf.minimum(tf.exp(true_logits - log_sums), 1.0 - 1e-6))
    catalogue = tf.where(reachable, log_sums, without)
    own_true = tf.reduce_logsumexp(tf.where(is_next, own_logits, _ABSENT), axis=1)
    won = _log_add(tf.where(reachable, true_logits, _ABSENT), own_true)
    return _log_add(catalogue, tf.reduce_logsumexp(own_logits, axis=1)) - won


def _log_add(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.maximum(one, other) + tf.math.softplus(-tf.abs(one - other))
