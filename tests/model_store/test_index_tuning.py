"""The choice of lists and probes against exact answers."""

import numpy as np
import numpy.typing as npt
import pytest

from model_store.index_tuning import MEASURED_QUERIES, sampled_queries, tuned_index
from model_store.item_index import ExactIndex

ITEMS, DIMENSIONS = 4_000, 8


@pytest.fixture(scope="module")
def vectors() -> npt.NDArray[np.float32]:
    """4,000 items in 400 tight clusters: more clusters than the fewest lists."""
    generator = np.random.default_rng(1)
    centres = generator.normal(size=(400, DIMENSIONS))
    scattered = centres[np.arange(ITEMS + 1) % 400] + 0.1 * generator.normal(size=(ITEMS + 1, DIMENSIONS))
    scattered /= np.linalg.norm(scattered, axis=1, keepdims=True)
    return scattered.astype(np.float32)


def test_the_sample_is_half_of_the_models_queries(vectors: npt.NDArray[np.float32]) -> None:
    own = np.eye(DIMENSIONS, dtype=np.float32)[np.zeros(2_000, int)]
    sample, source = sampled_queries(vectors, own, seed=3)
    assert len(sample) == MEASURED_QUERIES
    assert (sample == own[0]).all(axis=1).sum() == MEASURED_QUERIES // 2
    assert source == "the model's queries and noisy item vectors"
    assert np.linalg.norm(sample, axis=1) == pytest.approx(np.ones(MEASURED_QUERIES), abs=1e-5)


def test_few_queries_of_the_model_are_all_taken(vectors: npt.NDArray[np.float32]) -> None:
    own = np.eye(DIMENSIONS, dtype=np.float32)[:3]
    sample, _ = sampled_queries(vectors, own, seed=3)
    assert {tuple(row) for row in own.tolist()} <= {tuple(row) for row in sample.tolist()}
    assert len(sample) == MEASURED_QUERIES


def test_the_probes_are_the_fewest_that_suffice(vectors: npt.NDArray[np.float32]) -> None:
    sample, _ = sampled_queries(vectors, None, seed=4)
    wanted, _ = ExactIndex(vectors).search(sample, 20)
    tuned = tuned_index(vectors, sample, wanted, 0.95, seed=0)
    assert tuned is not None

    def shares(probes: int) -> list[float]:
        tuned.index.nprobe = probes
        found = tuned.index.search(sample, 20)[1]
        return [len({*a} & {*b}) / 20 for a, b in zip(found.tolist(), wanted.tolist(), strict=True)]

    def lower(values: list[float]) -> float:
        return float(np.mean(values) - 2 * np.std(values) / np.sqrt(len(values)))

    assert np.mean(shares(tuned.probes)) == pytest.approx(tuned.recall, abs=1e-6)
    assert lower(shares(tuned.probes)) >= 0.95
    assert tuned.probes > 1
    assert lower(shares(tuned.probes - 1)) < 0.95
    assert tuned.cost == pytest.approx(tuned.probes * ITEMS / tuned.lists + tuned.lists / 2)


def test_the_same_seed_gives_the_same_index(vectors: npt.NDArray[np.float32]) -> None:
    sample, _ = sampled_queries(vectors, None, seed=4)
    wanted, _ = ExactIndex(vectors).search(sample, 20)
    one, two = (tuned_index(vectors, sample, wanted, 0.9, seed=5) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.lists, one.probes, one.recall) == (two.lists, two.probes, two.recall)
    assert one.index.search(sample, 20)[1].tolist() == two.index.search(sample, 20)[1].tolist()


def test_without_structure_no_index_is_worth_it() -> None:
    vectors = np.random.default_rng(6).normal(size=(4_000, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sample, _ = sampled_queries(vectors, None, seed=7)
    wanted, _ = ExactIndex(vectors).search(sample, 20)
    assert tuned_index(vectors, sample, wanted, 0.99, seed=0) is None
