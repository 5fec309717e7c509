"""The loss of the next item over a sample of the catalogue.

A softmax over tens of thousands of items costs more than the rest of the network together. Instead each
batch draws negatives with a known chance q(i) and adds exp(logit - log(n q(i))) for each of the n draws: that
sum estimates the whole softmax's sum over the items without bias (Bengio and Senecal 2008, "Adaptive
importance sampling"). The true item stands for itself and is left out of the draws. A small
catalogue needs no sample: all its items are the negatives, without correction, and the loss is the
softmax itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable

_EXCLUDED: Final = -1e9


class Negatives(NamedTuple):
    """Items to tell the true one from, int32 [N], and of each ``log_expected``, its log(n q), float32 [N]."""

    items: npt.NDArray[np.int32]
    log_expected: npt.NDArray[np.float32]


class NegativeSampler:
    """Draws negatives by popularity. Item 0, the unknown, is never drawn."""

    def __init__(self, item_counts: npt.NDArray[np.int64], sample_size: int, power: float = 0.5) -> None:
        """Take the counts [V], the draws a batch, and the power of the count that an item's chance follows.

        All items are the negatives where they are not more than twice ``sample_size``.
        """
        chance = np.maximum(item_counts[1:], 1).astype(np.float64) ** power
        chance /= chance.sum()
        self._size = sample_size
        self._cumulative = np.cumsum(chance)
        self._log_expected = np.log(chance * sample_size).astype(np.float32)
        everything = np.arange(1, len(item_counts), dtype=np.int32)
        self._whole = Negatives(everything, np.zeros(len(everything), np.float32))
        self.is_whole = len(everything) <= 2 * sample_size

    def draw(self, generator: np.random.Generator) -> Negatives:
        """Return the negatives of one batch, drawn with replacement."""
        if self.is_whole:
            return self._whole
        drawn = np.searchsorted(self._cumulative, generator.random(self._size), side="right")
        drawn = np.minimum(drawn, len(self._cumulative) - 1)
        return Negatives((drawn + 1).astype(np.int32), self._log_expected[drawn])


def next_item_losses(
    query: tf.Tensor,
    target_vectors: tf.Tensor,
    target_items: tf.Tensor,
    negative_vectors: tf.Tensor,
    negative_items: tf.Tensor,
    log_expected: tf.Tensor,
    scale: float,
) -> tf.Tensor:
    """Return the negative log likelihood [P] of the true next items; see `catalogue_logits`."""
    log_sums, true_logits = catalogue_logits(
        query, target_vectors, target_items, negative_vectors, negative_items, log_expected, scale
    )
    return log_sums - true_logits


def catalogue_logits(
    query: tf.Tensor,
    target_vectors: tf.Tensor,
    target_items: tf.Tensor,
    negative_vectors: tf.Tensor,
    negative_items: tf.Tensor,
    log_expected: tf.Tensor,
    scale: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the log of the catalogue's sum of exp(logit), and the true next items' logits, both [P].

    ``query`` and ``target_vectors`` are unit vectors [P, D], ``negative_vectors`` [N, D]; ``target_items``
    [P] and ``negative_items`` [N] are their indices; a logit is ``scale`` times a dot product.
    """
    asked = scale * query
    true_logits = tf.reduce_sum(asked * target_vectors, axis=1)  # [P]
    # the correction is one more dimension of the product: [P, N] is too large for a pass of its own
    asked = tf.concat([asked, tf.ones_like(asked[:, :1])], axis=1)
    offered = tf.concat([negative_vectors, -log_expected[:, None]], axis=1)
    is_true = tf.equal(target_items[:, None], negative_items[None, :])
    return _log_sums(asked, offered, true_logits, is_true), true_logits


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _log_sums(
    asked: tf.Tensor, offered: tf.Tensor, true_logits: tf.Tensor, is_true: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor | None, ...]]]:
    """Return the log of the sums [P] of exp over the true logit and the products with what is offered.

    Its gradient needs each exp once more, so they are kept, and no other [P, N] is made. No largest logit
    is taken off first: a logit is bounded by the scale and the correction, far below what float32 holds.
    """
    products = tf.matmul(asked, offered, transpose_b=True)
    terms = tf.exp(tf.where(is_true, tf.constant(_EXCLUDED), products))  # [P, N]
    true_terms = tf.exp(true_logits)
    sums = tf.reduce_sum(terms, axis=1) + true_terms

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        weight = upstream / sums
        return (
            tf.matmul(terms, offered) * weight[:, None],
            tf.matmul(terms, asked * weight[:, None], transpose_a=True),
            true_terms * weight,
            None,
        )

    return tf.math.log(sums), gradient
