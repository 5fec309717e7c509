"""The loops of `model_store.own_items` and `model_store.ranking`, event by event."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare, compiled_brief
from model_store.kernels.lookup import Table, find
from model_store.kernels.rows import begins_session, item_of
from model_store.kernels.vectors import inner_product

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@compiled_bare
def fill_own_items(
    rows: Any,
    index: Ints,
    length: Ints,
    items: npt.NDArray[np.uint64],
    log_count: Floats,
    same_session: Floats,
    event_type: npt.NDArray[np.int32],
    purchased: npt.NDArray[np.bool_],
    purchase: int,
) -> None:
    """Put the distinct items of B events' pasts, newest first, into ``items`` [B, M], of zeros, and so on.

    The events are those at ``index`` [B] of ``rows``, ``length`` [B] rows of each one's past right before it,
    of which M - 1 at most are read; ``purchase`` is that type. The others are what
    `model_store.own_items.OwnItems` says.
    """
    for event in range(len(index)):
        at, present, together = index[event], 0, True
        for back in range(min(length[event], items.shape[1] - 1) + 1):
            row = rows[at - back]
            if back and begins_session(rows[at - back + 1], row):
                together = False
            item = item_of(row)
            if item == 0:
                continue
            place = 0
            while place < present and items[event, place] != item:
                place += 1
            if place == present:
                present += 1
                items[event, place] = item
                same_session[event, place] = together
                event_type[event, place] = row["event_type"]
            log_count[event, place] += 1
            purchased[event, place] |= row["event_type"] == purchase
        for place in range(present):
            log_count[event, place] = math.log(log_count[event, place])


@compiled_brief
def fill_own_logits(
    outputs: Floats,
    items: npt.NDArray[np.uint64],
    log_count: Floats,
    same_session: Floats,
    event_type: npt.NDArray[np.int32],
    ranks: int,
    logits: Floats,
) -> None:
    """Put the ``logits`` [B, M] of the own ``items`` there, by the equation of `model_store.own_items`."""
    for event in range(len(items)):
        for place in range(items.shape[1]):
            if items[event, place] == 0:
                logits[event, place] = -np.inf
                continue
            logit = outputs[event, min(place, ranks - 1)]
            logit += outputs[event, ranks] * log_count[event, place]
            logit += outputs[event, ranks + 1] * same_session[event, place]
            logits[event, place] = logit + outputs[event, ranks + 2 + event_type[event, place]]


@compiled_bare
def add_catalogue(
    items: npt.NDArray[np.uint64],
    table: Table,
    query: Floats,
    vectors: Floats,
    scale: Any,
    offsets: Floats,
    logits: Floats,
    names: Ints,
) -> None:
    """Add what the catalogue gives to the own items' ``logits`` [B, M], and put their ``names`` [B, M] there.

    ``query`` [B, D] and ``vectors`` [V, D] times ``scale`` make the catalogue's logits. The ``offsets`` are
    by rank, the last one for all behind it. A name is as `ServedModel.ranked_items` says, 0 for no item.
    """
    for event in range(len(items)):
        for place in range(items.shape[1]):
            item = items[event, place]
            if item == 0:
                names[event, place] = 0
                continue
            known = find(item, table.keys, table.slots, table.shift)
            logit = logits[event, place]
            if known:
                logit = _log_add(scale * inner_product(query[event], vectors, known), logit)
            logits[event, place] = logit + offsets[min(place, len(offsets) - 1)]
            names[event, place] = known or -np.int64(item)


@compiled_brief
def merge_own(names: Ints, logits: Floats, found: Ints, scores: Floats) -> None:
    """Put the own items ``names`` [B, M] where they belong among the best ``found`` [B, k], by their logits.

    No name stands in both; 0 is none. Of equal ones the found stand first, then the newer.
    """
    last = found.shape[1] - 1
    for event in range(len(names)):
        for own in range(names.shape[1]):
            logit = logits[event, own]
            if names[event, own] == 0 or not logit > scores[event, last]:
                continue
            place = last
            while place and logit > scores[event, place - 1]:
                found[event, place], scores[event, place] = found[event, place - 1], scores[event, place - 1]
                place -= 1
            found[event, place], scores[event, place] = names[event, own], logit


@compiled_bare
def _log_add(one: Any, other: Any) -> Any:
    """Return log(exp(one) + exp(other)), float32."""
    larger = max(one, other)
    return np.float32(larger + math.log1p(math.exp(min(one, other) - larger)))
