"""What a training run is told: each setting and its default, once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from model_store.cleaning.rules import Rule
from model_store.errors import TrainingError
from model_store.features.groups import DEFAULT_GROUPS
from model_store.features.table import LARGE_LOG_EVENTS
from model_store.specification import NetworkName

if TYPE_CHECKING:
    from pathlib import Path

_ACTION_WEIGHT: Final = 20.0
_ACTION_WEIGHT_OF_SMALL_LOGS: Final = 5.0
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
CHURN_HORIZONS_MS: Final = (
    _HOUR_MS // 2,
    _HOUR_MS,
    6 * _HOUR_MS,
    _DAY_MS,
    7 * _DAY_MS,
    14 * _DAY_MS,
    30 * _DAY_MS,
)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What a run is told. Shares are of the log's time; without real times, of its users in order.

    ``window_size`` has no default here: it is a setting of the whole system. ``validation_share`` None takes
    15 per cent; without real times the share that holds 4,000 users, between 2 and 15 per cent.
    ``churn_horizon_ms`` None takes the largest of `CHURN_HORIZONS_MS` that is at most a quarter of the
    training time, and the least of them if none is. ``batch_events`` None takes a 64th of the events, between
    64 and ``most_batch_events``: a small log needs more steps, a large one fuller batches.
    The learning rate is cut after an epoch that gains a smaller share of the loss than ``rate_cut_below``.
    ``action_weight`` weighs the next action's loss beside those of the items and of the hazard, which are
    larger and teach less of it; None takes 20, or 5 of a log with under 5,000 events. ``hidden_item_share``
    is the share of items that training shows as unknown; None takes the share that was unknown in the
    validation part, from 2 to 50 per cent. ``feature_groups`` are names of `features.groups`.
    Of a validation or test part with more than ``most_measured_events``, only the users that hold as many are
    measured, drawn at random, and the baselines beside it learn from ``most_baseline_events`` at most.
    ``cleaning`` are the rules by which the log, and then each live event, is cleaned; None cleans nothing.
    """

    window_size: int
    train_until: float = 1.0
    test_from: float | None = None
    validation_share: float | None = None
    timed: bool = True
    network: NetworkName = "gru"
    units: int = 64
    item_dimensions: int = 64
    least_item_count: int = 1
    feature_groups: tuple[str, ...] = DEFAULT_GROUPS
    churn_horizon_ms: int | None = None
    dropout: float = 0.25
    hidden_item_share: float | None = None
    action_weight: float | None = None
    negatives: int = 4_096
    batch_events: int | None = None
    most_batch_events: int = 2_560
    learning_rate: float = 3e-3
    rate_cut_below: float = 0.002
    most_epochs: int = 30
    patience: int = 3
    validation_events: int = 20_000
    most_measured_events: int = 200_000
    most_baseline_events: int = 1_000_000
    refit: bool = True
    cleaning: tuple[Rule, ...] | None = None
    seed: int = 0

    def action_weight_of(self, events: int) -> float:
        """Return the weight of the next action's loss where there are so many ``events`` to learn."""
        if self.action_weight is not None:
            return self.action_weight
        return _ACTION_WEIGHT if events >= LARGE_LOG_EVENTS else _ACTION_WEIGHT_OF_SMALL_LOGS


# Sessions alone ask for a larger network; with times, a store keeps the state for every shopper. The early
# cut of the rate ends a run on many sessions in minutes. What was measured stands in docs/models.md.
_WITHOUT_TIMES: Final[dict[str, Any]] = {
    "action_weight": 1.0,
    "units": 100,
    "item_dimensions": 100,
    "most_batch_events": 1_280,
    "rate_cut_below": 0.015,
    "patience": 2,
}


def default_training_settings(*, window_size: int, timed: bool, **told: Any) -> TrainingSettings:
    """Return the defaults for a log with or without real times, with what was ``told`` instead.

    What is told as None is as if it had not been told. Raises TypeError when there is no such setting.
    """
    defaults = {} if timed else _WITHOUT_TIMES
    chosen = {name: value for name, value in told.items() if value is not None}
    return TrainingSettings(window_size=window_size, timed=timed, **{**defaults, **chosen})


_IN_FILES: Final = {
    "learning_rate": float,
    "rate_cut_below": float,
    "dropout": float,
    "units": int,
    "item_dimensions": int,
    "negatives": int,
    "most_batch_events": int,
}


def read_settings(path: Path) -> dict[str, float | int]:
    """Return the settings in the TOML file ``path``, as `foreclick tune` writes it.

    Raises `TrainingError` when it cannot be read, or names what is no such setting or has no sense.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as TOML: {error}; `foreclick tune` writes one") from error
    for name, value in found.items():
        kind = _IN_FILES.get(name)
        if kind is None:
            raise TrainingError(f"{path} names {name!r}; choose from {', '.join(_IN_FILES)}")
        wrong = isinstance(value, bool) or not isinstance(value, int | kind)
        if wrong or value < 0 or (kind is int and value < 1) or (name == "dropout" and value >= 1):
            raise TrainingError(f"{path} gives {name} the value {value!r}, which makes no sense")
    return found
