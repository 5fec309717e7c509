"""The prediction contract: what the worker publishes for each event, under the same key and partition."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ModelVersion(msgspec.Struct, frozen=True, gc=False):
    """Which model made a prediction."""

    name: str
    version: str


class Churn(msgspec.Struct, frozen=True, gc=False):
    """The probability that the user does not return within ``horizon_ms`` of the event.

    ``alert_at_ms`` is the Unix time in milliseconds at which the probability would cross the alert
    level if the user stayed silent; null when it never would.
    """

    probability: Probability
    horizon_ms: int
    alert_at_ms: int | None = None


class NextItem(msgspec.Struct, frozen=True, gc=False):
    """One item that the user is likely to turn to next. A higher ``score`` is likelier."""

    item_id: str
    score: float


class Prediction(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the model expects of one user after one event.

    ``prediction_id`` is ``topic id - partition - offset`` of the event's record, so a repeated
    publication has the same id. ``next_action`` maps each event type, and ``none`` for no further
    event in the session, to its probability; the values sum to 1. Heads that a model does not
    have are null. ``state`` is ``partial`` where the user's history could not be rebuilt whole.
    ``purchase_in_session`` is the probability of a purchase at any later place in the session.
    ``flags`` name what the model's cleaning found or filled in the event; null where it has none.
    """

    prediction_id: str
    user_id: str
    event_id: str
    event_time_ms: int
    scored_at_ms: int
    model: ModelVersion
    next_action: dict[str, Probability] | None
    churn: Churn | None
    next_items: list[NextItem] | None
    reason: Literal["event", "silence"] = "event"
    state: Literal["complete", "partial"] = "complete"
    flags: tuple[str, ...] | None = None
    purchase_in_session: Probability | None = None


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Prediction)


def encode_prediction(prediction: Prediction) -> bytes:
    """Return the JSON value of the record that carries ``prediction``."""
    return _encoder.encode(prediction)


def decode_prediction(value: bytes) -> Prediction:
    """Return the prediction in ``value``. Raises `msgspec.DecodeError` when it is none."""
    return _decoder.decode(value)
