"""An ensemble made of trained versions: fitted on what none of its parts had learned, published, compared.

Each network stands with what its search had learned, the validation part left out, while the weights are
fitted on that part; so do the tables. Then the networks as they are published and tables of the whole
training part take their places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from model_store.ensemble.artifact import ensemble_of, save_ensemble
from model_store.ensemble.candidates import Tables, candidates, feature_names
from model_store.ensemble.fitting import Asked, asked_of, crossed_scores, fit_weights
from model_store.ensemble.followers import Followers
from model_store.ensemble.model import EnsembleHeads
from model_store.ensemble.neighbours import Neighbours
from model_store.errors import TrainingError
from model_store.evaluating.served import served_steps
from model_store.evaluation import DEPTH, rows_of_part
from model_store.export import SEARCHED_DIRECTORY
from model_store.metrics import mrr_at, recall_at
from model_store.serving import ServedModel, served_model_in
from model_store.specification import METRICS_FILE, TRAINING_FILE
from model_store.training import split_settings
from model_store.training_settings import TrainingSettings
from model_store.windows import row_items, starts_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from model_store.artifacts import ModelStore
    from model_store.ensemble.sparse import Ints
    from model_store.parts import Part
    from model_store.sequences import EventTable

ENSEMBLE: Final = "ensemble"
_MOST_EVENTS: Final = 60_000


@dataclass(frozen=True)
class ItemScores:
    """Recall and MRR at 20 on the same pairs."""

    recall_at_20: float
    mrr_at_20: float


@dataclass(frozen=True)
class MadeEnsemble:
    """A published ensemble, and by name what it and its parts are worth on ``pairs`` of the validation part.

    The ensemble's weights for a pair were fitted on the other half of the users.
    """

    version: str
    pairs: int
    scores: dict[str, ItemScores]
    weights: dict[str, float]

    @property
    def better_part(self) -> str | None:
        """The name of a part that ranks no worse than the ensemble, if there is one."""
        own = self.scores[ENSEMBLE]
        parts = [(score.mrr_at_20, name) for name, score in self.scores.items() if name != ENSEMBLE]
        best, name = max(parts)
        return name if best >= own.mrr_at_20 else None


def make_ensemble(
    table: EventTable,
    store: ModelStore,
    name: str,
    networks: Sequence[tuple[str, str]],
    *,
    neighbours: bool,
    followers: bool,
) -> MadeEnsemble:
    """Fit and publish an ensemble of ``networks``, names and versions, as a new version of ``name``.

    ``table`` is the log that all of them were trained on. Raises `TrainingError` where they were not trained
    on the same part of one log, or cannot be stepped, and `ArtifactError` where one is broken.
    """
    paths = [store.path(*network) for network in networks]
    split = split_settings(table, _settings(paths))
    searched = [_searched(path) for path in paths]
    final = [served_model_in(path, "", "") for path in paths]
    _check_alike(searched)
    _check_alike(final)
    tables = _tables(split.fitting.table, searched[0], neighbours=neighbours, followers=followers)
    asked = _asked(searched, tables, split.validation)
    weights = fit_weights(asked, len(networks))
    names = feature_names(len(networks), tables)
    scores = _scores(asked, names, len(networks))
    whole = _tables(split.whole.table, final[0], neighbours=neighbours, followers=followers)
    labelled = [("/".join(network), path) for network, path in zip(networks, paths, strict=True)]
    with store.writing(name) as writing:
        save_ensemble(writing.directory, labelled, whole, weights.tolist())
        content = msgspec.json.encode({"pairs": len(asked.true), "validation": scores})
        (writing.directory / METRICS_FILE).write_bytes(msgspec.json.format(content, indent=1))
    weighed = dict(zip(names, weights.tolist(), strict=True))
    return MadeEnsemble(writing.version, len(asked.true), scores, weighed)


def _settings(paths: Sequence[Path]) -> TrainingSettings:
    """Return the settings of the first network; all must have cut the log in the same way."""
    read = [_training(path) for path in paths]
    parts = {(one.train_until, one.test_from, one.validation_share) for one in read}
    if len(parts) > 1 or len({(one.timed, one.window_size) for one in read}) > 1:
        raise TrainingError(
            "these networks cut their logs in different ways: train them with the same parts and window"
        )
    if any(one.cleaning is not None for one in read):
        raise TrainingError("an ensemble takes networks that were trained without --clean")
    return read[0]


def _training(path: Path) -> TrainingSettings:
    class Stored(msgspec.Struct):
        settings: TrainingSettings

    try:
        return msgspec.json.decode((path / TRAINING_FILE).read_bytes(), type=Stored).settings
    except (OSError, msgspec.DecodeError) as error:
        raise TrainingError(f"{path} does not say how it was trained: train that network again") from error


def _searched(path: Path) -> ServedModel:
    directory = path / SEARCHED_DIRECTORY
    return served_model_in(directory if directory.is_dir() else path, "", "", exact=True)


def _check_alike(models: Sequence[ServedModel]) -> None:
    if not all(model.recurrent for model in models):
        raise TrainingError("an ensemble takes recurrent networks only, which go on from a kept state")
    if not all(model.specification.own_items for model in models):
        raise TrainingError("an ensemble takes networks that rank the window's own items: train them again")
    first = models[0].encoder
    for model in models[1:]:
        other = model.encoder
        if (first.items, first.categories, first.statistics, first.features) != (
            other.items,
            other.categories,
            other.statistics,
            other.features,
        ):
            raise TrainingError(
                "these networks read events in different ways: train them on one log with the same features"
            )


def _tables(table: EventTable, model: ServedModel, *, neighbours: bool, followers: bool) -> Tables:
    session, item = _sessions(table, model)
    items = len(model.encoder.items)
    return Tables(
        np.bincount(item, minlength=items),
        Neighbours.fit(session, item, items) if neighbours else None,
        Followers.fit(session, item, items) if followers else None,
    )


def _sessions(table: EventTable, model: ServedModel) -> tuple[Ints, Ints]:
    """Return the session of each event [E], numbered by the time they begin, and its item's index [E]."""
    begins = table.starts_user() | starts_session(table.rows, np.roll(table.rows, 1))
    number = np.empty(int(begins.sum()), np.int64)
    number[np.argsort(table.times_ms[begins], kind="stable")] = np.arange(len(number))
    item = model.encoder.indices_of_items(row_items(table.rows)).astype(np.int64)
    return number[np.cumsum(begins) - 1], item


def _asked(members: Sequence[ServedModel], tables: Tables, part: Part) -> Asked:
    """Return the candidates behind the scored events of ``part``, of its last users if there are many."""
    table, rows = part.table, rows_of_part(part)
    users = np.unique(table.user[part.scored])
    counted = np.cumsum(np.bincount(table.user[part.scored])[users][::-1])
    chosen = np.isin(table.user, users[::-1][: max(int(np.searchsorted(counted, _MOST_EVENTS)), 1)])
    next_item, wanted = rows.next_item[chosen], rows.item_scored[chosen]
    some = table.where(chosen)
    index = members[0].encoder.indices_of_items(next_item).astype(np.int64)
    true = np.where(index > 0, index, -next_item.astype(np.int64))
    made, true_items, user = [], [], []
    model = ensemble_of(members, tables, np.zeros(len(feature_names(len(members), tables))).tolist())
    for step in served_steps(model, some):
        asked = np.flatnonzero(wanted[step.events])
        if len(asked) and isinstance(step.heads, EnsembleHeads):
            heads = [member.take(asked) for member in step.heads.members]
            made.append(candidates(members, tables, heads, step.own.take(asked)))
            true_items.append(true[step.events[asked]])
            user.append(some.user[step.events[asked]])
    if not made:
        raise TrainingError("no event of the validation part has a next item: an ensemble needs some")
    return asked_of(made, true_items, user)


def _scores(asked: Asked, names: Sequence[str], networks: int) -> dict[str, ItemScores]:
    scores = {ENSEMBLE: _measured(asked.ranks(crossed_scores(asked, networks)))}
    for place, name in enumerate(names):
        if place < networks or name in ("neighbours", "followers"):
            scores[name] = _measured(asked.ranks(asked.features[:, :, place]))
    return scores


def _measured(ranks: Ints) -> ItemScores:
    return ItemScores(recall_at(ranks, DEPTH), mrr_at(ranks, DEPTH))
