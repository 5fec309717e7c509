"""Several processes that learn one network together, by `tf.distribute`.

Each process draws the same batches, the same hidden items and the same negatives from the same seed, and
computes the losses of its part of a batch's windows, weighted so that the parts' sum is the whole batch's
loss. The gradients are summed over the processes, and each process takes the same step. So every process
holds the same network at all times, and two of them learn what one would, but for the order of sums, and for
the dropout, whose masks each process draws for its own part.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import tensorflow as tf

from model_store.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Together(Protocol):
    """The processes of one run: this one is ``number`` (from 0) of ``count``."""

    number: int
    count: int

    def summed(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the sum of each of ``values`` over all processes; to be called in a `tf.function`."""

    def agreed(self, content: bytes) -> bytes:
        """Return what process 0 gave."""


class Alone:
    """The one process of a run."""

    number = 0
    count = 1

    def summed(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return ``values``."""
        return list(values)

    def agreed(self, content: bytes) -> bytes:
        """Return ``content``."""
        return content


class Workers:
    """One of several processes, joined by a `tf.distribute.MultiWorkerMirroredStrategy`.

    ``addresses`` are those of all, as host:port. The constructor waits for the others. Variables stay each
    process' own: the strategy is used for its collective sums alone. Raises `TrainingError` where TensorFlow
    has run in this process before, since a server for the others can then no longer be started.
    """

    def __init__(self, addresses: Sequence[str], number: int) -> None:
        self.number = number
        self.count = len(addresses)
        cluster = tf.train.ClusterSpec({"worker": list(addresses)})
        threads = max((os.cpu_count() or 1) // self.count, 1)
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy(
                cluster_resolver=tf.distribute.cluster_resolver.SimpleClusterResolver(
                    cluster, task_type="worker", task_id=number, rpc_layer="grpc"
                )
            )
        except RuntimeError as error:
            raise TrainingError(
                f"several processes can only be joined before anything is trained in this one: {error}"
            ) from error
        self._sum_bytes = tf.function(
            lambda content: self.summed([content])[0], input_signature=[tf.TensorSpec([None], tf.int32)]
        )

    def summed(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the sum of each of ``values`` over all processes; to be called in a `tf.function`."""

        def in_replica(*own: tf.Tensor) -> list[tf.Tensor]:
            # an identity is placed on the replica's device, which is how the sum knows where to be
            placed = [tf.identity(value) for value in own]
            replica = tf.distribute.get_replica_context()
            return list(replica.all_reduce(tf.distribute.ReduceOp.SUM, placed))

        return list(self._strategy.run(in_replica, args=tuple(values)))

    def agreed(self, content: bytes) -> bytes:
        """Return what process 0 gave."""
        given = (
            np.frombuffer(content, np.uint8).astype(np.int32) if self.number == 0 else np.empty(0, np.int32)
        )
        length = int(self._sum_bytes(np.array([len(given)], np.int32))[0])
        padded = np.zeros(length, np.int32)
        padded[: len(given)] = given
        return bytes(self._sum_bytes(padded).numpy().astype(np.uint8))


ALONE: Final = Alone()
