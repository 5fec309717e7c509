"""The logits of a window's own items, recomputed event by event in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from model_store.own_items import OWN_EVENTS, OWN_RANKS
from model_store.windows import fingerprint
from producers.contract import SESSION_GAP_MS
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from producers.events import Event


def own_rank(item_id: str, window: Sequence[Event]) -> int | None:
    """Return how many other items of the ``window`` are newer, at most the last rank.

    None if ``item_id`` does not stand among its last `OWN_EVENTS` events.
    """
    newest_first = [event.item_id for event in reversed(window[-OWN_EVENTS:])]
    if item_id not in newest_first:
        return None
    newer = {item for item in newest_first[: newest_first.index(item_id)] if item is not None}
    return min(len(newer), OWN_RANKS - 1)


def own_logit(item_id: str, window: Sequence[Event], outputs: Sequence[float]) -> float:
    """Return the logit that ``item_id`` has as one of the ``window``'s own items, oldest event first.

    ``outputs`` are the network's own-item outputs behind the window's last event. It is -inf if the item does
    not stand among the window's last `OWN_EVENTS` events.
    """
    newest_first = list(reversed(window[-OWN_EVENTS:]))
    items = [event.item_id for event in newest_first]
    rank = own_rank(item_id, window)
    if rank is None:
        return -math.inf
    place = items.index(item_id)
    together = not any(
        _begins_session(event, before) for event, before in pairwise(newest_first[: place + 1])
    )
    return (
        outputs[rank]
        + outputs[OWN_RANKS] * math.log(items.count(item_id))
        + outputs[OWN_RANKS + 1] * together
        + outputs[OWN_RANKS + 2 + EVENT_TYPES.index(newest_first[place].event_type)]
    )


def _begins_session(event: Event, before: Event) -> bool:
    if event.session_id is not None and before.session_id is not None:
        return fingerprint(event.session_id, 16) != fingerprint(before.session_id, 16)
    return event.event_time_ms - before.event_time_ms > SESSION_GAP_MS
