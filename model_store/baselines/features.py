"""Plain features of a user's recent events, for predictors that see a row and no sequence.

Recency, frequency, the last event types, gaps, prices and the position: all of the event itself and of
what its user did before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.windows import Rows, row_items, row_times_ms, starts_session
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.sequences import EventTable, Ints

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_TYPES: Final = [each.value for each in EVENT_TYPES]
_LAGS: Final = 3
_LONGEST_S: Final = 90 * 86_400.0  # stands for never
_DAY_MS: Final = 86_400_000
_CART: Final = _TYPES.index("cart")


def plain_features(table: EventTable, *, daily: bool) -> tuple[Floats, list[str]]:
    """Return the features [E, F] of each event of ``table`` after those before it, and their names [F].

    Durations and counts stand as log(1 + x), durations in seconds; an absent price as 0 with a flag. The hour
    is among them if ``daily``: to a log that has not seen two days it is only a name for the moment.
    """
    columns: dict[str, npt.NDArray[np.generic]] = {}
    if len(table):
        begins = table.starts_user()
        first = _latest(begins)  # [E], the place of the user's first event
        opens = begins | starts_session(table.rows, np.roll(table.rows, 1))
        opening = _latest(opens)
        columns |= _last_types(table.rows, first)
        columns |= _gaps(table.rows, first, opening)
        columns |= _counts(table.rows, first, opening)
        columns |= _prices(table.rows, first, opening)
        columns |= _items(table, opening)
        if daily:
            columns |= _hours(table.rows)
    names = list(columns)
    values = [np.asarray(column, np.float32) for column in columns.values()]
    return np.stack(values, axis=1) if values else np.empty((0, 0), np.float32), names


def _last_types(rows: Rows, first: Ints) -> dict[str, npt.NDArray[np.generic]]:
    kinds = rows["event_type"]
    columns = {}
    for lag in range(_LAGS):
        place = np.arange(len(rows)) - lag
        known = place >= first
        for code, name in enumerate(_TYPES):
            columns[f"{name}_{lag}_ago"] = known & (kinds[np.maximum(place, 0)] == code)
    return columns


def _gaps(rows: Rows, first: Ints, opening: Ints) -> dict[str, npt.NDArray[np.generic]]:
    times_s = row_times_ms(rows) / 1_000.0
    here = np.arange(len(rows))
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for lag in range(1, _LAGS + 1):
        later, earlier = np.maximum(here - lag + 1, 0), np.maximum(here - lag, 0)
        gap = np.where(here - lag >= first, times_s[later] - times_s[earlier], _LONGEST_S)
        columns[f"gap_{lag}_ago"] = _log(gap)
    columns["since_session_start"] = _log(times_s - times_s[opening])
    columns["since_first_event"] = _log(times_s - times_s[first])
    columns["position_in_session"] = _log(here - opening)
    columns["position_in_history"] = _log(here - first)
    columns["is_first_session"] = opening == first
    for code, name in enumerate(_TYPES):
        last = _latest(rows["event_type"] == code)
        columns[f"since_{name}"] = _log(np.where(last >= first, times_s - times_s[last], _LONGEST_S))
    return columns


def _counts(rows: Rows, first: Ints, opening: Ints) -> dict[str, npt.NDArray[np.generic]]:
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for code, name in enumerate(_TYPES):
        flags = rows["event_type"] == code
        columns[f"{name}_in_session"] = _log(_sum_since(flags, opening))
        columns[f"{name}_in_history"] = _log(_sum_since(flags, first))
    return columns


def _prices(rows: Rows, first: Ints, opening: Ints) -> dict[str, npt.NDArray[np.generic]]:
    price = rows["log_price"].astype(np.float64)
    known = ~np.isnan(price)
    filled = np.where(known, price, 0.0)

    def against(start: Ints) -> npt.NDArray[np.float64]:
        mean = _sum_since(filled, start) / np.maximum(_sum_since(known, start), 1)
        return np.where(known, filled - mean, 0.0)

    return {
        "log_price": filled,
        "price_absent": ~known,
        "price_against_session": against(opening),
        "price_against_history": against(first),
    }


def _items(table: EventTable, opening: Ints) -> dict[str, npt.NDArray[np.generic]]:
    """Return how often and how lately its user saw the event's item, and whether it was put into the cart."""
    item, user = row_items(table.rows), table.user
    order = np.lexsort((np.arange(len(item)), item, user))
    starts = (np.diff(user[order], prepend=-1) != 0) | (np.diff(item[order], prepend=item[order][0]) != 0)
    start = _latest(starts)
    times_s = row_times_ms(table.rows)[order] / 1_000.0
    here = np.arange(len(item))
    again = here > start
    carted = _sum_since(table.rows["event_type"][order] == _CART, start) > 0
    new_in_session = np.empty(len(item), bool)
    new_in_session[order] = ~again | (order[np.maximum(here - 1, 0)] < opening[order])
    columns = {
        "looks_at_item": _log(here - start),
        "since_item": _log(np.where(again, times_s - times_s[here - 1], _LONGEST_S)),
        "item_was_carted": carted,
    }
    with_item = item[order] != 0
    unsorted = {}
    for name, values in columns.items():
        unsorted[name] = np.empty(len(item), np.float64)
        unsorted[name][order] = np.where(with_item, values, 0.0)
    same = np.append(False, item[1:] == item[:-1]) & (np.arange(len(item)) > opening)
    return {
        **unsorted,
        "same_item_as_previous": same & (item != 0),
        "items_in_session": _log(_sum_since(new_in_session & (item != 0), opening)),
    }


def _hours(rows: Rows) -> dict[str, npt.NDArray[np.generic]]:
    angle = 2 * np.pi * (row_times_ms(rows) % _DAY_MS) / _DAY_MS
    return {"hour_sine": np.sin(angle), "hour_cosine": np.cos(angle)}


def _latest(flags: Flags) -> Ints:
    """Return the place of the latest flag up to each place [E], -1 where there was none."""
    return np.maximum.accumulate(np.where(flags, np.arange(len(flags)), -1))


def _sum_since(values: npt.ArrayLike, start: Ints) -> npt.NDArray[np.float64]:
    """Return the sum of ``values`` [E] from the place ``start`` [E] to each place, both included."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, np.float64))])
    summed: npt.NDArray[np.float64] = total[1:] - total[start]
    return summed


def _log(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.log1p(np.maximum(np.asarray(values, np.float64), 0.0))
