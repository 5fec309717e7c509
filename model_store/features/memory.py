"""Features that sum up how a session went, the newest events most: for those who keep no state of it.

They are declared and work as those in `functions` do.
"""

from __future__ import annotations

import math
from typing import Final

from model_store.features.functions import CART, PURCHASE, REMOVE, VIEW, Out
from model_store.features.seen import Seen
from model_store.kernels import compiled_bare
from model_store.kernels.rows import item_of, time_of

GAP_ENDS_MS: Final = (3_000, 10_000, 30_000, 100_000, 300_000)
SESSION_GAPS: Final = len(GAP_ENDS_MS) + 1
SESSION_LOOKS: Final = 3
FADING: Final = 0.85  # of an event's weight, with each event that comes after it


@compiled_bare
def cart_held(seen: Seen, out: Out) -> None:
    """Logarithm of the fewest items the cart can hold, whatever was in it before the lookback."""
    # What leaves a cart was in it, so no stretch up to this event put in more than it holds now.
    held = 0
    fewest = 0
    for back in range(seen.length + 1):
        kind = seen.rows[seen.at - back]["event_type"]
        held += (kind == CART) - (kind == REMOVE) - (kind == PURCHASE)
        fewest = max(fewest, held)
    out[0] = math.log2(1.0 + fewest)


@compiled_bare
def session_gaps(seen: Seen, out: Out) -> None:
    """How many of the session's gaps are below 3, 10, 30, 100 and 300 s, or above; each fades by 0.85."""
    out[:SESSION_GAPS] = 0.0
    weight = 1.0
    for back in range(seen.session_length):
        gap_ms = time_of(seen.rows[seen.at - back]) - time_of(seen.rows[seen.at - back - 1])
        column = 0
        for end_ms in GAP_ENDS_MS:
            column += gap_ms >= end_ms
        out[column] += weight
        weight *= FADING


@compiled_bare
def session_looks(seen: Seen, out: Out) -> None:
    """How many of the session's views stay at the item, in the category, or neither; each fades by 0.85."""
    # After a search, which has no item, a view says nothing of where it came from.
    out[:SESSION_LOOKS] = 0.0
    weight = 1.0
    for back in range(seen.session_length):
        row, before = seen.rows[seen.at - back], seen.rows[seen.at - back - 1]
        if row["event_type"] == VIEW and item_of(before) != 0:
            if item_of(row) == item_of(before):
                out[0] += weight
            elif row["category"] != 0 and row["category"] == before["category"]:
                out[1] += weight
            else:
                out[2] += weight
        weight *= FADING
