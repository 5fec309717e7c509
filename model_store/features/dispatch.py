"""Which function works out which feature, for kernels: Numba has no table of functions to keep on disk."""

from __future__ import annotations

from model_store.features import functions, memory
from model_store.features.functions import Out
from model_store.features.seen import Seen
from model_store.kernels import compiled_bare


@compiled_bare
def compute(code: int, seen: Seen, out: Out) -> None:  # noqa: C901 - a line for each
    """Put the feature at place ``code`` of `model_store.features.table.FEATURES` into ``out``."""
    if code == 0:
        functions.no_previous(seen, out)
    elif code == 1:
        functions.starts_session(seen, out)
    elif code == 2:
        functions.same_item_as_previous(seen, out)
    elif code == 3:
        functions.log_price(seen, out)
    elif code == 4:
        functions.price_absent(seen, out)
    elif code == 5:
        functions.price_in_category(seen, out)
    elif code == 6:
        functions.item_seen(seen, out)
    elif code == 7:
        functions.item_recency(seen, out)
    elif code == 8:
        functions.category_seen(seen, out)
    elif code == 9:
        functions.type_counts(seen, out)
    elif code == 10:
        functions.cart_size(seen, out)
    elif code == 11:
        functions.looks_in_a_row(seen, out)
    elif code == 12:
        functions.log_gap(seen, out)
    elif code == 13:
        functions.hour(seen, out)
    elif code == 14:
        functions.weekday(seen, out)
    elif code == 15:
        functions.session_position(seen, out)
    elif code == 16:
        functions.session_types(seen, out)
    elif code == 17:
        functions.session_time(seen, out)
    elif code == 18:
        functions.device(seen, out)
    elif code == 19:
        functions.source(seen, out)
    elif code == 20:
        functions.last_types(seen, out)
    elif code == 21:
        functions.type_recency(seen, out)
    elif code == 22:
        functions.last_gaps(seen, out)
    elif code == 23:
        functions.history_position(seen, out)
    elif code == 24:
        functions.same_category_as_previous(seen, out)
    elif code == 25:
        functions.gap_marks(seen, out)
    elif code == 26:
        memory.cart_held(seen, out)
    elif code == 27:
        memory.session_gaps(seen, out)
    elif code == 28:
        memory.session_looks(seen, out)
