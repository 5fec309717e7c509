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

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels.own_items import fill_own_items, fill_own_logits
from model_store.lookback import Lookback
from producers.events import EVENT_TYPES, EventType

OWN_EVENTS: Final = 20
OWN_RANKS: Final = 8
_PURCHASE: Final = EVENT_TYPES.index(EventType.PURCHASE)
OWN_OUTPUTS: Final = OWN_RANKS + 2 + len(EVENT_TYPES)

Floats = npt.NDArray[np.float32]


class OwnItems(NamedTuple):
    """The distinct items of B windows, each at the rank of its newest event; all are [B, `OWN_EVENTS`].

    ``items`` uint64 are fingerprints, 0 behind a window's last one. ``log_count`` float32 is the log of
    how often the item stands there, ``same_session`` float32 is 1 where no session began since its newest
    event, ``event_type`` int32 is that event's type, and ``purchased`` tells whether a purchase of the item
    stands there.
    """

    items: npt.NDArray[np.uint64]
    log_count: Floats
    same_session: Floats
    event_type: npt.NDArray[np.int32]
    purchased: npt.NDArray[np.bool_]

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> OwnItems:
        """Return the windows at ``chosen``."""
        return OwnItems(
            self.items[chosen],
            self.log_count[chosen],
            self.same_session[chosen],
            self.event_type[chosen],
            self.purchased[chosen],
        )

    def narrowed(self) -> OwnItems:
        """Return the same without the last places where no window has an item; one stays at least."""
        most = max(int((self.items != 0).sum(axis=1).max(initial=0)), 1)
        return OwnItems(
            self.items[:, :most],
            self.log_count[:, :most],
            self.same_session[:, :most],
            self.event_type[:, :most],
            self.purchased[:, :most],
        )


def own_items(lookback: Lookback) -> OwnItems:
    """Return the items of the events [B] of ``lookback`` and of the last `OWN_EVENTS` - 1 before each."""
    shape = (len(lookback.index), OWN_EVENTS)
    own = OwnItems(
        np.zeros(shape, np.uint64),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.bool_),
    )
    fill_own_items(lookback.kernel_source, lookback.index, lookback.length, *own, _PURCHASE)
    return own


def own_ranks(places: int) -> npt.NDArray[np.int64]:
    """Return which of the `OWN_RANKS` each of a window's ``places`` belongs to; the last one is open."""
    return np.minimum(np.arange(places), OWN_RANKS - 1)


def own_logits(outputs: Floats, own: OwnItems) -> Floats:
    """Return the logits [B, M] of ``own`` from ``outputs`` [B, OWN_OUTPUTS]; -inf where no item stands."""
    logits = np.empty(own.items.shape, np.float32)
    fill_own_logits(np.ascontiguousarray(outputs), *own[:4], OWN_RANKS, logits)
    return logits
