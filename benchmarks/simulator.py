"""How near a trained model comes to the simulated shop's own entropy of the next action.

`python -m benchmarks.simulator` trains the product's default model on a simulated shop, serves it to fresh
shoppers of the same shop as a worker would, and holds it against the shop's oracle, which knows the exact
probability of each next action. A cross-entropy is the mean over the events of -sum p log q, with p the
true probabilities and q a predictor's, in nats: nobody can be below the true entropy, and ``gap_share`` says
by which share a predictor is above it. The last line is JSON.

Examples:
    python -m benchmarks.simulator
    python -m benchmarks.simulator --train 100000 --test 20000 --users 2000

"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import typer

from foreclick.quiet import importing_tensorflow
from model_store.artifacts import ModelStore
from model_store.baselines.sequential import standard_baselines
from model_store.evaluating.answers import acts_of
from model_store.evaluating.served import served_steps
from model_store.features.groups import checked_groups
from model_store.sequences import MASKED, EventTable, labels_of
from model_store.serving import load_served_model
from model_store.specification import ACTION_NAMES
from model_store.training_settings import default_training_settings
from producers.simulator.oracle import Oracle
from producers.simulator.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model_store.baselines.sequential import Baseline
    from model_store.checkpoint import EpochReport
    from model_store.serving import ServedModel
    from producers.events import Event

START_MS: Final = 1_700_000_000_000
WINDOW_SIZE: Final = 20
COMPARED: Final = ("markov", "popular")
_LEAST_PROBABILITY: Final = 1e-6
_FRESH_SEEDS: Final = 1_000_003

Floats = npt.NDArray[np.float64]


class OnStandardError:
    """Tells of each epoch of the training."""

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        """Say nothing: the epochs are told."""

    def epoch(self, report: EpochReport) -> None:
        """Say what an epoch came to."""
        print(report, file=sys.stderr, flush=True)


def trained(events: list[Event], directory: Path, told: Mapping[str, object]) -> ServedModel:
    """Return the default model of ``events``, with what was ``told`` instead, as a worker loads it."""
    with importing_tensorflow():
        from model_store.training import train

    store = ModelStore(directory / "models")
    settings = default_training_settings(window_size=WINDOW_SIZE, timed=True, **told)
    model = train(events, settings, store, "simulated", OnStandardError(), work_directory=directory)
    return load_served_model(store, model.name, model.version)


def fresh_shoppers(shop: Shop, users: int, count: int, start_ms: int) -> list[Event]:
    """Return ``count`` events of shoppers whom nobody has seen yet, in the same shop."""
    fresh = Shop(shop.seed + _FRESH_SEEDS, users, len(shop.catalogue.price))
    fresh.catalogue = shop.catalogue
    return list(fresh.events(start_ms, count))


def true_probabilities(shop: Shop, events: list[Event]) -> Floats:
    """Return the oracle's probabilities [E, A] of what follows ``events``, in the order of their table."""
    oracle = Oracle(shop)
    probabilities = np.array([oracle.observe(event) for event in events])
    numbers: dict[str, int] = {}
    user = np.array([numbers.setdefault(event.user_id, len(numbers)) for event in events])
    return probabilities[np.lexsort((np.array([event.event_time_ms for event in events]), user))]


def served_probabilities(model: ServedModel, table: EventTable) -> Floats:
    """Return what ``model`` says behind each event [E, A], stepped as a worker steps it."""
    probabilities = np.zeros((len(table), len(ACTION_NAMES)))
    for step in served_steps(model, table):
        if step.heads.next_action is not None:
            probabilities[step.events] = step.heads.next_action
    return probabilities


def baseline_probabilities(
    baseline: Baseline, training: EventTable, until_ms: int, table: EventTable
) -> Floats:
    """Return what ``baseline`` says behind each event [E, A], once it has learned ``training``."""
    learned = labels_of(training, until_ms).next_action.tolist()
    for action, (user, act) in zip(learned, acts_of(training), strict=True):
        baseline.observe(user, act)
        baseline.learn(user, None if action == MASKED else action, 0)
    fresh = 1 + int(training.user.max())
    probabilities = np.zeros((len(table), len(ACTION_NAMES)))
    for place, (user, act) in enumerate(acts_of(table)):
        baseline.observe(fresh + user, act)
        probabilities[place] = baseline.next_action(fresh + user).probabilities
    return probabilities


def measure(
    train: int, test: int, users: int, items: int, seed: int, told: Mapping[str, object]
) -> dict[str, object]:
    """Return the true entropy, and each predictor's cross-entropy and share above it."""
    shop = Shop(seed, users, items)
    events = list(shop.events(START_MS, train))
    until_ms = events[-1].event_time_ms
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="foreclick-simulator-") as directory:
        model = trained(events, Path(directory), {"seed": seed, **told})
    train_s = time.monotonic() - begun_s
    print("asking the oracle and the model about fresh shoppers", file=sys.stderr, flush=True)
    fresh = fresh_shoppers(shop, max(users // 4, 1), test, until_ms)
    truth, table = true_probabilities(shop, fresh), EventTable.from_events(fresh)
    known = labels_of(table, fresh[-1].event_time_ms).next_action != MASKED
    said = {"model": served_probabilities(model, table)}
    baselines = standard_baselines(len(ACTION_NAMES))
    training = EventTable.from_events(events)
    for name in COMPARED:
        said[name] = baseline_probabilities(baselines[name], training, until_ms, table)
    entropy = cross_entropy(truth[known], truth[known])
    scores = {name: cross_entropy(truth[known], given[known]) for name, given in said.items()}
    return {
        "true_entropy": entropy,
        "models": {
            name: {"cross_entropy": score, "gap_share": score / entropy - 1} for name, score in scores.items()
        },
        "gap_share": scores["model"] / entropy - 1,
        "train_events": train,
        "train_users": len(np.unique(training.user)),
        "test_events": int(known.sum()),
        "test_users": len(np.unique(table.user)),
        "train_s": round(train_s, 1),
    }


def cross_entropy(truth: Floats, said: Floats) -> float:
    """Return the mean of -sum p log q over the rows, in nats, p in ``truth`` and q in ``said`` [E, A]."""
    logarithms = np.log(np.maximum(said, _LEAST_PROBABILITY))
    return float(-(truth * logarithms).sum(axis=1).mean())


def main(
    train: int = 400_000,
    test: int = 100_000,
    users: int = 4_000,
    items: int = 2_000,
    seed: int = 1,
    features: str = "",
) -> None:
    """Train on TRAIN events of a shop that USERS visit, and ask about TEST events of fresh shoppers.

    FEATURES are groups of features, with commas between them; without them, the default ones.
    """
    told = {"feature_groups": checked_groups(features.split(","))} if features else {}
    print(json.dumps(measure(train, test, users, items, seed, told)))


if __name__ == "__main__":
    typer.run(main)
