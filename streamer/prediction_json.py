"""Predictions as JSON, a whole group in one compiled pass: `streamer.predictions` says what they mean.

The text of each is what `encode_prediction` would give, but for how a float is written: here it is a decimal.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.kernels.text import Texts, put_decimal, put_integer, put_text, texts_of
from streamer.predictions import ModelVersion
from streamer.records import SourcePartition

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_PIECES: Final = {
    "user": b'","user_id":',
    "event": b',"event_id":',
    "time": b',"event_time_ms":',
    "scored": b',"scored_at_ms":',
    "model": b',"model":%b,"next_action":',
    "churn": b',"churn":',
    "probability": b'{"probability":',
    "alert": b',"horizon_ms":%d,"alert_at_ms":',
    "items": b',"next_items":',
    "item": b'{"item_id":',
    "score": b',"score":',
    "purchase": b',"purchase_in_session":',
    "null": b"null",
}
(
    _USER,
    _EVENT,
    _TIME,
    _SCORED,
    _MODEL,
    _CHURN,
    _PROBABILITY,
    _ALERT,
    _ITEMS,
    _ITEM,
    _SCORE,
    _PURCHASE,
    _NULL,
) = range(len(_PIECES))
_CLOSE, _OPEN_LIST, _CLOSE_LIST, _COMMA = b"}[],"
_LAYOUTS_KEPT: Final = 64
_NUMBER_BYTES: Final = 22  # the longest number, and a byte that closes something behind it

Bytes = npt.NDArray[np.uint8]


class Layout(NamedTuple):
    """The text that is the same in all predictions of a group.

    First in ``texts`` are the pieces that stand between what differs. From ``actions`` on follows the name of
    each action with what stands before it, from ``sources`` on the beginning of a prediction of each
    partition, from ``tails`` on the different texts behind the next items.
    """

    texts: Texts
    actions: int
    sources: int
    tails: int


class Answers(NamedTuple):
    """The numbers of B predictions. An array without columns, or without rows, is a head that is null.

    ``actions`` are [B, A], ``churn`` and ``purchases`` [B], ``alerts`` [B], negative for never. ``items``
    are the places [B, k] of the next items in the catalogue's texts, with their ``scores`` [B, k]; 0 is none,
    and those below 0 count from -1 on in the texts of the items that the model does not know.
    """

    actions: Floats
    churn: Floats
    alerts: Ints
    items: Ints
    scores: Floats
    purchases: Floats


class Told(NamedTuple):
    """What is known of B events: all are [B], ``ids`` holds user and event of each, one after another.

    ``sources`` and ``tails`` are numbers of `Layout` texts.
    """

    offsets: Ints
    times_ms: Ints
    sources: Ints
    tails: Ints
    ids: Texts


@compiled_bare
def _put_actions(out: Bytes, at: Any, layout: Layout, answers: Answers, event: Any) -> Any:
    count = answers.actions.shape[1]
    if count == 0:
        return put_text(out, at, layout.texts, _NULL)
    for action in range(count):
        at = put_text(out, at, layout.texts, layout.actions + action)
        at = put_decimal(out, at, answers.actions[event, action])
    return _put_byte(out, at, _CLOSE)


@compiled_bare
def _put_churn(out: Bytes, at: Any, layout: Layout, answers: Answers, event: Any) -> Any:
    if len(answers.churn) == 0:
        return put_text(out, at, layout.texts, _NULL)
    at = put_text(out, at, layout.texts, _PROBABILITY)
    at = put_decimal(out, at, answers.churn[event])
    at = put_text(out, at, layout.texts, _ALERT)
    alert_ms = answers.alerts[event]
    at = put_integer(out, at, alert_ms) if alert_ms >= 0 else put_text(out, at, layout.texts, _NULL)
    return _put_byte(out, at, _CLOSE)


@compiled_bare
def _put_items(
    out: Bytes, at: Any, layout: Layout, answers: Answers, event: Any, catalogue: Texts, others: Texts
) -> Any:
    count = answers.items.shape[1]
    if count == 0:
        return put_text(out, at, layout.texts, _NULL)
    begins = _OPEN_LIST
    for place in range(count):
        item = answers.items[event, place]
        if item == 0:
            continue
        at = _put_byte(out, at, begins)
        begins = _COMMA
        at = put_text(out, at, layout.texts, _ITEM)
        at = put_text(out, at, catalogue, item) if item > 0 else put_text(out, at, others, -1 - item)
        at = put_text(out, at, layout.texts, _SCORE)
        at = put_decimal(out, at, answers.scores[event, place])
        at = _put_byte(out, at, _CLOSE)
    if begins == _OPEN_LIST:
        at = _put_byte(out, at, begins)
    return _put_byte(out, at, _CLOSE_LIST)


@compiled_bare
def _put_byte(out: Bytes, at: Any, byte: Any) -> Any:
    out[at] = byte
    return at + 1


@compiled_bare
def write_predictions(
    layout: Layout,
    scored_at_ms: Any,
    told: Told,
    answers: Answers,
    catalogue: Texts,
    others: Texts,
    out: Bytes,
    ends: Ints,
) -> None:
    """Write the predictions into ``out``, one behind another, and where each one ends into ``ends`` [B].

    ``catalogue`` are the ids of the model's items, ``others`` those of the items that it does not know.
    """
    at = 0
    pieces = layout.texts
    for event in range(len(ends)):
        at = put_text(out, at, pieces, layout.sources + told.sources[event])
        at = put_integer(out, at, told.offsets[event])
        at = put_text(out, at, pieces, _USER)
        at = put_text(out, at, told.ids, 2 * event)
        at = put_text(out, at, pieces, _EVENT)
        at = put_text(out, at, told.ids, 2 * event + 1)
        at = put_text(out, at, pieces, _TIME)
        at = put_integer(out, at, told.times_ms[event])
        at = put_text(out, at, pieces, _SCORED)
        at = put_integer(out, at, scored_at_ms)
        at = put_text(out, at, pieces, _MODEL)
        at = _put_actions(out, at, layout, answers, event)
        at = put_text(out, at, pieces, _CHURN)
        at = _put_churn(out, at, layout, answers, event)
        at = put_text(out, at, pieces, _ITEMS)
        at = _put_items(out, at, layout, answers, event, catalogue, others)
        at = put_text(out, at, pieces, layout.tails + told.tails[event])
        at = put_text(out, at, pieces, _PURCHASE)
        if len(answers.purchases):
            at = put_decimal(out, at, answers.purchases[event])
        else:
            at = put_text(out, at, pieces, _NULL)
        at = _put_byte(out, at, _CLOSE)
        ends[event] = at


@lru_cache(_LAYOUTS_KEPT)
def layout_of(
    model: ModelVersion,
    horizon_ms: int,
    actions: tuple[str, ...],
    sources: tuple[SourcePartition, ...],
    tails: tuple[bytes, ...],
) -> Layout:
    """Return the texts of a group. ``tails`` are those that `tail_of` gives."""
    pieces = dict(_PIECES)
    pieces["model"] %= msgspec.json.encode(model)
    pieces["alert"] %= horizon_ms
    begins = [b'{"prediction_id":' + msgspec.json.encode(source.record_id_prefix)[:-1] for source in sources]
    names = [msgspec.json.encode(name) + b":" for name in actions]
    names = [(b"," if place else b"{") + name for place, name in enumerate(names)]
    texts = [*pieces.values(), *names, *begins, *tails]
    sources_at = len(pieces) + len(names)
    return Layout(texts_of(texts), len(pieces), sources_at, sources_at + len(begins))


def tail_of(*, partial: bool, flags: Sequence[str] | None) -> bytes:
    """Return what stands between the next items and the purchase: reason, state, flags."""
    state = b"partial" if partial else b"complete"
    return b',"reason":"event","state":"%b","flags":%b' % (state, msgspec.json.encode(flags))


def written(
    layout: Layout, scored_at_ms: int, told: Told, answers: Answers, catalogue: Texts, others: Texts
) -> Texts:
    """Return the JSON of each of B predictions; see `write_predictions`."""
    out = np.empty(_most_bytes(layout, told, answers, catalogue, others), np.uint8)
    ends = np.empty(len(told.offsets), np.int64)
    write_predictions(layout, scored_at_ms, told, answers, catalogue, others, out, ends)
    out.flags.writeable = False  # as those of `texts_of`, so that a kernel is compiled once
    starts = np.concatenate([np.zeros(1, np.int64), ends])[: len(ends)]
    return Texts(out, starts, ends, int((ends - starts).max(initial=0)))


def _most_bytes(layout: Layout, told: Told, answers: Answers, catalogue: Texts, others: Texts) -> int:
    """Return more bytes than the predictions can take; what is not written costs no memory."""
    actions, items = answers.actions.shape[1], answers.items.shape[1]
    an_item = max(catalogue.longest, others.longest) + len(_PIECES["item"] + _PIECES["score"]) + _NUMBER_BYTES
    fixed = len(layout.texts.text) + 4 * len(_PIECES["null"]) + (8 + actions) * _NUMBER_BYTES
    fixed += 2 * told.ids.longest
    return int(len(told.offsets) * (fixed + items * (an_item + 1)))
