"""The losses of the next action and of the hazard, each a mean over the events that have a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Sequence


class Losses(NamedTuple):
    """The mean loss of each head, in nats; 0 where the network has no such head or a batch no such label."""

    item: float
    action: float
    hazard: float

    @property
    def total(self) -> float:
        """The plain sum, which the search goes by. Training weighs the action: see `Learner`."""
        return self.item + self.action + self.hazard


class HazardLabels(NamedTuple):
    """Where a user's silence ended, for each event [E].

    ``bin`` int32 is the bin of the next event or of the end of the known time. ``survived`` float32 is how
    much of that bin passed without an event, in bin lengths: for a next event the whole stretches before its
    own (over 0 only in the open last bin), for a censored one the share that was seen.
    """

    bin: npt.NDArray[np.int32]
    survived: npt.NDArray[np.float32]


def hazard_labels(
    gap_ms: npt.NDArray[np.int64], returned: npt.NDArray[np.bool_], edges_ms: Sequence[int]
) -> HazardLabels:
    """Return the labels of silences of ``gap_ms`` [E] that an event ended where ``returned`` [E]."""
    edges = np.asarray(edges_ms, np.int64)
    lengths = np.append(np.diff(edges), edges[-1] - edges[-2])
    place = np.searchsorted(edges, gap_ms, side="right") - 1
    passed = (gap_ms - edges[place]) / lengths[place]
    survived = np.where(returned, np.floor(passed), passed)
    return HazardLabels(place.astype(np.int32), survived.astype(np.float32))


def mean_hazard_loss(
    logits: tf.Tensor, bins: tf.Tensor, survived: tf.Tensor, returned: tf.Tensor
) -> tf.Tensor:
    """Return the mean negative log likelihood of the silences, censored ones included.

    With hazard h = sigmoid(logit), an event in bin k after bins 0 to k - 1 has the likelihood
    h_k times the product of 1 - h_j over j < k; a silence that was seen only so far has the product alone,
    its last factor to the power of the share seen. ``logits`` are [E, K], the others [E].
    """
    count = tf.shape(logits)[1]
    here = tf.one_hot(bins, count)  # [E, K]
    before = tf.sequence_mask(bins, count, dtype=tf.float32)  # [E, K]
    without = before + here * survived[:, None]
    event = here * returned[:, None]
    losses = event * tf.nn.softplus(-logits) + without * tf.nn.softplus(logits)
    return _mean(tf.reduce_sum(losses, axis=1), tf.ones_like(survived))


def mean_action_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the mean cross-entropy of ``logits`` [E, A] and ``labels`` int32 [E], a negative one masked."""
    known = tf.cast(labels >= 0, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    return _mean(losses, known)


def _mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    # no label in a batch means no loss, not 0 / 0
    return tf.reduce_sum(values * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)
