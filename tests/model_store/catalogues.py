"""Item vectors for tests of indexes."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def unit(vectors: npt.NDArray[np.float64]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = vectors / np.maximum(lengths, 1e-9)
    return scaled.astype(np.float32)


def clustered_catalogue(items: int, dimensions: int, clusters: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(clusters, dimensions))
    vectors = centres[generator.integers(0, clusters, items + 1)]
    vectors += 0.5 * generator.normal(size=vectors.shape)
    vectors[0] = 0
    return unit(vectors)
