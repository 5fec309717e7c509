"""Our training and plain Keras, in turn, over the same batches of windows.

`python -m benchmarks.support.training_rounds LOG DIRECTORY ROUNDS KERAS_STEPS OUR_STEPS`; the last line is
JSON. Keras is `model.fit` on an embedding, a GRU and a softmax over all items, in the sizes of our network,
and learns the next item alone: no features, no other heads. It gets the same padded batches, so an event
costs it the same steps.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.support.train_once import Moment, read_table, say
from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings

with importing_tensorflow():
    import keras
    import tensorflow as tf

from model_store.batches import Batch, Samples
from model_store.encoder import Encoder
from model_store.learner import Learner
from model_store.networks.specifying import specify
from model_store.parts import part_between
from model_store.specification import NetworkSpecification
from model_store.training_settings import TrainingSettings

SETTINGS = TrainingSettings(window_size=Settings().window_size)


class Rates(NamedTuple):
    """Scored events a second on the wall, and a second of CPU time of all threads."""

    events_per_s: float
    events_per_cpu_s: float

    def __str__(self) -> str:
        """Say both."""
        return f"{self.events_per_s:,.0f} events/s ({self.events_per_cpu_s:,.0f} a second of CPU time)"

    @classmethod
    def since(cls, begun: Moment, events: int) -> Rates:
        """Return the rates of ``events`` that were learned since ``begun``."""
        spent = Moment.now().since(begun)
        return cls(events / spent["wall_s"], events / spent["cpu_s"])


def prepared(log: Path, directory: Path) -> tuple[Samples, Learner, NetworkSpecification]:
    """Return the samples of a log, and a fresh network by the product's defaults."""
    table = read_table(log, directory / "table")
    part = part_between(table, 0.0, 1.0, timed=True)
    encoder = Encoder.fit(table.rows, table.item_ids, table.category_names, min_count=1, timed=True)
    specification = specify(
        encoder,
        network=SETTINGS.network,
        units=SETTINGS.units,
        item_dimensions=SETTINGS.item_dimensions,
        window_size=SETTINGS.window_size,
        churn_horizon_ms=None,
    )
    learner = Learner(
        specification,
        encoder,
        dropout=SETTINGS.dropout,
        hidden_item_share=0.02,
        sample_size=SETTINGS.negatives,
        seed=0,
    )
    return Samples.of(part, encoder, specification), learner, specification


def plain_keras(specification: NetworkSpecification) -> keras.Model:
    """Return the usual next-item network, compiled as a tutorial would."""
    item = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(specification.item_count, specification.item_dimensions)(item)
    state = keras.layers.GRU(specification.units, return_sequences=True)(vectors)
    model = keras.Model(item, keras.layers.Dense(specification.item_count)(state))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA would compile each length of a batch anew, which is no part of the comparison
    model.compile("adam", loss, jit_compile=False)
    return model


def keras_batch(batch: Batch) -> tuple[Any, Any, Any]:
    """Return items, next items and weights [B, T]: the weight is 1 where a next item is known."""
    following, weight = np.zeros(batch.item.size, np.int32), np.zeros(batch.item.size, np.float32)
    following[batch.with_item] = batch.next_item
    weight[batch.with_item] = batch.next_item > 0
    return batch.item, following.reshape(batch.item.shape), weight.reshape(batch.item.shape)


def keras_round(model: keras.Model, batches: list[Batch]) -> Rates:
    """Return the rates of `model.fit` over ``batches``."""

    def rows() -> Iterator[tuple[Any, Any, Any]]:
        yield from map(keras_batch, batches)

    whole = tf.TensorSpec([None, None], tf.int32)
    signature = (whole, whole, tf.TensorSpec([None, None], tf.float32))
    data = tf.data.Dataset.from_generator(rows, output_signature=signature)
    begun = Moment.now()
    model.fit(data, epochs=1, shuffle=False, verbose=0)
    return Rates.since(begun, events_of(batches))


def our_round(learner: Learner, samples: Samples, groups: list[Any]) -> Rates:
    """Return the rates of our steps, encoding included."""
    begun, events = Moment.now(), 0
    for group in groups:
        batch = samples.batch(group)
        learner.learn(batch, SETTINGS.learning_rate)
        events += len(batch.scored)
    return Rates.since(begun, events)


def events_of(batches: list[Batch]) -> int:
    """Return how many events the batches are scored at."""
    return sum(len(batch.scored) for batch in batches)


def main() -> None:
    """Run the rounds and print the rates of each."""
    log, directory, rounds, keras_steps, our_steps = sys.argv[1:]
    samples, learner, specification = prepared(Path(log), Path(directory))
    groups = samples.shuffled(SETTINGS.most_batch_events, np.random.default_rng(0))
    lengths = samples.windows.length
    padded = sum(int(lengths[group].max()) * len(group) for group in groups)
    endless = cycle(groups)
    model = plain_keras(specification)
    our_round(learner, samples, list(islice(endless, 2)))  # traces the graphs
    keras_round(model, [samples.batch(group) for group in islice(endless, 1)])
    ours, theirs = [], []
    for number in range(int(rounds)):
        ours.append(our_round(learner, samples, list(islice(endless, int(our_steps)))))
        theirs.append(
            keras_round(model, [samples.batch(group) for group in islice(endless, int(keras_steps))])
        )
        say(f"  round {number}: ours {ours[-1]}, Keras {theirs[-1]}")
    result = {
        "items": specification.item_count - 1,
        "batch_steps": SETTINGS.most_batch_events,
        "padding_share": 1 - int(lengths.sum()) / padded,
        "ours": [rates._asdict() for rates in ours],
        "keras": [rates._asdict() for rates in theirs],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
