"""How well the next item is predicted, by what a worker serves and by plain predictors, on the same pairs.

Each seed trains with the product's defaults and nothing else. Only when all have been trained is the test
file read: every event of its sessions but the last is a prefix, the next event's item is the target, and each
pair counts once. The model answers as a worker would: one event at a time, from its windows and its index.
Ends with one JSON line; recall and MRR are per cent, each the mean of the seeds.

    python -m benchmarks.quality --train train.tsv --test test.tsv --format sessions
    python -m benchmarks.quality --train train.tsv --test test.tsv --format sessions --seeds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

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
from model_store.sequences import EventTable
from model_store.serving import load_served_model
from model_store.specification import ACTION_NAMES
from model_store.training_settings import default_training_settings
from producers.readers import FORMATS, LineCount, ReadEvent, read_log

NETWORK: Final = "gru"
BASELINES: Final = ("popular", "repeat", "markov")


class Trained(NamedTuple):
    """A version in the store, and how long its training took, evaluation beside it included."""

    seed: int
    version: str
    train_s: float


def main() -> None:
    """Train, then measure, and print one JSON line."""
    arguments = _arguments()
    training = _table(arguments.train, arguments.format)
    with tempfile.TemporaryDirectory() as directory:
        store = ModelStore(Path(directory) / "models")
        trained = [_trained(training, arguments, store, seed) for seed in range(arguments.seeds)]
        known, asked = Pairs.of(training), Pairs.of(_table(arguments.test, arguments.format))
        runs = [_model_scores(store, each, asked) for each in trained]
    scores = {name: statistics.mean(run[name] for run in runs) for name in runs[0] if name != "seed"}
    print(
        json.dumps(
            {
                "recall_at_20": round(scores["recall_at_20"], 2),
                "mrr_at_20": round(scores["mrr_at_20"], 2),
                "pairs": len(asked),
                "train_s": round(scores["train_s"], 1),
                "baselines": _baseline_scores(known, asked),
                "model": NETWORK,
                "models": {NETWORK: {name: round(value, 2) for name, value in scores.items()}},
                "seeds": runs,
                "train": arguments.train.name,
                "test": arguments.test.name,
                "machine": machine(),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help="log to learn from")
    parser.add_argument("--test", type=Path, required=True, metavar="FILE", help="log to be asked about")
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


def _trained(table: EventTable, arguments: argparse.Namespace, store: ModelStore, seed: int) -> Trained:
    with importing_tensorflow():
        from model_store.training import train_table

    settings = default_training_settings(
        window_size=Settings().window_size, timed=FORMATS[arguments.format].timed, seed=seed
    )
    _say(f"seed {seed}: training")
    begun_s = time.monotonic()
    with TrainingView(Console(stderr=True)) as view:
        made = train_table(table, settings, store, NETWORK, view, work_directory=store.root / ".training")
    return Trained(seed, made.version, time.monotonic() - begun_s)


def _model_scores(store: ModelStore, trained: Trained, asked: Pairs) -> dict[str, Any]:
    model = load_served_model(store, NETWORK, trained.version)
    begun_s = time.monotonic()
    measured = _scores(f"{NETWORK}, seed {trained.seed}", partial(model_ranks, model, asked))
    spent_us = (time.monotonic() - begun_s) * 1e6 / len(asked.table)
    timings = {"train_s": round(trained.train_s, 1), "serve_us_per_event": round(spent_us, 1)}
    return {"seed": trained.seed, **measured, **timings}


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
