"""What each group of features gives, and what it costs: an ablation on the validation part.

Trains with the base, the default groups, then with each of them left out, with each other one added, and with
all of those, a few seeds each. Measures on the end of the training part, which also says when to stop; what
comes after --train-until is not read. A difference is against the base with the same seed: the mean over
seeds, and its standard error. The cost is the processor time of `Encoder.encode` and its lookback, in batches
of 2,000 full windows. Without --data, a simulated shop is the log. Ends with one JSON line.

    python -m benchmarks.features
    python -m benchmarks.features --data 2019-Oct.csv --format rees46 --seeds 5
    python -m benchmarks.features --groups repeats,counts --network transformer
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.support.ablation import USUAL, Measures, compared, show
from benchmarks.support.machine import machine
from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings
from model_store.encoder import Encoder
from model_store.features.groups import DEFAULT_GROUPS, GROUP_NAMES, checked_groups
from model_store.lookback import lookback_of_windows
from model_store.sequences import EventTable
from model_store.training_settings import TrainingSettings, default_training_settings
from producers.readers import FORMATS, LineCount, ReadEvent, read_log
from producers.simulator.shop import Shop

if TYPE_CHECKING:
    from model_store.checkpoint import EpochReport
    from model_store.parts import Split

START_MS: Final = 1_700_000_000_000
ENCODED_AT_ONCE: Final = 2_000
ENCODE_REPEATS: Final = 50


class Said:
    """Tells on standard error how a run goes on."""

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        """Say nothing of a batch."""

    def epoch(self, _: EpochReport) -> None:
        """Show a dot for each epoch."""
        print(".", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Train, print the table, and print one JSON line."""
    arguments = _arguments()
    table = _table(arguments)
    settings = default_training_settings(
        window_size=Settings().window_size,
        timed=arguments.format is None or FORMATS[arguments.format].timed,
        train_until=arguments.train_until,
        test_from=1.0,
        network=arguments.network,
        most_epochs=arguments.most_epochs,
        units=arguments.units,
        item_dimensions=arguments.units,
        refit=False,
    )
    with importing_tensorflow():
        from model_store.training import split_settings

    split = split_settings(table, settings)
    _say(f"{len(split.fitting.table):,} events to learn, {int(split.validation.scored.sum()):,} to validate")
    variants = _variants(arguments.base, arguments.groups)
    variants = _told_apart(split, variants, timed=settings.timed)
    seeds = range(arguments.seeds)
    runs = {
        name: [_measured(split, replace(settings, feature_groups=groups, seed=seed), name) for seed in seeds]
        for name, groups in variants.items()
    }
    rows = compared(runs, _costs_us(split, variants, timed=settings.timed))
    show(rows)
    print(
        json.dumps(
            {
                "base": arguments.base,
                "variants": rows,
                "runs": {name: [asdict(run) for run in measured] for name, measured in runs.items()},
                "data": arguments.data.name if arguments.data else f"simulated, {arguments.events} events",
                "fitted_events": len(split.fitting.table),
                "validated_events": int(split.validation.scored.sum()),
                "machine": machine(),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FILE", help="log to learn from; else a simulated shop")
    parser.add_argument("--format", choices=sorted(FORMATS), help="of --data")
    parser.add_argument("--events", type=int, default=30_000, help="of the simulated shop (30,000)")
    parser.add_argument("--train-until", type=float, default=0.6, help="end of the training part (0.6)")
    parser.add_argument("--groups", default=",".join(GROUP_NAMES), help="groups to try (all)")
    parser.add_argument(
        "--base", default=",".join(DEFAULT_GROUPS), help="groups to start from (the defaults)"
    )
    parser.add_argument("--network", default="gru", help="kind of network (gru)")
    parser.add_argument("--units", type=int, default=32, help="of the network, and of an item's vector (32)")
    parser.add_argument("--most-epochs", type=int, default=12, help="epochs at most (12)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant (3)")
    arguments = parser.parse_args()
    if (arguments.data is None) != (arguments.format is None):
        parser.error("give --data and --format together")
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    arguments.base = checked_groups(arguments.base.split(","))
    arguments.groups = checked_groups(arguments.groups.split(","))
    return arguments


def _table(arguments: argparse.Namespace) -> EventTable:
    if arguments.data is None:
        shop = Shop(seed=7, users=max(arguments.events // 60, 10), items=500)
        return EventTable.from_events(shop.events(START_MS, count=arguments.events))
    count = LineCount()
    lines = count.count(read_log(arguments.data, arguments.format))
    table = EventTable.from_events(line.event for line in lines if isinstance(line, ReadEvent))
    _say(f"{count.events:,} events, {sum(count.rejected.values()):,} lines rejected")
    return table


def _variants(base: tuple[str, ...], tried: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the groups of each variant, by its name."""
    variants = {USUAL: base}
    for group in tried:
        if group in base:
            variants[f"without {group}"] = tuple(name for name in base if name != group)
        else:
            variants[f"with {group}"] = (*base, group)
    more = [group for group in tried if group not in base]
    if len(more) > 1:
        variants["with all of these"] = (*base, *more)
    return variants


def _told_apart(
    split: Split, variants: dict[str, tuple[str, ...]], *, timed: bool
) -> dict[str, tuple[str, ...]]:
    """Return the variants whose features the log can teach: the others would be the base again."""
    encoders = {name: _encoder(split, groups, timed=timed) for name, groups in variants.items()}
    usual = encoders[USUAL].features
    same = [name for name in variants if name != USUAL and encoders[name].features == usual]
    for name in same:
        _say(f"{name}: left out, since this log cannot teach those features")
    return {name: groups for name, groups in variants.items() if name not in same}


def _encoder(split: Split, groups: tuple[str, ...], *, timed: bool) -> Encoder:
    table = split.fitting.table
    return Encoder.fit(
        table.rows,
        table.item_ids,
        table.category_names,
        min_count=1,
        timed=timed,
        feature_groups=groups,
    )


def _measured(split: Split, settings: TrainingSettings, name: str) -> Measures:
    """Train once, and return what the network is worth at its best epoch."""
    from model_store.batches import Samples
    from model_store.checkpoint import Checkpoint
    from model_store.run import Run
    from model_store.validation import measure

    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = Checkpoint(Path(directory), "ablation")
        _, stage = Run(settings, split, checkpoint, Said()).complete(resume=False)
    samples = Samples.of(split.validation, stage.encoder, stage.learner.specification)
    measured = measure(stage.learner, samples, len(split.validation.table))
    losses = measured.losses
    made = Measures(losses.action, losses.hazard, losses.item, measured.recall_at_20)
    _say(f" {name}, seed {settings.seed}: {made}, {time.monotonic() - begun_s:.0f} s")
    return made


def _costs_us(split: Split, variants: dict[str, tuple[str, ...]], *, timed: bool) -> dict[str, float]:
    """Return what `Encoder.encode` takes of an event with the groups of each variant, in microseconds.

    Every window is full, whoever the events belong to. The median of `ENCODE_REPEATS` calls counts.
    """
    table, size = split.fitting.table, Settings().window_size
    starts = np.linspace(0, max(len(table) - size, 0), ENCODED_AT_ONCE).astype(int)
    windows = [table.rows[start : start + size].tobytes() for start in starts.tolist()]
    costs_us = {}
    for name, groups in variants.items():
        encoder = _encoder(split, groups, timed=timed)
        spent_s = []
        for _ in range(ENCODE_REPEATS):
            begun_s = time.process_time()
            encoder.encode(*lookback_of_windows(windows, encoder.lookback_events))
            spent_s.append(time.process_time() - begun_s)
        costs_us[name] = statistics.median(spent_s) * 1e6 / len(windows)
    return costs_us


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
