"""The files of an ensemble: its networks in directories of their own, its tables, and how it weighs them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import xxhash

from model_store.ensemble.candidates import Tables, feature_names
from model_store.ensemble.followers import Followers
from model_store.ensemble.model import EnsembleModel
from model_store.ensemble.neighbours import Neighbours
from model_store.errors import FileAbsentError, FileCorruptError
from model_store.export import SEARCHED_DIRECTORY
from model_store.pauses import Pause, no_pause
from model_store.serving import ServedModel, served_model_in
from model_store.specification import ENSEMBLE_FILE

TABLES_FILE: Final = "tables.npz"
_CURE: Final = "make the ensemble again"


class Description(msgspec.Struct, frozen=True):
    """What `ensemble.json` says: the networks as ``name/version``, and the weight of each feature by name."""

    networks: list[str]
    neighbours: bool
    followers: bool
    weights: dict[str, float]


def save_ensemble(
    directory: Path, networks: Sequence[tuple[str, Path]], tables: Tables, weights: Sequence[float]
) -> None:
    """Write an ensemble of ``networks``, each a name and an artifact's directory, into ``directory``."""
    for number, (_, path) in enumerate(networks):
        shutil.copytree(path, directory / _member(number), ignore=shutil.ignore_patterns(SEARCHED_DIRECTORY))
    arrays: dict[str, Any] = {"item_counts": tables.item_counts}
    arrays |= tables.neighbours.arrays() if tables.neighbours else {}
    arrays |= tables.followers.arrays() if tables.followers else {}
    np.savez(directory / TABLES_FILE, allow_pickle=False, **arrays)
    description = Description(
        [name for name, _ in networks],
        tables.neighbours is not None,
        tables.followers is not None,
        dict(zip(feature_names(len(networks), tables), map(float, weights), strict=True)),
    )
    (directory / ENSEMBLE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(description), indent=1))


def load_ensemble(
    directory: Path, name: str, version: str, *, exact: bool = False, pause: Pause = no_pause
) -> EnsembleModel:
    """Return the ensemble in ``directory``. Raises as `served_model_in`."""
    try:
        content = (directory / ENSEMBLE_FILE).read_bytes()
        description = msgspec.json.decode(content, type=Description)
        with np.load(directory / TABLES_FILE, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        tables = Tables(
            arrays["item_counts"],
            Neighbours.of_arrays(arrays) if description.neighbours else None,
            Followers.of_arrays(arrays) if description.followers else None,
        )
    except FileNotFoundError as error:
        raise FileAbsentError(f"{error.filename} is missing: {_CURE}") from error
    except (msgspec.DecodeError, KeyError, ValueError, OSError) as error:
        raise FileCorruptError(f"{directory} holds no readable ensemble ({error}): {_CURE}") from error
    members = [
        served_model_in(directory / _member(number), name, version, exact=exact, pause=pause)
        for number in range(len(description.networks))
    ]
    names = feature_names(len(members), tables)
    if list(description.weights) != names:
        raise FileCorruptError(f"{directory} weighs other features than this release has: {_CURE}")
    return ensemble_of(members, tables, list(description.weights.values()), name, version, content)


def ensemble_of(
    members: Sequence[ServedModel],
    tables: Tables,
    weights: Sequence[float],
    name: str = "",
    version: str = "",
    content: bytes = b"",
) -> EnsembleModel:
    """Return an ensemble of ``members``; its fingerprint is of theirs and of ``content``."""
    digest = xxhash.xxh3_64(content)
    for member in members:
        digest.update(member.fingerprint.to_bytes(4, "little"))
    fingerprint = int(digest.intdigest() & 0xFFFFFFFF) or 1
    return EnsembleModel(name, version, fingerprint, members, tables, np.array(weights))


def _member(number: int) -> str:
    return f"network-{number}"
