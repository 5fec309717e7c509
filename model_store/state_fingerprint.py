"""The fingerprint of all that decides a hidden state, by which states of another model are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xxhash

from model_store.cleaning.pipeline import cleaning_files
from model_store.encoder import ENCODER_FILE
from model_store.specification import KERAS_FILE, NETWORK_FILE, NetworkSpecification, Weights


def state_fingerprint(directory: Path, specification: NetworkSpecification, weights: Weights) -> int:
    """Return 32 bits of XXH3-64 of the network in ``directory``, its ``weights`` and its encoder; never 0."""
    digest = xxhash.xxh3_64((directory / NETWORK_FILE).read_bytes() + (directory / ENCODER_FILE).read_bytes())
    for path in cleaning_files(directory):
        digest.update(path.read_bytes())
    for name in sorted(weights):
        digest.update(np.ascontiguousarray(weights[name]).data)
    if not specification.recurrent:
        digest.update((directory / KERAS_FILE).read_bytes())
    return int(digest.intdigest() & 0xFFFFFFFF) or 1
