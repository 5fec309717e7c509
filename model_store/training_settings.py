"""What a training run is told: each setting and its default, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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

    ``window_size`` has no default here: it is a setting of the whole system. ``churn_horizon_ms`` None takes
    the largest of `CHURN_HORIZONS_MS` that is at most a quarter of the training time, and the least of them
    if none is. ``batch_events`` None takes a 64th of the events, between 64 and 2,560: a small log
    needs more steps, a large one fuller batches. ``hidden_item_share`` is the share of items that training
    shows as unknown; None takes the share that was unknown in the validation part, from 2 to 50 per cent.
    """

    window_size: int
    train_until: float = 1.0
    test_from: float | None = None
    validation_share: float = 0.15
    timed: bool = True
    cell: str = "gru"
    units: int = 64
    item_dimensions: int = 64
    least_item_count: int = 1
    churn_horizon_ms: int | None = None
    dropout: float = 0.25
    hidden_item_share: float | None = None
    negatives: int = 4_096
    batch_events: int | None = None
    learning_rate: float = 3e-3
    most_epochs: int = 30
    patience: int = 3
    validation_events: int = 20_000
    refit: bool = True
    seed: int = 0
