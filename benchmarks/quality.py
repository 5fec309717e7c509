"""How well the next item is predicted, by what a worker serves and by plain predictors, on the same pairs.

Each seed trains with the product's defaults and nothing else; then the seeds' networks, session kNN and a
Markov chain are made into an ensemble, whose weights are fitted on the validation part. Only then is the test
file read: every event of its sessions but the last is a prefix, the next event's item is the target, and each
pair counts once. The models answer as a worker would: one event at a time, from their windows and indices.
Ends with one JSON line; recall and MRR are per cent, those of the network the mean of the seeds.

With --validate no test file is read: the newest sessions of the training log are held back and asked instead.

    python -m benchmarks.quality --train train.tsv --test test.tsv --format sessions --seeds 3
    python -m benchmarks.quality --train train.tsv --validate --format sessions
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console

from benchmarks.support.machine import machine
from benchmarks.support.next_items import Ints, Pairs, Report, baseline_ranks, knn_ranks, model_ranks
from foreclick.progress import shown_progress
from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings
from foreclick.training_job import TrainingView
from model_store.artifacts import ModelStore
from model_store.baselines import standard_baselines
from model_store.evaluation import DEPTH
from model_store.metrics import mrr_at, recall_at
from model_store.parts import part_between
from model_store.sequences import EventTable
from model_store.serving import load_served_model
from model_store.specification import ACTION_NAMES
from model_store.training_settings import default_training_settings
from producers.readers import FORMATS, LineCount, ReadEvent, read_log

if TYPE_CHECKING:
    from model_store.training_settings import TrainingSettings

NETWORK: Final = "gru"
ENSEMBLE: Final = "ensemble"
BASELINES: Final = ("popular", "repeat", "markov")


class Trained(NamedTuple):
    """A version in the store, and how long it took to make, evaluation beside it included."""

    name: str
    version: str
    train_s: float


def main() -> None:
    """Train, then measure, and print one JSON line."""
    arguments = _arguments()
    training = _table(arguments.train, arguments.format)
    held: EventTable | None = None
    if arguments.validate:
        training, held = _held_back(training, arguments.format)
    with tempfile.TemporaryDirectory() as directory:
        store = ModelStore(Path(directory) / "models")
        trained = [_trained(training, arguments, store, seed) for seed in range(arguments.seeds)]
        ensemble = _ensemble(training, store, trained)
        test = _table(arguments.test, arguments.format) if held is None else held
        known, asked = Pairs.of(training), Pairs.of(test)
        runs = [_model_scores(store, each, asked) for each in trained]
        models = {NETWORK: _means(runs), ENSEMBLE: _model_scores(store, ensemble, asked)}
    print(
        json.dumps(
            {
                **{name: models[NETWORK][name] for name in ("recall_at_20", "mrr_at_20")},
                "pairs": len(asked),
                "train_s": models[NETWORK]["train_s"],
                "baselines": _baseline_scores(known, asked),
                "model": NETWORK,
                "models": models,
                "seeds": runs,
                "train": arguments.train.name,
                "test": "held back of the training log" if held is not None else arguments.test.name,
                "machine": machine(),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help="log to learn from")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--test", type=Path, metavar="FILE", help="log to be asked about")
    asked.add_argument("--validate", action="store_true", help="ask about the newest of the training log")
    parser.add_argument("--format", choices=sorted(FORMATS), default="sessions", help="of both files")
    parser.add_argument("--seeds", type=int, default=1, help="trainings to take the mean of")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    return arguments


def _table(path: Path, format_name: str) -> EventTable:
    count = LineCount()
    lines = count.count(read_log(path, format_name))
    table = EventTable.from_events(line.event for line in lines if isinstance(line, ReadEvent))
    _say(f"{path.name}: {count.events:,} events, {sum(count.rejected.values()):,} lines rejected")
    return table


def _held_back(table: EventTable, format_name: str) -> tuple[EventTable, EventTable]:
    """Return the log without its newest part, as large as a validation part, and that part's own events."""
    from model_store.training import validation_share

    timed = FORMATS[format_name].timed
    until = 1 - validation_share(table, _settings(format_name, seed=0))
    before = part_between(table, 0.0, until, timed=timed).table
    after = part_between(table, until, 1.0, timed=timed)
    return before, after.table.where(after.scored)


def _settings(format_name: str, seed: int) -> TrainingSettings:
    timed = FORMATS[format_name].timed
    return default_training_settings(window_size=Settings().window_size, timed=timed, seed=seed)


def _trained(table: EventTable, arguments: argparse.Namespace, store: ModelStore, seed: int) -> Trained:
    with importing_tensorflow():
        from model_store.training import train_table

    _say(f"seed {seed}: training")
    begun_s = time.monotonic()
    with TrainingView(Console(stderr=True)) as view:
        made = train_table(
            table,
            _settings(arguments.format, seed),
            store,
            NETWORK,
            view,
            work_directory=store.root / ".training",
        )
    return Trained(NETWORK, made.version, time.monotonic() - begun_s)


def _ensemble(table: EventTable, store: ModelStore, networks: Sequence[Trained]) -> Trained:
    """Make the ensemble of all networks; its training time is theirs and that of fitting the weights."""
    from model_store.ensemble.making import make_ensemble

    _say("making the ensemble")
    begun_s = time.monotonic()
    named = [(network.name, network.version) for network in networks]
    made = make_ensemble(table, store, ENSEMBLE, named, neighbours=True, followers=True)
    _say(f"on the validation part: {made}")
    spent_s = time.monotonic() - begun_s
    return Trained(ENSEMBLE, made.version, sum(network.train_s for network in networks) + spent_s)


def _model_scores(store: ModelStore, trained: Trained, asked: Pairs) -> dict[str, float]:
    model = load_served_model(store, trained.name, trained.version)
    begun_s = time.monotonic()
    measured = _scores(f"{trained.name} {trained.version}", partial(model_ranks, model, asked))
    spent_us = (time.monotonic() - begun_s) * 1e6 / len(asked.table)
    return {**measured, "train_s": round(trained.train_s, 1), "serve_us_per_event": round(spent_us, 1)}


def _means(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.mean(run[name] for run in runs), 2) for name in runs[0]}


def _baseline_scores(known: Pairs, asked: Pairs) -> dict[str, dict[str, float]]:
    predictors = standard_baselines(len(ACTION_NAMES))
    scores = {}
    for name in BASELINES:
        predictor = predictors[name]
        scores[name] = _scores(name, partial(baseline_ranks, predictor, known, asked))
    return {**scores, "session_knn": _scores("session_knn", partial(knn_ranks, known, asked))}


def _scores(name: str, ranks_by: Callable[[Report], Ints]) -> dict[str, float]:
    with shown_progress(name, 1.0) as update:
        ranks = ranks_by(lambda share: update(share, ""))
    found = {
        "recall_at_20": round(100 * recall_at(ranks, DEPTH), 3),
        "mrr_at_20": round(100 * mrr_at(ranks, DEPTH), 3),
    }
    _say(f"{name}: {found}")
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
