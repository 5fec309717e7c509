"""The distinct items of an event's own window: candidates for the next item beside the whole catalogue.

A shopper often comes back to an item that was just looked at, and an item that the vocabulary does not
know can be found in no other way. So each of them has a logit of its own, from the hidden vector and from
the `own_outputs` of the network: with ``o`` those outputs and ``r`` the item's rank by recency,

    logit = o[min(r, RANKS - 1)] + o[RANKS] * log(times in the lookback) + o[RANKS + 1] * (same session)
            + o[RANKS + 2 + type of its newest event]

The item's weight in the softmax is the sum of what the catalogue and the window give it, so its whole logit
is the logaddexp of both, moved by an offset of its rank (`own_places`). A pointer beside a softmax is known
from "Get To The Point" (See et al. 2017, arXiv:1704.04368), and for sessions from RepeatNet (Ren et al.
2019, arXiv:1812.02646).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.lookback import Lookback
from model_store.windows import Rows, row_items, row_times_ms, session_starts
from producers.events import EVENT_TYPES

OWN_EVENTS: Final = 20
OWN_RANKS: Final = 8
OWN_OUTPUTS: Final = OWN_RANKS + 2 + len(EVENT_TYPES)

Floats = npt.NDArray[np.float32]


class OwnItems(NamedTuple):
    """The distinct items of B windows, each at the rank of its newest event; all are [B, M].

    ``items`` uint64 are fingerprints, 0 behind a window's last one. ``log_count`` float32 is the log of
    how often the item stands there, ``same_session`` float32 is 1 where no session began since its newest
    event, and ``event_type`` int32 is that event's type.
    """

    items: npt.NDArray[np.uint64]
    log_count: Floats
    same_session: Floats
    event_type: npt.NDArray[np.int32]

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> OwnItems:
        """Return the windows at ``chosen``."""
        return OwnItems(
            self.items[chosen], self.log_count[chosen], self.same_session[chosen], self.event_type[chosen]
        )


def own_items(rows: Rows, lookback: Lookback) -> OwnItems:
    """Return the items of ``rows`` [B] and of the last `OWN_EVENTS` - 1 in their ``lookback`` [B, L]."""
    depth = min(lookback.rows.shape[1], OWN_EVENTS - 1)
    present = lookback.present[:, :depth]
    depth = int(present.sum(axis=1).max(initial=0))
    past = lookback.rows[:, :depth]
    items = _newest_first(row_items(rows), row_items(past))  # [B, depth + 1]
    items[:, 1:][~present[:, :depth]] = 0
    equal = items[:, :, None] == items[:, None, :]  # [B, depth + 1, depth + 1]
    earlier = np.tri(depth + 1, k=-1, dtype=np.bool_)
    newest = (items != 0) & ~(equal & earlier).any(axis=2)
    together = np.ones(items.shape, np.float32)
    if depth:
        times_ms = _newest_first(row_times_ms(rows), row_times_ms(past))
        sessions = _newest_first(rows["session"], past["session"])
        begins = session_starts(times_ms[:, :-1], sessions[:, :-1], times_ms[:, 1:], sessions[:, 1:])
        together[:, 1:] = np.cumsum(begins, axis=1) == 0
    rank = np.cumsum(newest, axis=1) - 1
    row, place = np.nonzero(newest)
    at = (row, rank[row, place])
    shape = (len(rows), max(int(rank[:, -1].max(initial=0)) + 1, 1))
    own = OwnItems(
        np.zeros(shape, np.uint64),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
    )
    own.items[at] = items[row, place]
    own.log_count[at] = np.log(equal[row, place].sum(axis=1))
    own.same_session[at] = together[row, place]
    own.event_type[at] = _newest_first(rows["event_type"], past["event_type"])[row, place]
    return own


def _newest_first(now: npt.NDArray[Any], before: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([now[:, None], before], axis=1)


def own_ranks(places: int) -> npt.NDArray[np.int64]:
    """Return which of the `OWN_RANKS` each of a window's ``places`` belongs to; the last one is open."""
    return np.minimum(np.arange(places), OWN_RANKS - 1)


def own_logits(outputs: Floats, own: OwnItems) -> Floats:
    """Return the logits [B, M] of ``own`` from ``outputs`` [B, OWN_OUTPUTS]; -inf where no item stands."""
    logits = outputs[:, own_ranks(own.items.shape[1])]
    logits += outputs[:, OWN_RANKS, None] * own.log_count
    logits += outputs[:, OWN_RANKS + 1, None] * own.same_session
    logits += np.take_along_axis(outputs, OWN_RANKS + 2 + own.event_type, axis=1)
    logits[own.items == 0] = -np.inf
    return logits


def merged(
    found: npt.NDArray[np.int64], scores: Floats, own: npt.NDArray[np.int64], own_scores: Floats, k: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the ``k`` best of the catalogue's best items and of a window's own, and their scores, [B, k'].

    ``found`` and ``scores`` [B, K] are the catalogue's ``k`` + M best, or all if it holds fewer; ``own`` and
    ``own_scores`` [B, M] the own items with their whole logits, 0 and -inf where there is none. At most M of
    the found ones are own items, so no other item can be among the ``k`` best. Of equal ones the catalogue's
    stand first. Where fewer are left than k', the last are 0 with -inf.
    """
    repeated = (found[:, :, None] == own[:, None, :]).any(axis=2)
    items = np.concatenate([np.where(repeated, 0, found), own], axis=1)
    totals = np.concatenate([np.where(repeated, np.float32(-np.inf), scores), own_scores], axis=1)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(totals, order, axis=1)
