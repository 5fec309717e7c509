"""How well the next action is predicted, by what a worker serves and by plain predictors, on the same events.

The first 60 % of the log's time train, the next 15 % say how to bet, the rest is measured, once. Ours is
trained with the product's defaults, and answers as a worker would: one event at a time, from its windows and
its index. The naive example is trained as it is written, on `user_behavior.csv` of the first 75 %. Intervals
are 95 per cent, by users. Ends with one JSON line.

    python -m benchmarks.next_action --data 2019-Oct.csv --format rees46
    python -m benchmarks.next_action --data clicks.csv --format csv --mapping clicks.toml --report report
    python -m benchmarks.next_action --data shop.jsonl --format jsonl --naive-epochs 5
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.support.machine import machine
from foreclick.evaluation_job import NAIVE, daily_in, naive_predictor, require_rows, stages_shown
from foreclick.evaluation_view import write_report
from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings
from foreclick.training_job import TrainingView
from model_store.artifacts import ModelStore
from model_store.evaluating.report import OURS, Evaluation, PredictorReport
from model_store.evaluating.truth import evaluation_parts
from model_store.sequences import EventTable
from model_store.serving import load_served_model
from model_store.training_settings import default_training_settings
from producers.readers import FORMATS, LineCount, ReadEvent, load_mapping, read_log

TRAIN_UNTIL: Final = 0.6
TEST_FROM: Final = 0.75
MEASURES: Final = ("macro_f1", "purchase_pr_auc", "purchase_in_session_pr_auc", "accuracy", "auc")


def main() -> None:
    """Train, measure, and print one JSON line."""
    arguments = _arguments()
    table = _table(arguments)
    timed = arguments.format not in FORMATS or FORMATS[arguments.format].timed
    parts = evaluation_parts(table, train_until=TRAIN_UNTIL, test_from=TEST_FROM, timed=timed)
    evaluation = Evaluation(parts, window_size=Settings().window_size, daily=daily_in(parts))
    require_rows(evaluation)
    with importing_tensorflow():
        from model_store.training import train_table
    settings = default_training_settings(
        window_size=Settings().window_size,
        timed=timed,
        train_until=TRAIN_UNTIL,
        test_from=TEST_FROM,
        seed=arguments.seed,
    )
    with tempfile.TemporaryDirectory() as directory:
        store = ModelStore(arguments.model_store or Path(directory) / "models")
        begun_s = time.monotonic()
        with TrainingView(Console(stderr=True)) as view:
            made = train_table(table, settings, store, "gru", view, work_directory=store.root / ".training")
        train_s = time.monotonic() - begun_s
        naive = naive_predictor(evaluation, arguments.naive_epochs)
        model = load_served_model(store, "gru", made.version)
        with stages_shown() as stage:
            report = evaluation.report(model, stage, {NAIVE: naive})
    if arguments.report is not None:
        write_report(arguments.report, report, f"{arguments.data.name}, {made.name} {made.version}")
    models = {name: _row(each) for name, each in report.predictors.items() if each.next_action is not None}
    print(
        json.dumps(
            {
                "models": models,
                "best_baseline": _best(models),
                "next_browse": {
                    name: {"auc": _rounded(each.next_browse.auc), "brier": _rounded(each.next_browse.brier)}
                    for name, each in report.predictors.items()
                    if each.next_browse is not None
                },
                "naive_validation_accuracy": round(naive.validation_accuracy, 4),
                "rows": report.rows,
                "users": report.users,
                "validation_rows": report.validation_rows,
                "settling_s": round(report.settling_ms / 1_000, 1),
                "decisions_fitted_on": report.decisions_fitted_on,
                "naive_epochs": arguments.naive_epochs,
                "train_s": round(train_s, 1),
                "data": arguments.data.name,
                "machine": machine(),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="the log")
    parser.add_argument("--format", required=True, metavar="NAME", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="TOML of the columns of csv, jsonl, parquet"
    )
    parser.add_argument("--naive-epochs", type=int, default=100, help="as written: 100")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write evaluation.json and .html there too"
    )
    parser.add_argument("--model-store", type=Path, metavar="DIR", help="keep the trained model there")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.naive_epochs < 1:
        parser.error("--naive-epochs must be at least 1")
    return arguments


def _table(arguments: argparse.Namespace) -> EventTable:
    count = LineCount()
    mapping = None if arguments.mapping is None else load_mapping(arguments.mapping)
    lines = count.count(read_log(arguments.data, arguments.format, mapping))
    table = EventTable.from_events(line.event for line in lines if isinstance(line, ReadEvent))
    rejected = sum(count.rejected.values())
    print(f"{count.events:,} events, {rejected:,} lines rejected", file=sys.stderr, flush=True)
    return table


def _row(report: PredictorReport) -> dict[str, Any]:
    actions, next_, session = report.next_action, report.purchase_next, report.purchase_in_session
    values = {
        "macro_f1": None if actions is None else actions.macro_f1,
        "purchase_pr_auc": None if next_ is None else next_.pr_auc,
        "purchase_in_session_pr_auc": None if session is None else session.pr_auc,
        "accuracy": None if actions is None else actions.accuracy,
        "auc": None if actions is None else actions.auc,
        "log_loss": None if actions is None else actions.log_loss,
    }
    intervals = {
        name: None if found is None else [round(found.low, 4), round(found.high, 4)]
        for name, found in report.intervals.items()
        if name in MEASURES
    }
    return {**{name: _rounded(value) for name, value in values.items()}, "intervals": intervals}


def _best(models: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return which baseline is best in each measure."""
    best = {}
    for measure in MEASURES:
        known = {
            name: row[measure] for name, row in models.items() if name != OURS and row[measure] is not None
        }
        if known:
            best[measure] = max(known, key=known.__getitem__)
    return best


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    main()
