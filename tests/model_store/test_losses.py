"""Losses against probabilities worked out another way."""

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from model_store.losses import hazard_labels, mean_action_loss, mean_hazard_loss
from model_store.row_adam import RowAdam
from model_store.sampled_softmax import NegativeSampler, next_item_losses
from model_store.survival import Survival

Floats = npt.NDArray[np.float32]

EDGES_MS = (0, 1_000, 3_000, 7_000)
LOGITS = np.array([0.3, -1.2, 0.8, -0.4], np.float32)
HAZARD = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))


def hazard_loss(gap_ms: int, *, returned: bool) -> float:
    labels = hazard_labels(np.array([gap_ms]), np.array([returned]), EDGES_MS)
    loss = mean_hazard_loss(LOGITS[None], labels.bin, labels.survived, np.array([returned], np.float32))
    return float(loss)


@pytest.mark.parametrize("gap_ms", [0, 400, 1_000, 2_999, 5_000, 7_000, 9_500, 30_000])
def test_a_silence_that_was_seen_so_far_costs_the_log_of_its_survival(gap_ms: int) -> None:
    survival = Survival(EDGES_MS, horizon_ms=1)
    expected = -np.log(survival.survival(HAZARD[None], gap_ms)[0])
    assert hazard_loss(gap_ms, returned=False) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("gap_ms", "opens_ms", "closes_ms"),
    [(0, 0, 1_000), (999, 0, 1_000), (1_000, 1_000, 3_000), (8_000, 7_000, 11_000), (20_000, 19_000, 23_000)],
)
def test_a_next_event_costs_the_log_of_its_bin(gap_ms: int, opens_ms: int, closes_ms: int) -> None:
    survival = Survival(EDGES_MS, horizon_ms=1)
    before, after = (survival.survival(HAZARD[None], edge)[0] for edge in (opens_ms, closes_ms))
    assert hazard_loss(gap_ms, returned=True) == pytest.approx(-np.log(before - after), abs=1e-5)


def test_masked_actions_cost_nothing() -> None:
    logits = np.log(np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]], np.float32))
    labels = np.array([0, -1, 1], np.int32)
    assert float(mean_action_loss(logits, labels)) == pytest.approx((np.log(2) - np.log(0.8)) / 2, abs=1e-6)
    assert float(mean_action_loss(logits, np.full(3, -1, np.int32))) == 0


def item_losses(sampler: NegativeSampler, vectors: Floats, query: Floats, true: int, seed: int) -> float:
    negatives = sampler.draw(np.random.default_rng(seed))
    losses = next_item_losses(
        tf.constant(query[None]),
        tf.constant(vectors[[true]]),
        tf.constant([true]),
        tf.constant(vectors[negatives.items]),
        tf.constant(negatives.items),
        tf.constant(negatives.log_expected),
        5.0,
    )
    return float(losses[0])


@pytest.fixture
def vectors() -> Floats:
    drawn = np.random.default_rng(3).normal(size=(301, 8)).astype(np.float32)
    unit: Floats = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def full_softmax_loss(vectors: Floats, query: Floats, true: int) -> float:
    logits = 5.0 * vectors[1:].astype(np.float64) @ query
    return float(np.log(np.exp(logits).sum()) - logits[true - 1])


def test_a_small_catalogue_gets_the_softmax_itself(vectors: Floats) -> None:
    sampler = NegativeSampler(np.arange(301), sample_size=150)
    assert sampler.is_whole
    expected = full_softmax_loss(vectors, vectors[7], 42)
    assert item_losses(sampler, vectors, vectors[7], 42, seed=0) == pytest.approx(expected, abs=1e-4)


def test_a_sample_estimates_the_whole_softmax(vectors: Floats) -> None:
    sampler = NegativeSampler(np.arange(301) ** 2, sample_size=100)
    assert not sampler.is_whole
    true_logit = 5.0 * float(vectors[42] @ vectors[7])
    sums = [np.exp(item_losses(sampler, vectors, vectors[7], 42, seed) + true_logit) for seed in range(400)]
    logits = 5.0 * vectors[1:] @ vectors[7]
    # the sum of the exponentials is what the sample estimates without bias
    assert np.mean(sums) == pytest.approx(np.exp(logits).sum(), abs=4 * np.std(sums) / 20)


def test_the_gradient_is_that_of_the_sum_written_out(vectors: Floats) -> None:
    negatives = NegativeSampler(np.arange(301) ** 2, sample_size=100).draw(np.random.default_rng(0))
    true = np.array([7, int(negatives.items[0]), 42], np.int32)  # the second is among the negatives
    query, targets = tf.constant(vectors[[1, 2, 3]]), tf.constant(vectors[true])
    offered, weight = tf.constant(vectors[negatives.items]), tf.constant([1.0, 2.0, 0.5])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([query, targets, offered])
        losses = next_item_losses(
            query, targets, tf.constant(true), offered, negatives.items, negatives.log_expected, 5.0
        )
        other = true[:, None] != negatives.items[None, :]
        terms = tf.exp(5.0 * query @ tf.transpose(offered)) / np.exp(negatives.log_expected)
        of_true = tf.exp(5.0 * tf.reduce_sum(query * targets, axis=1))
        share = of_true / (of_true + tf.reduce_sum(terms * other.astype(np.float32), axis=1))
        found, written_out = tf.reduce_sum(weight * losses), -tf.reduce_sum(weight * tf.math.log(share))
    assert float(found) == pytest.approx(float(written_out), rel=1e-5)
    for watched in (query, targets, offered):
        expected = tape.gradient(written_out, watched).numpy()
        assert tape.gradient(found, watched).numpy() == pytest.approx(expected, abs=1e-5)


def test_negatives_follow_the_power_of_popularity_and_never_hold_the_unknown() -> None:
    counts = np.array([1_000, 1, 4, 9, *([0] * 7)])
    sampler = NegativeSampler(counts, sample_size=1)
    sampler_items = np.concatenate([sampler.draw(np.random.default_rng(seed)).items for seed in range(4_000)])
    share = np.bincount(sampler_items, minlength=len(counts)) / len(sampler_items)
    roots = np.array([0, 1, 2, 3, *([1] * 7)])  # an item that was never counted is drawn like one seen once
    assert share == pytest.approx(roots / roots.sum(), abs=0.03)


def test_with_every_row_read_the_row_optimiser_is_adam() -> None:
    start = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    gradients = np.random.default_rng(1).normal(size=(4, 5, 3)).astype(np.float32)
    rows = RowAdam(tf.Variable(start))
    plain = tf.Variable(start)
    keras_adam = tf.keras.optimizers.Adam(0.01)
    for gradient in gradients:
        rows.apply(tf.range(5), tf.constant(gradient), tf.constant(0.01))
        keras_adam.apply_gradients([(tf.constant(gradient), plain)])
    assert rows.table.numpy() == pytest.approx(plain.numpy(), abs=1e-6)


def test_rows_that_are_not_read_stay() -> None:
    rows = RowAdam(tf.Variable(tf.ones([4, 2])))
    rows.apply(tf.constant([2]), tf.ones([1, 2]), tf.constant(0.1))
    assert rows.table.numpy()[[0, 1, 3]].tolist() == [[1, 1]] * 3
    assert rows.table.numpy()[2] == pytest.approx([0.9, 0.9], abs=1e-4)
