"""A prediction in words, with no user id in it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from foreclick.checking.predictions import SeenPrediction
    from streamer.predictions import Prediction

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
_HASH_CHARACTERS: Final = 4
_ITEMS_NAMED: Final = 3
_VERBS: Final = {
    "view": "view next",
    "cart": "put something into the cart next",
    "remove_from_cart": "take something out of the cart next",
    "favorite": "keep a favourite next",
    "purchase": "buy next",
    "search": "search next",
    "none": "do nothing more in this session",
}


def shopper_name(user_id: str) -> str:
    """Return a short name for a shopper: the start of a hash, not the id."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:_HASH_CHARACTERS] + "…"


def in_words(prediction: SeenPrediction | Prediction) -> str:
    """Return one line, such as "shopper 7f3a… will probably view next (63 %); likely items 12, 7"."""
    parts = []
    if prediction.next_action:
        action, probability = max(prediction.next_action.items(), key=lambda pair: pair[1])
        parts.append(f"will probably {_VERBS.get(action, action)} ({probability:.0%})".replace("%", " %"))
    if prediction.next_items:
        parts.append("likely items " + ", ".join(i.item_id for i in prediction.next_items[:_ITEMS_NAMED]))
    if prediction.churn is not None:
        share = f"{prediction.churn.probability:.0%}".replace("%", " %")
        parts.append(f"stays away for {span_in_words(prediction.churn.horizon_ms)}: {share}")
    return f"shopper {shopper_name(prediction.user_id)} " + "; ".join(parts or ["(no head to show)"])


def span_in_words(span_ms: int) -> str:
    """Return a span of time in the largest unit that keeps it readable: 7 d, 12 h, 30 min."""
    if span_ms >= 2 * DAY_MS:
        return f"{span_ms / DAY_MS:g} d"
    return f"{span_ms / HOUR_MS:g} h" if span_ms >= HOUR_MS else f"{span_ms / 60_000:g} min"
