"""Who stays away: churn as a worker would serve it, beside baselines on recency and frequency.

The network learns the first part of the log, with the product's defaults but for its window, and answers at
weekly cut-offs behind it, for each user with an event in the 30 days before: does no event come within the
horizon? The training part ends where eight cut-offs of the longest horizon fit behind it. The baselines learn
from daily cut-offs inside the training part, and see each user's whole history. All read the log as the
model's rules have cleaned it. Intervals are of 95 per cent, by a bootstrap over users; BETTER is the interval
of the AUC less that of the best baseline. Ends with one JSON line.

    python -m benchmarks.churn --data t_alibaba_data.csv --format alibaba2014
    python -m benchmarks.churn --data train.csv --test-users other.csv --format alibaba2014
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.support.machine import machine
from foreclick.quiet import importing_tensorflow
from foreclick.training_job import TrainingView
from model_store.artifacts import ModelStore
from model_store.churn.baselines import baseline_probabilities
from model_store.churn.cutoffs import DAY_MS, CutoffRows, cutoff_rows
from model_store.churn.served import served_churn
from model_store.cleaning.rules import default_rules
from model_store.cleaning.sifting import KEPT, Sieve, sift_rows
from model_store.evaluating.bootstrap import WeightedCurve, intervals
from model_store.evaluating.probabilities import calibration_error, probability_measures
from model_store.sequences import EventTable
from model_store.serving import ServedModel, load_served_model
from model_store.training_settings import default_training_settings
from producers.readers import FORMATS, LineCount, ReadEvent, read_log

if TYPE_CHECKING:
    import numpy.typing as npt

HORIZONS_DAYS: Final = (7, 14)
CUTOFFS: Final = 8
WEEK_MS: Final = 7 * DAY_MS
DRAWS: Final = 500
OURS: Final = "foreclick"


class Log(NamedTuple):
    """The events of a file, and the start of the day behind its last one."""

    table: EventTable
    ends_ms: int


def main() -> None:
    """Train, ask at every cut-off, and print one JSON line."""
    arguments = _arguments()
    resolution_ms = FORMATS[arguments.format].resolution_ms if arguments.format in FORMATS else 1
    log = _log(arguments.data, arguments.format)
    asked = _log(arguments.test_users, arguments.format) if arguments.test_users else log
    until_ms = asked.ends_ms - max(HORIZONS_DAYS) * DAY_MS - (CUTOFFS - 1) * WEEK_MS
    training = log.table.where(log.table.times_ms < until_ms)
    with tempfile.TemporaryDirectory() as directory:
        begun_s = time.monotonic()
        model = _trained(training, arguments, resolution_ms, ModelStore(Path(directory) / "models"))
        train_s = time.monotonic() - begun_s
    training, table = _cleaned(model, training), _cleaned(model, asked.table)
    found = {
        str(days): _horizon(model, training, until_ms, table, asked.ends_ms, days) for days in HORIZONS_DAYS
    }
    print(
        json.dumps(
            {
                "horizons": {days: summary for days, (summary, _) in found.items()},
                "models": {days: models for days, (_, models) in found.items()},
                "cutoffs_from_day": (until_ms - int(log.table.times_ms.min()) // DAY_MS * DAY_MS) // DAY_MS,
                "train_s": round(train_s, 1),
                "window_size": arguments.window_size,
                "seed": arguments.seed,
                "data": arguments.data.name,
                "test_users": arguments.test_users.name if arguments.test_users else None,
                "machine": machine(),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="log to learn from")
    parser.add_argument("--test-users", type=Path, metavar="FILE", help="log of the users to ask about")
    timed = sorted(name for name, each in FORMATS.items() if each.timed)
    parser.add_argument("--format", choices=timed, required=True, help="of both files")
    parser.add_argument("--window-size", type=int, default=64, help="events that a worker keeps of a user")
    parser.add_argument("--most-epochs", type=int, help="else the product's default")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _log(path: Path, format_name: str) -> Log:
    count = LineCount()
    lines = count.count(read_log(path, format_name))
    table = EventTable.from_events(line.event for line in lines if isinstance(line, ReadEvent))
    _say(f"{path.name}: {count.events:,} events, {sum(count.rejected.values()):,} lines rejected")
    if not len(table):
        sys.exit(f"{path} holds no event: check --format")
    return Log(table, (int(table.times_ms.max()) // DAY_MS + 1) * DAY_MS)


def _trained(
    training: EventTable, arguments: argparse.Namespace, resolution_ms: int, store: ModelStore
) -> ServedModel:
    with importing_tensorflow():
        from model_store.training import train_table

    settings = default_training_settings(
        window_size=arguments.window_size,
        timed=True,
        cleaning=default_rules(timed=True, resolution_ms=resolution_ms),
        churn_horizon_ms=HORIZONS_DAYS[0] * DAY_MS,
        most_epochs=arguments.most_epochs,
        seed=arguments.seed,
    )
    with TrainingView(Console(stderr=True)) as view:
        made = train_table(training, settings, store, "churn", view, work_directory=store.root / ".training")
    _say(f"on the validation part: {made.comparison.churn}")
    return load_served_model(store, "churn", made.version)


def _cleaned(model: ServedModel, table: EventTable) -> EventTable:
    """Return what a worker would score of ``table``; the encoder repairs what it reads."""
    cleaning = model.encoder.cleaning
    if cleaning is None:
        return table
    sifted = sift_rows(Sieve(cleaning, model.window_size), table.rows, table.user)
    return table.where(sifted.outcome == KEPT)


def _horizon(
    model: ServedModel, training: EventTable, until_ms: int, table: EventTable, ends_ms: int, days: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    horizon_ms = days * DAY_MS
    cutoffs_ms = np.arange(until_ms, ends_ms - horizon_ms + 1, WEEK_MS)
    rows = cutoff_rows(table, cutoffs_ms, horizon_ms)
    found = {OURS: served_churn(model, table, rows, horizon_ms)}
    found |= baseline_probabilities(training, until_ms, table, rows, horizon_ms)
    models = {name: _measured(each, rows) for name, each in found.items()}
    best = max((name for name in models if name != OURS), key=lambda name: models[name]["auc"] or 0.0)
    _show(models, f"{days} days: {len(rows.user):,} rows at {len(cutoffs_ms)} cut-offs")
    ours = models[OURS]
    return {
        **{name: ours[name] for name in ("auc", "auc_low", "auc_high", "calibration_error", "brier")},
        "best_baseline": best,
        "best_baseline_auc": models[best]["auc"],
        "best_baseline_auc_low": models[best]["auc_low"],
        "best_baseline_auc_high": models[best]["auc_high"],
        "better": _better(found[OURS], found[best], rows),
        "base_rate": round(float(rows.churned.mean()), 4),
        "users": len(np.unique(rows.user)),
        "rows": len(rows.user),
        "cutoffs": len(cutoffs_ms),
    }, models


def _measured(probability: npt.NDArray[np.float64], rows: CutoffRows) -> dict[str, float | None]:
    measured = probability_measures(probability, rows.churned)
    curve = WeightedCurve(probability, rows.churned)
    auc = intervals({"auc": curve.auc}, rows.user, DRAWS)["auc"]
    numbers = {
        "auc": measured.auc,
        "auc_low": auc.low if auc else None,
        "auc_high": auc.high if auc else None,
        "brier": measured.brier,
        "calibration_error": calibration_error(probability, rows.churned),
        "mean": float(probability.mean()),
    }
    return {name: None if value is None else round(value, 4) for name, value in numbers.items()}


def _better(
    ours: npt.NDArray[np.float64], best: npt.NDArray[np.float64], rows: CutoffRows
) -> list[float] | None:
    """Return the interval of the difference of both AUCs, on the same draws of users."""
    first, second = WeightedCurve(ours, rows.churned), WeightedCurve(best, rows.churned)

    def gain(weights: npt.NDArray[np.float64]) -> float | None:
        one, other = first.auc(weights), second.auc(weights)
        return None if one is None or other is None else one - other

    interval = intervals({"gain": gain}, rows.user, DRAWS)["gain"]
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]


def _show(models: dict[str, dict[str, float | None]], title: str) -> None:
    table = Table("", *next(iter(models.values())), title=title)
    for name, numbers in models.items():
        table.add_row(name, *("-" if each is None else f"{each:.4f}" for each in numbers.values()))
    Console(stderr=True).print(table)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
