"""Predictions as a reader outside sees them, and whether two with the same id say the same."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TOLERANCE: Final = 1e-4


class SeenModel(msgspec.Struct, frozen=True):
    """Which model made a prediction."""

    name: str
    version: str | int


class SeenChurn(msgspec.Struct, frozen=True):
    """The probability that the user stays away for ``horizon_ms``, and when it crosses the alert level."""

    probability: float
    horizon_ms: int
    alert_at_ms: int | None = None


class SeenItem(msgspec.Struct, frozen=True):
    """One item of a prediction's short list."""

    item_id: str
    score: float


class SeenPrediction(msgspec.Struct, frozen=True):
    """One record of the predictions topic. Heads that the model does not have are None."""

    prediction_id: str
    user_id: str
    event_id: str
    event_time_ms: int
    scored_at_ms: int
    model: SeenModel
    next_action: dict[str, float] | None = None
    churn: SeenChurn | None = None
    next_items: list[SeenItem] | None = None
    reason: str = "event"
    state: str = "complete"
    flags: tuple[str, ...] | None = None


_decoder: Final = msgspec.json.Decoder(SeenPrediction)


def read_prediction(value: bytes | None) -> SeenPrediction:
    """Return the prediction in a record's value; raises msgspec.DecodeError when it is none."""
    return _decoder.decode(value or b"")


def diverged_ids(predictions: Iterable[SeenPrediction], tolerance: float = TOLERANCE) -> set[str]:
    """Return the ids under which two predictions differ by more than a rerun may."""
    by_id: dict[str, list[SeenPrediction]] = defaultdict(list)
    for prediction in predictions:
        by_id[prediction.prediction_id].append(prediction)
    return {
        prediction_id
        for prediction_id, same in by_id.items()
        if not all(agree(same[0], other, tolerance) for other in same[1:])
    }


def agree(one: SeenPrediction, other: SeenPrediction, tolerance: float = TOLERANCE) -> bool:
    """Tell whether two predictions are the same but for when they were scored, and for rounding.

    Probabilities and scores may differ by ``tolerance``. The items are the same, except where their
    scores differ by less than it. The moment of the alert follows from the probabilities.
    """
    return (
        _marks(one) == _marks(other)
        and _actions_agree(one.next_action, other.next_action, tolerance)
        and _churn_agrees(one.churn, other.churn, tolerance)
        and _items_agree(one.next_items, other.next_items, tolerance)
    )


def _marks(one: SeenPrediction) -> tuple[object, ...]:
    return (one.user_id, one.event_id, one.event_time_ms, one.model, one.reason, one.state, one.flags)


def _actions_agree(one: dict[str, float] | None, other: dict[str, float] | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(abs(one[name] - other[name]) <= tolerance for name in one)


def _churn_agrees(one: SeenChurn | None, other: SeenChurn | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return one.horizon_ms == other.horizon_ms and abs(one.probability - other.probability) <= tolerance


def _items_agree(one: Sequence[SeenItem] | None, other: Sequence[SeenItem] | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return (
        len(one) == len(other) and _items_found(one, other, tolerance) and _items_found(other, one, tolerance)
    )


def _items_found(listed: Sequence[SeenItem], among: Sequence[SeenItem], tolerance: float) -> bool:
    """Tell whether each item of ``listed`` is in ``among`` with its score, or could just have missed it."""
    scores = {item.item_id: item.score for item in among}
    lowest = min(scores.values(), default=0.0)
    return all(abs(item.score - scores.get(item.item_id, lowest)) <= tolerance for item in listed)
